"""AWS::Batch resources in CloudFormation stacks: MiniStack has none of them. Ref is the ARN of each."""

from collections.abc import Callable
from typing import Any

from local import ministack_seam as seam

Handle = Callable[[str, dict[str, Any]], dict[str, Any]]  # action, request → answer
Made = tuple[str, dict[str, Any]]
# maps whose keys are the user's own, and fields that the API spells in one more way
VERBATIM = {"Parameters", "Tags", "Options", "ShareAttributes"}
# CloudFormation may hand both on as text
TRUTHS = {"privileged", "readonlyRootFilesystem", "propagateTags", "enableExecuteCommand", "initProcessEnabled"}
NUMBERS = {"maxvCpus", "minvCpus", "desiredvCpus", "priority", "order", "attempts", "attemptDurationSeconds"}


def provision_batch(handle: Handle) -> None:
    """Take over the three resource types that jobs need."""
    for kind, made_by in (
        ("ComputeEnvironment", Environments(handle)),
        ("JobQueue", Queues(handle)),
        ("JobDefinition", Definitions(handle)),
    ):
        seam.provision(
            f"AWS::Batch::{kind}", {"create": made_by.create, "update": made_by.update, "delete": made_by.delete}
        )


class Environments:
    """AWS::Batch::ComputeEnvironment."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Create it under its name, or one made from the stack's."""
        request = camel(properties)
        request.setdefault("computeEnvironmentName", seam.physical_name(stack, logical_id, 128))
        request["type"] = str(request["type"]).upper()
        request.pop("replaceComputeEnvironment", None)
        arn = self._handle("CreateComputeEnvironment", request)["computeEnvironmentArn"]
        return arn, {"ComputeEnvironmentArn": arn}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Change its state and resources in place."""
        wanted = camel(new)
        fields = {name: wanted[name] for name in ("state", "computeResources") if name in wanted}
        self._handle("UpdateComputeEnvironment", {"computeEnvironment": physical_id, **fields})
        return physical_id, {"ComputeEnvironmentArn": physical_id}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Disable and delete it."""
        self._handle("UpdateComputeEnvironment", {"computeEnvironment": physical_id, "state": "DISABLED"})
        self._handle("DeleteComputeEnvironment", {"computeEnvironment": physical_id})


class Queues:
    """AWS::Batch::JobQueue."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Create it under its name, or one made from the stack's."""
        request = camel(properties)
        request.setdefault("jobQueueName", seam.physical_name(stack, logical_id, 128))
        arn = self._handle("CreateJobQueue", request)["jobQueueArn"]
        return arn, {"JobQueueArn": arn}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Change state, priority and order in place."""
        wanted = camel(new)
        fields = {name: wanted[name] for name in ("state", "priority", "computeEnvironmentOrder") if name in wanted}
        self._handle("UpdateJobQueue", {"jobQueue": physical_id, **fields})
        return physical_id, {"JobQueueArn": physical_id}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Disable and delete it."""
        self._handle("UpdateJobQueue", {"jobQueue": physical_id, "state": "DISABLED"})
        self._handle("DeleteJobQueue", {"jobQueue": physical_id})


class Definitions:
    """AWS::Batch::JobDefinition: a change registers the next revision, and the one before is no longer active."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Register it under its name, or one made from the stack's."""
        request = camel(properties)
        request.setdefault("jobDefinitionName", seam.physical_name(stack, logical_id, 128))
        for resource in request.get("containerProperties", {}).get("resourceRequirements", []):
            resource["value"] = str(resource["value"])
        arn = self._handle("RegisterJobDefinition", request)["jobDefinitionArn"]
        return arn, {"JobDefinitionArn": arn}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Register what it is now."""
        made = self.create(logical_id or physical_id, new, stack)
        self.delete(physical_id, old)
        return made

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Deregister one revision."""
        self._handle("DeregisterJobDefinition", {"jobDefinition": physical_id})


def camel(value: Any, name: str = "") -> Any:
    """Properties of a template, PascalCase, as fields of the API, camelCase; texts of numbers and truths as such."""
    if isinstance(value, dict):
        return {
            key[:1].lower() + key[1:]: item if key in VERBATIM else camel(item, key[:1].lower() + key[1:])
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [camel(item, name) for item in value]
    if name in NUMBERS:
        return int(value)
    return value == "true" if name in TRUTHS and isinstance(value, str) else value
