"""AWS::CloudWatch resources in CloudFormation stacks: made, changed and deleted through CloudWatch's own API."""

from collections.abc import Callable
from typing import Any

from local import ministack_seam as seam
from local.cloudwatch.protocol import coerced
from local.programs.checks import service_model
from local.service import ApiError

Handle = Callable[[str, dict[str, Any]], dict[str, Any]]  # action, request → answer
Made = tuple[str, dict[str, Any]]


def provision_cloudwatch(handle: Handle) -> None:
    """Take over alarms and dashboards; a composite alarm fails its stack with CloudWatch's own refusal."""
    for kind, made_by in (
        ("Alarm", AlarmResources(handle)),
        ("CompositeAlarm", AlarmResources(handle, "PutCompositeAlarm")),
        ("Dashboard", DashboardResources(handle)),
    ):
        seam.provision(
            f"AWS::CloudWatch::{kind}", {"create": made_by.create, "update": made_by.update, "delete": made_by.delete}
        )


class AlarmResources:
    """AWS::CloudWatch::Alarm: Ref is the name."""

    def __init__(self, handle: Handle, action: str = "PutMetricAlarm") -> None:
        self._handle = handle
        self._action = action

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Create it under its name, or one made from the stack's."""
        name = properties.get("AlarmName") or seam.physical_name(stack, logical_id, 255)
        return self._put(name, properties)

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Change it in place, or replace it when its name changed."""
        name = new.get("AlarmName") or seam.physical_name(stack, logical_id or physical_id, 255)
        moved = seam.renamed(physical_id, old, new, stack, logical_id, name, physical_id, self.create, self.delete)
        return moved if moved is not None else self._put(name, new)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete it; one that is already gone is no error."""
        _ignore_missing(self._handle, "DeleteAlarms", {"AlarmNames": [physical_id]})

    def _put(self, name: str, properties: dict[str, Any]) -> Made:
        shape = service_model("cloudwatch").operation_model(self._action).input_shape
        self._handle(self._action, coerced(shape, {**properties, "AlarmName": name}))
        [alarm] = self._handle("DescribeAlarms", {"AlarmNames": [name]})["MetricAlarms"]
        return name, {"Arn": alarm["AlarmArn"]}


class DashboardResources:
    """AWS::CloudWatch::Dashboard: Ref is the name."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Create it under its name, or one made from the stack's."""
        name = properties.get("DashboardName") or seam.physical_name(stack, logical_id, 255)
        self._handle("PutDashboard", {"DashboardName": name, "DashboardBody": properties["DashboardBody"]})
        return name, {}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Change its body in place, or replace it when its name changed."""
        name = new.get("DashboardName") or seam.physical_name(stack, logical_id or physical_id, 255)
        moved = seam.renamed(physical_id, old, new, stack, logical_id, name, physical_id, self.create, self.delete)
        return (
            moved
            if moved is not None
            else self.create(logical_id or physical_id, {**new, "DashboardName": name}, stack)
        )

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete it; one that is already gone is no error."""
        _ignore_missing(self._handle, "DeleteDashboards", {"DashboardNames": [physical_id]})


def _ignore_missing(handle: Handle, action: str, request: dict[str, Any]) -> None:
    try:
        handle(action, request)
    except ApiError as error:
        if error.code != "ResourceNotFound":
            raise
