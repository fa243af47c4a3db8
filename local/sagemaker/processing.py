"""Processing jobs. Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html"""

import json
from typing import Any

from local.sagemaker import toolkit
from local.sagemaker.containers import inside
from local.sagemaker.failures import JobFailure, Stopped
from local.sagemaker.kind import Kind
from local.sagemaker.life import Life
from local.sagemaker.requests import refuse
from local.sagemaker.run import Run
from local.service import ApiError

DEFAULT_RUNTIME = 86_400
MESSAGE_LIMIT = 1024
EXAMPLE_PATH = "/opt/ml/processing/input"


class Processing(Kind):
    """CreateProcessingJob and what follows."""

    noun = "ProcessingJob"
    resource = "processing-job"
    quota = "processing"
    log_group = "/aws/sagemaker/ProcessingJobs"
    missing = "Could not find requested job with name: {name}"
    taken = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
    order = "Ascending"

    def accept(self, request: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is not implemented."""
        cluster = request["ProcessingResources"]["ClusterConfig"]
        if "InstanceType" not in cluster:
            raise refuse("ClusterConfig without InstanceType", sorted(cluster), "InstanceType and InstanceCount 1")
        if cluster.get("InstanceCount", 1) != 1:
            raise refuse("ProcessingResources.ClusterConfig.InstanceCount", cluster["InstanceCount"], "1")
        if "RoleArn" not in request:
            words = "Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
            raise ApiError("ValidationException", f"1 validation error detected: {words}")
        for item in request.get("ProcessingInputs", []):
            self._accept_input(item)
        for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            field = f"Outputs[{item['OutputName']}]"
            if "S3Output" not in item:
                raise refuse(f"{field} without S3Output", sorted(item), "S3Output")
            if item["S3Output"]["S3UploadMode"] != "EndOfJob":
                raise refuse(f"{field}.S3UploadMode", item["S3Output"]["S3UploadMode"], "EndOfJob")
            inside(f"{field}.LocalPath", item["S3Output"].get("LocalPath", ""), EXAMPLE_PATH)
        return {}

    def _accept_input(self, item: dict[str, Any]) -> None:
        field = f"ProcessingInputs[{item['InputName']}]"
        source = item.get("S3Input")
        if source is None or item.get("AppManaged"):
            raise refuse(f"{field} without S3Input", sorted(item), "S3Input")
        expected = {"S3InputMode": "File", "S3CompressionType": "None"}
        for name, only in expected.items():
            if source.get(name, only) != only:
                raise refuse(f"{field}.S3Input.{name}", source[name], only)
        inside(f"{field}.LocalPath", source.get("LocalPath", ""), EXAMPLE_PATH)

    def role(self, record: dict[str, Any]) -> str:
        """RoleArn of the request."""
        return str(record["RoleArn"])

    def instances(self, record: dict[str, Any]) -> tuple[str, int]:
        """As in ClusterConfig."""
        cluster = record["ProcessingResources"]["ClusterConfig"]
        return cluster["InstanceType"], cluster.get("InstanceCount", 1)

    def container(self, record: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """ImageUri and the environment."""
        return record["AppSpecification"]["ImageUri"], record.get("Environment", {})

    def ending(self, life: Life, record: dict[str, Any], status: str, at: float) -> dict[str, Any]:
        """What the container left as its last words."""
        message = life.last_words()
        return {"ExitMessage": message[:MESSAGE_LIMIT]} if message else {}

    def work(self, run: Run) -> None:
        """Download the inputs, run the container, upload the outputs."""
        request = run.request
        application = request["AppSpecification"]
        image = run.image(application["ImageUri"])
        run.jobs.enter(run, "InProgress", ProcessingStartTime=run.jobs.cloud.clock.time())
        run.limit(request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME))
        bucket = run.bucket()
        for item in request.get("ProcessingInputs", []):
            source = item["S3Input"]
            bucket.download(source["S3Uri"], source["S3DataType"], run.base / source["LocalPath"][len("/opt/ml/") :])
        outputs = [item["S3Output"] for item in request.get("ProcessingOutputConfig", {}).get("Outputs", [])]
        folders = [(output["S3Uri"], run.base / output["LocalPath"][len("/opt/ml/") :]) for output in outputs]
        for _, folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._write_config(run)
        if "ContainerEntrypoint" not in application:
            words = "The embedded cloud has no entry point of its own; write AppSpecification.ContainerEntrypoint."
            raise JobFailure("ClientError", words)
        argv = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
        env = {"PROCESSING_JOB_NAME": run.name, "PROCESSING_JOB_ARN": request["ProcessingJobArn"]}
        code = run.execute(image, argv, env | request.get("Environment", {}), run.base)
        self._check_message(run)
        if run.stopping():
            raise Stopped
        if code:
            raise JobFailure("AlgorithmError", "See job logs for more information")
        for uri, folder in folders:
            bucket.put_folder(folder, uri)

    def _check_message(self, run: Run) -> None:
        # "If the data in this file isn't UTF-8 encoded, the job fails and returns a ClientError" (byoc-metadata)
        try:
            (run.base / "output/message").read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise JobFailure("ClientError", f"/opt/ml/output/message is not UTF-8: {error}") from error
        except OSError:
            pass

    def _write_config(self, run: Run) -> None:
        names = (
            "ProcessingJobArn", "ProcessingJobName", "Environment", "AppSpecification", "ProcessingInputs",
            "ProcessingOutputConfig", "ProcessingResources", "RoleArn", "StoppingCondition",
        )  # fmt: skip
        config = {name: run.request.get(name) for name in names}
        (run.base / "config/processingjobconfig.json").write_text(json.dumps(config))
        resources = toolkit.resource_config(self.instances(run.request)[0])
        (run.base / "config/resourceconfig.json").write_text(json.dumps(resources))
