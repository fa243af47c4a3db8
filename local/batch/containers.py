"""The container of a job: its definition with the overrides of SubmitJob, and what stands for its image here."""

import re
from typing import Any

from local.batch.places import not_here, refuse
from local.programs.program import PYTHON, Surroundings
from local.sagemaker.containers import IMAGES

Record = dict[str, Any]
PARAMETER = re.compile(r"Ref::(\w+)")
# AWS's build image for Python: the packages of its Lambda runtime, no entry point (github.com/aws/aws-sam-build-images)
BUILD_IMAGE = re.compile(r"public\.ecr\.aws/sam/build-python3\.\d+(:[\w.-]+)?")
LAMBDA = Surroundings("lambda", preload=("boto3",))
# The load-test container for CPUs, from a registry of one's own: `<stack>-neuron:cpu` (docs/benchmark.md)
LOAD_TEST_IMAGE = re.compile(r"\d+\.dkr\.ecr\.[^/]+/[\w-]+-neuron:cpu")
LOAD_TEST = Surroundings("neuron")
OVERRIDES = ("command", "environment", "resourceRequirements", "vcpus", "memory")


class PullError(Exception):
    """An image that is not to be had, in the words of the container agent."""


class Failure(Exception):  # noqa: N818
    """The task could not be started: statusReason, and the container's own reason."""

    def __init__(self, status_reason: str, container_reason: str = "") -> None:
        super().__init__(status_reason)
        self.status_reason = status_reason
        self.container_reason = container_reason


def surroundings(image: str) -> Surroundings:
    """What stands for an image.

    Raises:
        PullError: nothing does.
    """
    if BUILD_IMAGE.fullmatch(image):
        return LAMBDA
    if LOAD_TEST_IMAGE.fullmatch(image):
        return LOAD_TEST
    name = re.sub(r"^(\d+\.dkr\.ecr\.[^/]+/)", "", image).removesuffix("-cpu-py3")
    if name in IMAGES:
        return Surroundings(IMAGES[name].environment, IMAGES[name].preload)
    known = ", ".join(["public.ecr.aws/sam/build-python3.13", "<stack>-neuron:cpu", *sorted(IMAGES)])
    raise PullError(
        f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: "
        f"not found. The embedded cloud has: {known}"
    )


def merged(definition: Record, request: Record) -> Record:
    """The `container` of a new job.

    Raises:
        ApiError: an override that is not implemented, or no vCPUs or memory.
    """
    base, overrides = definition["containerProperties"], request.get("containerOverrides", {})
    for field in sorted(set(overrides) - set(OVERRIDES)):
        raise not_here(f"containerOverrides.{field}", "leave it out")
    parameters = {**definition.get("parameters", {}), **request.get("parameters", {})}
    command = overrides.get("command") or base.get("command") or []
    resources = {**_resources(base), **_resources(overrides)}
    for kind in ("VCPU", "MEMORY"):
        if kind not in resources:
            raise refuse(f"Error executing request, Exception : resourceRequirements must contain {kind}")
    environment = {item["name"]: item.get("value", "") for item in base.get("environment", [])}
    environment |= {item["name"]: item.get("value", "") for item in overrides.get("environment", [])}
    return {
        **{name: value for name, value in base.items() if name not in (*OVERRIDES, "instanceType")},
        "command": [PARAMETER.sub(lambda found: parameters.get(found[1], found[0]), part) for part in command],
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "resourceRequirements": [{"type": kind, "value": value} for kind, value in sorted(resources.items())],
        "volumes": base.get("volumes", []),
        "mountPoints": base.get("mountPoints", []),
        "ulimits": base.get("ulimits", []),
        "secrets": base.get("secrets", []),
        "networkInterfaces": [],
    }


def vcpus(container: Record) -> float:
    """How much of a compute environment it takes.

    Raises:
        ApiError: it is no number.
    """
    value = next(item["value"] for item in container["resourceRequirements"] if item["type"] == "VCPU")
    try:
        return float(value)
    except ValueError as error:
        raise refuse(f"Error executing request, Exception : VCPU {value!r} is not a number") from error


def timeout(definition: Record, request: Record) -> Record | None:
    """`timeout` of a new job.

    Raises:
        ApiError: less than AWS's minimum of 60 seconds.
    """
    told: Record | None = request.get("timeout") or definition.get("timeout")
    if told and told.get("attemptDurationSeconds", 60) < 60:
        raise refuse("Error executing request, Exception : attemptDurationSeconds must be at least 60")
    return told


def retry(definition: Record, request: Record) -> Record:
    """`retryStrategy` of a new job."""
    told = request.get("retryStrategy") or definition["retryStrategy"]
    if told.get("evaluateOnExit"):
        raise not_here("retryStrategy.evaluateOnExit", "write attempts alone")
    if not 1 <= told.get("attempts", 1) <= 10:
        raise refuse("Error executing request, Exception : retryStrategy.attempts must be between 1 and 10")
    return {"attempts": told.get("attempts", 1), "evaluateOnExit": []}


def is_python(command: str) -> bool:
    """Whether a command is the image's Python."""
    return bool(PYTHON.match(command))


def log_place(container: Record, definition: str, task: str) -> tuple[str, str]:
    """Log group and stream: https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html"""
    options = container.get("logConfiguration", {}).get("options", {})
    name = re.sub(r"^arn:[^/]+/|:\d+$", "", definition)
    prefix = options.get("awslogs-stream-prefix") or name
    return options.get("awslogs-group", "/aws/batch/job"), f"{prefix}/default/{task}"


def _resources(properties: Record) -> dict[str, str]:
    """By type, the older fields included."""
    told = {kind: str(properties[old]) for kind, old in (("VCPU", "vcpus"), ("MEMORY", "memory")) if old in properties}
    return told | {item["type"]: item["value"] for item in properties.get("resourceRequirements", [])}
