"""AWS::ApplicationAutoScaling resources in stacks: scalable targets and scaling policies."""

from collections.abc import Callable
from typing import Any

from local import ministack_seam as seam
from local.autoscaling.service import NAME
from local.autoscaling.targets import FIELDS
from local.cloudwatch.protocol import coerced
from local.programs.checks import service_model
from local.service import ApiError

Handle = Callable[[str, dict[str, Any]], dict[str, Any]]  # action, request → answer
Made = tuple[str, dict[str, Any]]
NOT_HERE = ("ScheduledActions", "PredictiveScalingPolicyConfiguration")


def provision_autoscaling(handle: Handle) -> None:
    """Take over the two resource types. Each asks CloudWatch or SageMaker, of this very cloud."""
    seam.provision_in_threads("AWS::ApplicationAutoScaling::")
    for kind, made_by in (("ScalableTarget", TargetResources(handle)), ("ScalingPolicy", PolicyResources(handle))):
        seam.provision(
            f"AWS::ApplicationAutoScaling::{kind}",
            {"create": made_by.create, "update": made_by.update, "delete": made_by.delete},
        )


class TargetResources:
    """AWS::ApplicationAutoScaling::ScalableTarget: Ref is `resource|dimension|namespace`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Register it."""
        self._handle("RegisterScalableTarget", _request("RegisterScalableTarget", properties))
        number = "|".join(properties[field] for field in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
        return number, {"Id": number}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Change its bounds in place, or register another one."""
        return self.create(logical_id or physical_id, new, stack)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Deregister it, with its policies; one that is already gone is no error."""
        _ignore_missing(self._handle, "DeregisterScalableTarget", _of(physical_id))


class PolicyResources:
    """AWS::ApplicationAutoScaling::ScalingPolicy: Ref is the ARN."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Put it on the target that it names, by ScalingTargetId or by its parts."""
        arn = self._handle("PutScalingPolicy", _request("PutScalingPolicy", _placed(properties)))["PolicyARN"]
        return arn, {"Arn": arn, "PolicyName": properties["PolicyName"]}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Change it in place, or put another one where its name, type or target changed."""
        same = all(
            _placed(old).get(field) == _placed(new).get(field) for field in (*FIELDS, "PolicyName", "PolicyType")
        )
        if not same:
            self.delete(physical_id, old)
        return self.create(logical_id or physical_id, new, stack)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete it; one that is already gone, with its target, is no error."""
        placed = _placed(properties)
        request = {field: placed[field] for field in (*FIELDS, "PolicyName")}
        _ignore_missing(self._handle, "DeleteScalingPolicy", request)


def _request(action: str, properties: dict[str, Any]) -> dict[str, Any]:
    for name in NOT_HERE:
        if name in properties:
            raise ApiError("ValidationException", f"{name}: the embedded cloud does not have it")
    request: dict[str, Any] = coerced(service_model(NAME).operation_model(action).input_shape, properties)
    return request


def _placed(properties: dict[str, Any]) -> dict[str, Any]:
    told = {key: value for key, value in properties.items() if key != "ScalingTargetId"}
    return {**told, **_of(properties["ScalingTargetId"])} if "ScalingTargetId" in properties else told


def _of(target: str) -> dict[str, Any]:
    """The parts of a scalable target's Ref."""
    resource, dimension, namespace = target.split("|")
    return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}


def _ignore_missing(handle: Handle, action: str, request: dict[str, Any]) -> None:
    try:
        handle(action, request)
    except ApiError as error:
        if error.code != "ObjectNotFoundException":
            raise
