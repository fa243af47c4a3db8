"""What training, processing and transform jobs of SageMaker have in common."""

import json
from typing import TYPE_CHECKING, Any

from boxcar.errors import StepError
from boxcar.jobs.kind import AlreadyStarted, Clients, Kind, Launch, Observation, seconds

if TYPE_CHECKING:
    from boxcar.settings import Settings
    from boxcar.steps import Step


class SageMakerJob(Kind):
    """A job of SageMaker. API, events and ARNs follow one pattern in `noun`."""

    service = "sagemaker"
    noun: str  # Training, Processing, Transform
    name: str  # the kind; AWS counts quotas by kind and instance type
    tells_why: tuple[str, ...] = ("FailureReason",)  # an event of a failure that lacks one of these is not believed

    @property
    def detail_types(self) -> tuple[str, ...]:  # type: ignore[override]
        """Of the events."""
        return (f"SageMaker {self.noun} Job State Change",)

    def check(self, step: "Step", settings: "Settings") -> None:
        """An image that the stack knows, a script, and the code it is in."""
        if step.image not in settings.images:
            known = ", ".join(sorted(settings.images)) or "(none: set the stack's image parameters)"
            raise StepError(f"step {step.name}: image: {step.image!r} is not known; write one of {known}")
        if not step.script or step.code is None:
            raise StepError(f"step {step.name}: script: a {self.name} step needs a script and the code it is in")
        resources = step.resources
        if self.name != "training" and (resources.spot != "never" or resources.checkpoints or resources.keep_alive_s):
            raise StepError(
                f"step {step.name}: resources: spot, checkpoints and keep_alive_s are for training; a {self.name} "
                "step cannot have them"
            )
        for index, uri in step.inputs.items():
            if not uri.startswith("s3://"):
                raise StepError(f"step {step.name}: inputs.{index}: {uri!r} is not an s3:// URI or an @ reference")

    def pools(self, step: "Step") -> list[str]:
        """Quotas of SageMaker are by use and instance type ("ml.m5.large for training job usage")."""
        return [f"{self.name}/{instance_type}" for instance_type in step.resources.instance_types]

    def units(self, step: "Step") -> int:
        """One an instance."""
        return step.resources.instance_count

    def outputs(self, step: "Step", place: str, name: str) -> dict[str, str]:
        """A folder each."""
        return {output: f"{place}{output}/" for output in step.outputs}

    def observe(self, detail: dict[str, Any]) -> Observation:
        """Read an event, or a Describe answer: they are alike."""
        status, started = detail[f"{self.noun}JobStatus"], seconds(detail.get(f"{self.noun}StartTime"))
        if status in ("InProgress", "Stopping"):
            status = "InProgress" if started else "Starting"
        return Observation(
            name=detail[f"{self.noun}JobName"],
            arn=detail.get(f"{self.noun}JobArn", ""),
            status=status,
            created=seconds(detail.get("CreationTime")),
            started=started,
            ended=seconds(detail.get(f"{self.noun}EndTime")),
            billable_seconds=detail.get("BillableTimeInSeconds"),
            reason=detail.get("FailureReason") or "",
            message=detail.get("ExitMessage") or "",
            secondary=detail.get("SecondaryStatus") or "",
            # A training job says so once, among what goes before and after; the others have no secondary status.
            running=detail.get("SecondaryStatus") in (None, "", "Training"),
            partial=status == "Failed" and not all(detail.get(field) for field in self.tells_why),
        )

    def logs(self, name: str, arn: str) -> tuple[str, str]:
        """One group for all jobs of a kind, one stream a machine."""
        return f"/aws/sagemaker/{self.noun}Jobs", f"{name}/"

    def describe(self, name: str, arn: str, clients: Clients) -> Observation:
        """One Describe call."""
        call = getattr(clients(self.service), f"describe_{self.noun.lower()}_job")
        try:
            return self.observe(call(**{f"{self.noun}JobName": name}))
        except Exception as error:
            if not _is(error, "ResourceNotFound", "ValidationException"):
                raise
            return Observation(name, "Failed", reason=f"InternalServerError: SageMaker does not know {name} any more")

    def stop(self, name: str, arn: str, clients: Clients) -> None:
        """One Stop call."""
        call = getattr(clients(self.service), f"stop_{self.noun.lower()}_job")
        try:
            call(**{f"{self.noun}JobName": name})
        except Exception as error:
            if not _is(error, "ResourceNotFound", "ValidationException"):  # it has ended by itself
                raise

    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """One Create call."""
        request = self.request(launch, settings)
        request["Tags"] = [
            {"Key": f"boxcar:{key}", "Value": value}
            for key, value in {"job": launch.job, "run": launch.run, "model": launch.model}.items()
            if value
        ]
        call = getattr(clients(self.service), f"create_{self.noun.lower()}_job")
        try:
            arn: str = call(**request)[f"{self.noun}JobArn"]
        except Exception as error:
            if _is(error, "ResourceInUse", "ResourceInUseException"):
                raise AlreadyStarted(launch.name) from error
            raise
        return arn

    def request(self, launch: Launch, settings: "Settings") -> dict[str, Any]:
        """The Create request."""
        raise NotImplementedError


def script_mode(step: "Step", settings: "Settings") -> dict[str, str]:
    """What SageMaker's framework containers read to find the script, in lower case as hyperparameters are.

    Source: SageMaker Python SDK, "Use script mode".
    """
    assert step.script and step.code
    return {
        "sagemaker_program": step.script,
        "sagemaker_submit_directory": step.code.archive,
        "sagemaker_region": settings.region,
        "sagemaker_container_log_level": "20",
    }


def serving_environment(step: "Step", settings: "Settings") -> dict[str, str]:
    """The same for a container that serves: as environment variables of a model the names are in upper case."""
    return {key.upper(): value for key, value in script_mode(step, settings).items()}


def hyperparameters(step: "Step", settings: "Settings") -> dict[str, str]:
    """Every value as a JSON text, as script mode expects them."""
    values: dict[str, Any] = {**step.config, **script_mode(step, settings), "sagemaker_container_log_level": 20}
    return {key: json.dumps(value) for key, value in values.items()}


def s3_folder(uri: str) -> dict[str, Any]:
    """Everything under one prefix, in full on each machine."""
    return {"S3DataType": "S3Prefix", "S3Uri": uri}


def _is(error: Exception, *codes: str) -> bool:
    response = getattr(error, "response", None)
    return isinstance(response, dict) and response.get("Error", {}).get("Code") in codes


def already_exists(error: Exception) -> bool:
    """CreateModel says ValidationException for a name that is taken."""
    message = str(getattr(error, "response", {}).get("Error", {}).get("Message", ""))
    return _is(error, "ResourceInUse", "ResourceInUseException") or (
        _is(error, "ValidationException") and "already exist" in message
    )
