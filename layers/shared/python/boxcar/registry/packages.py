"""Versions of models in SageMaker's Model Registry: a group a model, a package a version."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from boxcar.plans import ModelPlan, Outcome
from boxcar.registry.origins import Origin
from boxcar.steps import Step
from boxcar.verdicts import Verdict
from boxcar.versions import Version

# What SageMaker calls each outcome: a version that a person must decide about waits for that.
STATUSES: dict[Outcome, str] = {"approve": "Approved", "review": "PendingManualApproval", "reject": "Rejected"}
_NAME_LENGTH = 63  # CreateModelPackageGroup: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}


def sagemaker_name(full: str, length: int) -> str:
    """A name in the letters that SageMaker allows, cut and made unique when it is too long."""
    name = re.sub(r"[^a-zA-Z0-9]+", "-", full).strip("-")
    if len(name) <= length:
        return name
    digest = hashlib.sha256(full.encode()).hexdigest()[:8]
    return f"{name[: length - 9].rstrip('-')}-{digest}"


class Packages:
    """Model packages of one stack."""

    def __init__(self, sagemaker: Any, stack: str) -> None:
        self._sagemaker = sagemaker
        self._stack = stack

    def group_name(self, family: str, model: str) -> str:
        """`<stack>-<family>-<model>`, in the letters that SageMaker allows."""
        return sagemaker_name(f"{self._stack}-{family}-{model}", _NAME_LENGTH)

    def ensure_group(self, family: str, model: str) -> str:
        """Make the group of a model unless it is there. Returns its name."""
        name = self.group_name(family, model)
        try:
            self._sagemaker.create_model_package_group(
                ModelPackageGroupName=name, ModelPackageGroupDescription=f"Versions of {family}/{model}"
            )
        except ClientError as error:
            # SageMaker has no error code of its own for this: a ValidationException or ConflictException that says so.
            if "already exist" not in error.response["Error"].get("Message", ""):
                raise
        return name

    def register(self, request: dict[str, Any], search_first: bool) -> str:
        """Make a package, or find the one that an earlier attempt of the same run made, perhaps under another verdict.

        Args:
            request: of CreateModelPackage; its description is unique to version and run.
            search_first: an earlier attempt may have come this far. The client token covers a repeat within minutes;
                how long SageMaker remembers it is not written anywhere.

        Returns:
            the ARN of the package.
        """
        if search_first:
            for package in self.packages(request["ModelPackageGroupName"]):
                if package.get("ModelPackageDescription") == request["ModelPackageDescription"]:
                    found: str = package["ModelPackageArn"]
                    told = {name: request[name] for name in ("ModelApprovalStatus", "CustomerMetadataProperties")}
                    if package["ModelApprovalStatus"] != told["ModelApprovalStatus"]:
                        self._sagemaker.update_model_package(ModelPackageArn=found, **told)
                    return found
        created: str = self._sagemaker.create_model_package(**request)["ModelPackageArn"]
        return created

    def packages(self, group: str) -> Iterator[dict[str, Any]]:
        """Summaries of a group's packages, newest first; nothing for a group that does not exist."""
        token: dict[str, str] = {}
        while True:
            try:
                page = self._sagemaker.list_model_packages(
                    ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending", **token
                )
            except ClientError as error:
                if "does not exist" in error.response["Error"].get("Message", ""):
                    return
                raise
            yield from page["ModelPackageSummaryList"]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def decide(self, arn: str, status: str, why: str) -> None:
        """Set the status of a package, and who decided so and why. The same again changes nothing.

        Args:
            arn: of the package.
            status: Approved or Rejected.
            why: at most 1,024 characters, without control characters.
        """
        self._sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=why[:1024]
        )

    def describe(self, arn: str) -> dict[str, Any]:
        """Everything about one package."""
        package: dict[str, Any] = self._sagemaker.describe_model_package(ModelPackageName=arn)
        return package


def package_request(
    plan: ModelPlan,
    *,
    group: str,
    version: Version,
    run: str,
    verdict: Verdict,
    verdict_document: str,
    image: str,
    environment: dict[str, str],
    artifact: str,
    evaluation: str,
    change: str,
    origin: Origin,
) -> dict[str, Any]:
    """What CreateModelPackage is told: how to serve the version, what it was made from, and where its figures lie.

    Args:
        plan: the model as the run trained it.
        group: name of the model package group.
        version: the number it gets.
        run: the run that trained it.
        verdict: what was decided, and on which figures.
        verdict_document: s3://…/verdict.json, the copy that belongs to the version.
        image: URI of the container that serves it.
        environment: what tells that container where its code is.
        artifact: s3://…/model.tar.gz, the copy that belongs to the version.
        evaluation: s3://…/evaluation.json, likewise.
        change: first, major, minor or patch.
        origin: what it was made of.
    """
    identity = f"{plan.family}/{plan.model} {version} of run {run}"
    container = {"Image": image, "ModelDataUrl": artifact, "Environment": environment}
    serving = serving_step(plan)
    content_type = str(serving.options.get("content_type", "text/csv"))
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": identity,
        "ModelApprovalStatus": STATUSES[verdict.outcome],
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": [content_type],
            "SupportedResponseMIMETypes": [str(serving.options.get("accept", content_type))],
            "SupportedTransformInstanceTypes": serving.resources.instance_types,
            "SupportedRealtimeInferenceInstanceTypes": serving.resources.instance_types,
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": evaluation}}},
        "CustomerMetadataProperties": {
            "family": plan.family,
            "model": plan.model,
            "version": str(version),
            "change": change,
            "run": run,
            "architecture": plan.architecture,
            "interface_digest": plan.interface_digest,
            "code_digest": plan.code_digest,
            **_made_of(origin),
            "verdict": verdict.outcome,
            "verdict_document": verdict_document,
            "compared_with": verdict.compared_with or "none",
            verdict.metric: _figure(verdict.score),
            f"{verdict.metric}_before": _figure(verdict.score_before),
        },
        "ClientToken": hashlib.sha256(f"{group}\n{identity}".encode()).hexdigest()[:36],
    }


def _made_of(origin: Origin) -> dict[str, str]:
    """What metadata takes: 256 characters a value, of letters, digits, spaces and _.:/=+-@, so no commas."""
    unloaded = origin.unloaded
    found = {"query_digest": unloaded.query_digest, "data_digest": unloaded.digest} if unloaded else {}
    used = " ".join(f"{model}@{version}" for model, version in origin.upstream.items())
    return {**found, **({"upstream": used[:256]} if used else {})}


def _figure(value: float | None) -> str:
    return "missing" if value is None else f"{value:.6f}"


def serving_step(plan: ModelPlan) -> Step:
    """The step that says how the model is served: its transform step, else the one that makes the model."""
    transforms = [step for step in plan.steps if step.kind == "transform"]
    return transforms[0] if transforms else output_step(plan, "model")


def output_step(plan: ModelPlan, output: str) -> Step:
    """The last step of a model that makes an output of this name.

    Raises:
        KeyError: no step does.
    """
    for step in reversed(plan.steps):
        if output in step.outputs:
            return step
    raise KeyError(f"no step of model {plan.model} has an output {output!r}")
