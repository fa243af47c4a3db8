"""State machines in CloudFormation stacks: made, changed and deleted through the Step Functions API of this cloud."""

from collections.abc import Callable
from typing import Any

from local import ministack_seam as seam
from local.service import ApiError

Handle = Callable[[str, dict[str, Any]], dict[str, Any]]  # action, request → answer


def provision_state_machines(handle: Handle) -> None:
    """Take over AWS::StepFunctions::StateMachine, StateMachineVersion and StateMachineAlias."""
    machines = StateMachines(handle)
    versions = Versions(handle)
    aliases = Aliases(handle)
    for kind, made_by in (
        ("StateMachine", machines),
        ("StateMachineVersion", versions),
        ("StateMachineAlias", aliases),
    ):
        seam.provision(
            f"AWS::StepFunctions::{kind}",
            {"create": made_by.create, "update": made_by.update, "delete": made_by.delete},
        )


class StateMachines:
    """AWS::StepFunctions::StateMachine: Ref is the ARN."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Create the machine from its definition, wherever the template keeps it."""
        name, definition = seam.machine_properties(properties, stack, logical_id)
        request = {
            "name": name,
            "type": properties.get("StateMachineType", "STANDARD"),
            **_settings(properties, definition),
        }
        if properties.get("Tags"):
            request["tags"] = [{"key": tag["Key"], "value": tag["Value"]} for tag in properties["Tags"]]
        arn = self._handle("CreateStateMachine", request)["stateMachineArn"]
        return arn, self._attributes(arn, name)

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Change the machine in place, or replace it when its name changed."""
        name, definition = seam.machine_properties(new, stack, logical_id or physical_id)
        current = physical_id.rpartition(":")[2]
        moved = seam.renamed(physical_id, old, new, stack, logical_id, name, current, self.create, self.delete)
        if moved is not None:
            return moved
        self._handle("UpdateStateMachine", {"stateMachineArn": physical_id, **_settings(new, definition)})
        return physical_id, self._attributes(physical_id, name)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete the machine; one that is already gone is no error."""
        _ignore_missing(self._handle, "DeleteStateMachine", {"stateMachineArn": physical_id})

    def _attributes(self, arn: str, name: str) -> dict[str, Any]:
        revision = self._handle("DescribeStateMachine", {"stateMachineArn": arn}).get("revisionId", "INITIAL")
        return {"Arn": arn, "Name": name, "StateMachineRevisionId": revision}


class Versions:
    """AWS::StepFunctions::StateMachineVersion: every change of it publishes another version."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Publish what the machine is now."""
        request = {"stateMachineArn": properties["StateMachineArn"]}
        if properties.get("Description"):
            request["description"] = properties["Description"]
        arn = self._handle("PublishStateMachineVersion", request)["stateMachineVersionArn"]
        return arn, {"Arn": arn}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Publish a new version; the old one stays until nothing routes to it."""
        return self.create(logical_id or physical_id, new, stack)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete one version."""
        _ignore_missing(self._handle, "DeleteStateMachineVersion", {"stateMachineVersionArn": physical_id})


class Aliases:
    """AWS::StepFunctions::StateMachineAlias, by RoutingConfiguration or DeploymentPreference (applied at once)."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Create the alias."""
        request = {"name": properties["Name"], "routingConfiguration": _routes(properties)}
        arn = self._handle("CreateStateMachineAlias", request)["stateMachineAliasArn"]
        return arn, {"Arn": arn}

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Route the alias anew."""
        request = {"stateMachineAliasArn": physical_id, "routingConfiguration": _routes(new)}
        self._handle("UpdateStateMachineAlias", request)
        return physical_id, {"Arn": physical_id}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete the alias."""
        _ignore_missing(self._handle, "DeleteStateMachineAlias", {"stateMachineAliasArn": physical_id})


def _settings(properties: dict[str, Any], definition: str) -> dict[str, Any]:
    told: dict[str, Any] = {"definition": definition, "roleArn": properties["RoleArn"]}
    for name, field in (
        ("LoggingConfiguration", "loggingConfiguration"),
        ("TracingConfiguration", "tracingConfiguration"),
    ):
        if properties.get(name):
            told[field] = _camel(properties[name])
    return told


def _routes(properties: dict[str, Any]) -> list[dict[str, Any]]:
    preference = properties.get("DeploymentPreference") or {}
    routes = properties.get("RoutingConfiguration") or [
        {"StateMachineVersionArn": preference.get("StateMachineVersionArn"), "Weight": 100}
    ]
    return [
        {"stateMachineVersionArn": route["StateMachineVersionArn"], "weight": int(route["Weight"])} for route in routes
    ]


def _camel(value: Any) -> Any:
    """Template properties are PascalCase, the API's fields camelCase."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if value in ("true", "false"):  # CloudFormation hands booleans on as text
        return value == "true"
    return value


def _ignore_missing(handle: Handle, action: str, request: dict[str, Any]) -> None:
    try:
        handle(action, request)
    except ApiError as error:
        if error.code not in ("StateMachineDoesNotExist", "ResourceNotFound"):
            raise
