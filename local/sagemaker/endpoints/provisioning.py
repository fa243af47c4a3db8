"""AWS::SageMaker resources in stacks: models, endpoint configurations, endpoints. Ref is the ARN of each.

On AWS a stack waits until an endpoint is InService, and fails when that fails.
"""

import time
from collections.abc import Callable
from typing import Any

from local import ministack_seam as seam
from local.cloudwatch.protocol import coerced
from local.sagemaker.requests import service_model
from local.service import ApiError

Handle = Callable[[str, dict[str, Any]], dict[str, Any]]  # action, request → answer
Made = tuple[str, dict[str, Any]]
LONGEST_NAME = 63
SETTLING = ("Creating", "Updating", "RollingBack")
EVERY, MOST = 0.05, 3600.0  # seconds of wall time between two looks at an endpoint, and of waiting for it


def provision_endpoints(handle: Handle) -> None:
    """Take over the three resource types. Each reads S3, of this very cloud."""
    seam.provision_in_threads("AWS::SageMaker::")
    for made_by in (Resource(handle, "Model"), Resource(handle, "EndpointConfig"), Endpoint(handle)):
        seam.provision(
            f"AWS::SageMaker::{made_by.noun}",
            {"create": made_by.create, "update": made_by.update, "delete": made_by.delete},
        )


class Resource:
    """A resource that is never changed, only replaced."""

    def __init__(self, handle: Handle, noun: str) -> None:
        self._handle = handle
        self.noun = noun

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Create it under its name, or one made from the stack's."""
        field = f"{self.noun}Name"
        request = self._request("Create", properties)
        request.setdefault(field, seam.physical_name(stack, logical_id, LONGEST_NAME))
        arn = self._handle(f"Create{self.noun}", request)[f"{self.noun}Arn"]
        return arn, {field: request[field]}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Make another one in its place. One with a name of its own cannot be, as on AWS."""
        field = f"{self.noun}Name"
        if old == new:
            return physical_id, {field: self._name(physical_id, new)}
        if new.get(field) and new.get(field) == old.get(field):
            words = "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename"
            raise ApiError("ValidationError", f"{words} {new[field]}")
        unnamed = {} if new.get(field) else {field: _next(self._name(physical_id, old))}
        # the one before is deleted when the whole stack has been changed, so that a rollback finds it
        return self.create(logical_id or physical_id, {**new, **unnamed}, stack)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete it; one that is already gone is no error."""
        try:
            self._handle(f"Delete{self.noun}", {f"{self.noun}Name": self._name(physical_id, properties)})
        except ApiError as error:
            if "Could not find" not in error.message:
                raise

    def _request(self, verb: str, properties: dict[str, Any]) -> dict[str, Any]:
        shape = service_model().operation_model(f"{verb}{self.noun}").input_shape
        request: dict[str, Any] = coerced(shape, properties)
        return request

    def _name(self, physical_id: str, properties: dict[str, Any]) -> str:
        """The name as it was given: an ARN has it in lower case only, and so do the names that stacks make."""
        short = physical_id.rpartition("/")[2]
        found = self._handle(f"List{self.noun}s", {"NameContains": short, "MaxResults": 100})[f"{self.noun}s"]
        names = [each[f"{self.noun}Name"] for each in found]
        return next((name for name in names if name.lower() == short), properties.get(f"{self.noun}Name", short))


class Endpoint(Resource):
    """AWS::SageMaker::Endpoint: another configuration is a deployment."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle, "Endpoint")

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        """Create it, and wait until it is in service."""
        own = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")
        chosen = {name: value for name, value in properties.items() if name not in own}
        arn, attributes = super().create(logical_id, chosen, stack)
        self._settled(attributes["EndpointName"])
        return arn, attributes

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Made:
        """Deploy another configuration, or replace the endpoint when its name changed."""
        if new.get("EndpointName") != old.get("EndpointName"):
            return self.create(logical_id or physical_id, new, stack)
        name = self._name(physical_id, new)
        request = self._request("Update", {key: value for key, value in new.items() if key != "Tags"})
        if {**old, "Tags": None} != {**new, "Tags": None}:
            self._handle("UpdateEndpoint", {**request, "EndpointName": name})
            self._settled(name)
        return physical_id, {"EndpointName": name}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete it, once nothing is under way (it may be scaling)."""
        try:
            self._at_rest(self._name(physical_id, properties))
        except ApiError:
            return  # it is gone
        super().delete(physical_id, properties)

    def _at_rest(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + MOST
        while (told := self._handle("DescribeEndpoint", {"EndpointName": name}))["EndpointStatus"] in SETTLING:
            if time.monotonic() > deadline:
                raise ApiError("NotStabilized", f"endpoint {name} is {told['EndpointStatus']} for longer than {MOST} s")
            time.sleep(EVERY)
        return told

    def _settled(self, name: str) -> None:
        told = self._at_rest(name)
        if told["EndpointStatus"] != "InService" or "FailureReason" in told:
            raise ApiError("NotStabilized", f"endpoint {name}: {told.get('FailureReason', told['EndpointStatus'])}")


def _next(name: str) -> str:
    """Another name than the one that is still there."""
    stem, _, number = name.rpartition("-v")
    return f"{stem}-v{int(number) + 1}" if stem and number.isdigit() else f"{name[: LONGEST_NAME - 5]}-v2"
