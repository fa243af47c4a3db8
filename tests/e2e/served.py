"""A model with an endpoint, whose versions are simulated: they answer at once with what their environment says."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxcar.attributes import encode_all
from boxcar.registry.packages import Packages
from boxcar.serving.records import Endpoint, Endpoints
from boxcar.serving.targets import endpoint_name
from boxcar.versions import Version
from cli.endpoints.release import start
from cli.models.names import Named
from local.client import wait_for
from tests.e2e.deployed import Deployed, Run

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/boxcar-simulated:1"
TENTHS = [tenth / 10 for tenth in range(1, 10)]  # between bins of scores
HELLO = {"requests": [{"body": "1,2", "contains": "hello"}]}  # golden


@dataclass
class Served:
    """A model with an endpoint."""

    stack: Deployed
    family: str
    model: str = "mailer"
    numbers: int = 0  # of versions that were made

    def version(
        self,
        number: str,
        *,
        approved: bool = True,
        current: bool = True,
        image: str = IMAGE,
        scores: list[int] | None = None,
        **environment: str,
    ) -> str:
        """Register a simulated version as Register does: in SageMaker's registry, then in the models table.

        It is the one that predicts, unless it is not to be `current`. `scores` are rows by tenths of the score, as the
        version was judged.
        """
        self.numbers += 1
        stack, version = self.stack, Version.parse(number)
        packages = Packages(stack.session.client("sagemaker"), stack.session.stack)
        group, status = packages.ensure_group(self.family, self.model), "Approved" if approved else "Rejected"
        told = {"family": self.family, "model": self.model, "version": number}
        container = {"Image": image, "Environment": {"MESSAGE": f"hello from {number}", **environment}}
        types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
        arn = packages.register({
            "ModelPackageGroupName": group, "ModelPackageDescription": f"{number} of {self.family}",
            "ModelApprovalStatus": status, "CustomerMetadataProperties": told,
            "InferenceSpecification": {"Containers": [container], **types},
        }, search_first=False)  # fmt: skip
        judged = {"schema": 2, **({"score_bins": {"edges": TENTHS, "counts": scores}} if scores else {})}
        evaluation = f"models/{self.family}/{self.model}/{number}/evaluation.json"
        stack.session.client("s3").put_object(Bucket=stack.bucket, Key=evaluation, Body=json.dumps(judged).encode())
        document = {
            **told, "pk": f"model#{self.family}/{self.model}", "sort_key": version.sort_key, "status": status, "run": "r",
            "package_arn": arn, "evaluation": f"s3://{stack.bucket}/{evaluation}", "outputs": {},
            "interface_digest": "i", "code_digest": "c",
        }  # fmt: skip
        # The version last: who hears of its package waits for it, and then looks who is approved.
        for sort_key in (*(["approved"] if approved and current else []), f"version#{version.sort_key}"):
            stack.session.client("dynamodb").put_item(
                TableName=stack.session.outputs["ModelsTableName"], Item=encode_all({**document, "sk": sort_key})
            )
        return number

    def start(self, version: str | None = None) -> str:
        named = Named(self.family, self.model, Version.parse(version) if version else None)
        return start(self.stack.session, named)

    def release(self, version: str | None = None) -> Run:
        """A release that goes well."""
        run = self.stack.wait(self.start(version))
        assert run.status == "SUCCEEDED", run
        return run

    def until_ended(self, run: str, meanwhile: Callable[[], object], timeout_s: float = 120) -> Run:
        """Do something again and again until a release has ended."""
        states, arn = self.stack.session.client("stepfunctions"), self.stack.execution_arn(run)

        def ended() -> bool:
            meanwhile()
            return bool(states.describe_execution(executionArn=arn)["status"] != "RUNNING")

        wait_for(ended, timeout_s, every=0.5, why=f"release {run} does not end")
        return self.stack.wait(run)

    @property
    def name(self) -> str:
        return endpoint_name(self.stack.session.stack, self.family, self.model)

    def record(self) -> Endpoint:
        found = Endpoints(self.stack.session.client("dynamodb"), self.stack.session.outputs["ModelsTableName"])
        return found.get(self.name) or Endpoint(endpoint=self.name, family=self.family, model=self.model)

    def answer(self) -> str:
        answer = self.stack.session.client("sagemaker-runtime").invoke_endpoint(EndpointName=self.name, Body=b"1")
        return str(answer["Body"].read().decode())

    def things(self) -> dict[str, list[str]]:
        """Everything in the account that was made for the endpoint."""
        client = self.stack.session.client
        sagemaker, prefix = client("sagemaker"), self.name
        found = {
            "models": [m["ModelName"] for m in sagemaker.list_models(NameContains=prefix)["Models"]],
            "configs": [
                c["EndpointConfigName"]
                for c in sagemaker.list_endpoint_configs(NameContains=prefix)["EndpointConfigs"]
            ],
            "endpoints": [e["EndpointName"] for e in sagemaker.list_endpoints(NameContains=prefix)["Endpoints"]],
            "dashboards": [d["DashboardName"] for d in client("cloudwatch").list_dashboards(
                DashboardNamePrefix=prefix)["DashboardEntries"]],
            "alarms": [a["AlarmName"] for a in client("cloudwatch").describe_alarms()["MetricAlarms"]
                       if prefix in a["AlarmName"]],
            "targets": [t["ResourceId"] for t in client("application-autoscaling").describe_scalable_targets(
                ServiceNamespace="sagemaker")["ScalableTargets"] if prefix in t["ResourceId"]],
        }  # fmt: skip
        return {kind: sorted(names) for kind, names in found.items()}


def served_by(stack: Deployed, name: str = "", **serving: Any) -> Served:
    """A family, new or of a name, whose model has an endpoint, released by hand."""
    asked = {"automatic": False, "smoke": HELLO, "canary": {"wait_s": 0}, **serving}
    return Served(stack, stack.small_family("mailer", name=name, models__mailer__serving=asked))
