"""AWS::Glue::Job in CloudFormation stacks: Ref is the name."""

from collections.abc import Callable
from typing import Any

from local import ministack_seam as seam

Handle = Callable[[str, dict[str, Any]], dict[str, Any]]  # action, request → answer
Made = tuple[str, dict[str, Any]]
NUMBERS = {"MaxConcurrentRuns", "MaxRetries", "Timeout", "NumberOfWorkers", "AllocatedCapacity"}


def provision_glue_jobs(handle: Handle) -> None:
    """Take over AWS::Glue::Job; every other type of Glue stays MiniStack's."""
    made_by = GlueJobs(handle)
    seam.provision("AWS::Glue::Job", {"create": made_by.create, "update": made_by.update, "delete": made_by.delete})


class GlueJobs:
    """AWS::Glue::Job."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Create it under its name, or one made from the stack's."""
        name = properties.get("Name") or seam.physical_name(stack, logical_id, 255)
        return self._handle("CreateJob", {**_fields(properties), "Name": name})["Name"], {}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Change it in place, or replace it when its name changed."""
        if new.get("Name", physical_id) != physical_id:
            made = self.create(logical_id or physical_id, new, stack)
            self.delete(physical_id, old)
            return made
        update = {name: value for name, value in _fields(new).items() if name not in ("Name", "Tags")}
        self._handle("UpdateJob", {"JobName": physical_id, "JobUpdate": update})
        return physical_id, {}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete it; its runs go on."""
        self._handle("DeleteJob", {"JobName": physical_id})


def _fields(value: Any, name: str = "") -> Any:
    """Properties as the API takes them: CloudFormation may hand numbers on as text."""
    if isinstance(value, dict):
        return {key: item if name == "DefaultArguments" else _fields(item, key) for key, item in value.items()}
    if name in NUMBERS:
        return int(value)
    return float(value) if name == "MaxCapacity" else value
