"""Mocks and contexts of TestState: what may be mocked, and whether a mock looks like what it stands for."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

from botocore.model import Shape

from local.service import ApiError
from local.stepfunctions import sdk
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.integrations import Resource, unknown_resource

MOCKABLE = ("Task", "Map", "Parallel")
CONTEXT: dict[str, dict[str, type]] = {
    "Execution": {"Id": str, "Input": object, "Name": str, "RoleArn": str, "StartTime": str},
    "State": {"EnteredTime": str, "Name": str, "RetryCount": int},
    "StateMachine": {"Id": str, "Name": str},
    "Task": {"Token": str},
}


def refused(message: str) -> ApiError:
    """A request that AWS refuses."""
    return ApiError("ValidationException", message)


def check(state: dict[str, Any], request: dict[str, Any], mock: dict[str, Any] | None) -> None:
    """Refuse a mock that the state, as written, cannot have, and a state that cannot be tested without one."""
    kind = state.get("Type")
    settings = request.get("stateConfiguration") or {}
    if kind != "Map" and "mapIterationFailureCount" in settings:
        raise refused("MapIterationFailureCount is only supported when testing a Map state.")
    if kind == "Map" and mock is not None and "ItemReader" in state and "mapItemReaderData" not in settings:
        raise refused("ItemReader data must be specified when testing a Map state with ItemReader specified.")
    if mock is not None:
        if kind not in MOCKABLE:
            raise refused(f"State type '{kind}' is not supported when a mock is specified")
        if "result" in mock and "errorOutput" in mock:
            raise refused("A test mock should have only one of the following fields: [result, errorOutput].")
        if request.get("revealSecrets"):
            raise refused("TestState does not support RevealSecrets when a mock is specified.")
        if "result" in mock:
            result(state, mock)
        elif "errorOutput" not in mock:
            raise refused("One of the following fields is required for a test mock: [result, errorOutput].")
        elif not mock["errorOutput"].get("error"):
            raise refused("An error was not specified in the mocked error output.")
        return
    if kind in ("Map", "Parallel"):
        raise ApiError(
            "InvalidDefinition",
            "TestState API does not support Map or Parallel states. Supported state types include: "
            "[Task, Wait, Pass, Succeed, Fail, Choice]",
        )
    if kind == "Task" and not request.get("roleArn"):
        raise refused("RoleArn must be specified when testing a Task state")


def resource_of(state: dict[str, Any]) -> Resource | None:
    """The resource of a Task as written, if it is one that can be called."""
    arn = state.get("Resource")
    return (
        Resource.of(arn) if state.get("Type") == "Task" and isinstance(arn, str) and not unknown_resource(arn) else None
    )


def result(state: dict[str, Any], mock: dict[str, Any]) -> None:
    """Refuse a mocked result of the wrong form."""
    try:
        value = json.loads(mock["result"])
    except ValueError:
        raise refused("Mocked result must be valid JSON.") from None
    if state["Type"] == "Map":
        written = "Resource" in state.get("ResultWriter", {})
        if written and not isinstance(value, dict):
            raise refused("Mocked result must be a JSON object.")
        if not written and not isinstance(value, list):
            raise refused("Mocked result must be an array.")
    if state["Type"] == "Parallel":
        if not isinstance(value, list):
            raise refused("Mocked result must be an array.")
        if len(value) != len(state.get("Branches", [])):
            raise refused("Mocked result must contain the same number of items as number of Parallel branches.")
    mode = mock.get("fieldValidationMode", "STRICT")
    resource = resource_of(state)
    if resource is not None and resource.function is None and not resource.mode and not isinstance(value, dict):
        raise refused("Mocked result must be a valid JSON object.")
    if resource is not None and mode != "NONE" and resource.function is None and not resource.mode:
        output = sdk.operation(resource.client, resource.action).output_shape
        if output is not None and isinstance(value, dict):
            fields(output, value, "", mode == "STRICT", resource.sdk)


def fields(shape: Shape, value: Any, name: str, strict: bool, java: bool) -> None:
    """Compare a mocked result with the API's model: kinds, bounds and, when strict, required fields."""
    kind = KINDS.get(shape.type_name, "string")
    if not isinstance(value, PYTHON[kind]) or (kind == "number" and isinstance(value, bool)):
        raise invalid(f"Field '{name}' must be {'an' if kind[0] in 'ao' else 'a'} {kind}")
    if shape.type_name == "structure":
        members = {shown(n, java): (n, s) for n, s in shape.members.items()}
        for required in shape.required_members if strict else ():
            if shown(required, java) not in value:
                raise invalid(f"Required field '{shown(required, java)}' is missing")
        for key, part in value.items():
            if key in members:
                fields(members[key][1], part, key, strict, java)
    elif shape.type_name == "list":
        for part in value:
            fields(shape.member, part, name, strict, java)
    elif shape.type_name == "map":
        for part in value.values():
            fields(shape.value, part, name, strict, java)
    else:
        bounds(shape, value, name)


KINDS = {
    "structure": "object", "map": "object", "list": "array", "boolean": "boolean", "integer": "number",
    "long": "number", "float": "number", "double": "number",
}  # fmt: skip
PYTHON: dict[str, Any] = {"object": dict, "array": list, "boolean": bool, "number": (int, float), "string": str}


def shown(name: str, java: bool) -> str:
    """A member as a Task's result names it."""
    return sdk.java_name(name) if java else name[:1].upper() + name[1:]


def bounds(shape: Shape, value: Any, name: str) -> None:
    """Refuse a value outside the model's enumeration, range or length."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(value, str):
        if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
            raise invalid(f"Field '{name}' is not an expected value")
        if low is not None and len(value) < low:
            raise invalid(f"Field '{name}' is smaller than the minimum length")
        if high is not None and len(value) > high:
            raise invalid(f"Field '{name}' exceeds the maximum length")
    elif not isinstance(value, bool):
        if low is not None and value < low:
            raise invalid(f"Field '{name}' is less than the minimum value")
        if high is not None and value > high:
            raise invalid(f"Field '{name}' exceeds the maximum value")


def invalid(what: str) -> ApiError:
    """A mocked result that is not what the API could answer."""
    return refused(f"Mock result schema validation error: {what}")


def error(mock: dict[str, Any]) -> StateFailure:
    """The mocked error."""
    given = mock["errorOutput"]
    return StateFailure(given.get("error"), given.get("cause"))


def context(
    request: dict[str, Any], value: Any, state: dict[str, Any], load: Callable[[str, str], Any], owner: str
) -> dict[str, Any]:
    """`$states.context`: made up, or as the request gives it; `owner` is region and account."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    name, machine = str(uuid.uuid4()), str(uuid.uuid4())
    prefix = f"arn:aws:states:{owner}"
    made: dict[str, Any] = {
        "Execution": {
            "Id": f"{prefix}:express:{machine}:{name}", "Input": value, "Name": name,
            "RoleArn": request.get("roleArn"), "StartTime": now,
        },
        "StateMachine": {"Id": f"{prefix}:stateMachine:{machine}", "Name": machine},
    }  # fmt: skip
    resource = resource_of(state)
    if resource is not None and resource.mode == "waitForTaskToken":
        made["Task"] = {"Token": str(uuid.uuid4())}
    if "context" not in request:
        return made
    given = load(request["context"], "context")
    if not isinstance(given, dict):
        raise refused("Invalid Context object provided: Context object must be a JSON object")
    for section, members in given.items():
        known = CONTEXT.get(section)
        if section == "Map":
            raise refused("Invalid Context object provided: 'Map' field is not supported when mocking a Context object")
        if known is None:
            raise refused(f"Invalid Context object provided: Field '{section}' is not allowed")
        if section == "Task" and not (resource is not None and resource.mode):
            raise refused(
                "Invalid Context object provided: Context object contains 'Task' when state is not a Task state with a "
                "'.sync' or '.waitForTaskToken' service integration pattern"
            )
        if not isinstance(members, dict):
            raise refused(f"Invalid Context object provided: {section} must be an object")
        for member, found in members.items():
            if member not in known:
                raise refused(f"Invalid Context object provided: Field '{member}' is not allowed")
            wanted = known[member]
            if wanted is str and not isinstance(found, str):
                raise refused(f"Invalid Context object provided: {section}.{member} must be a string")
            if wanted is int and (isinstance(found, bool) or not isinstance(found, int)):
                raise refused(f"Invalid Context object provided: {section}.{member} must be an integer")
    return given
