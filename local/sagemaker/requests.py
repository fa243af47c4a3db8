"""Requests against botocore's own service model, refused in SageMaker's words."""

import re
from functools import cache
from typing import Any

from local.service import ApiError


@cache
def service_model(service: str = "sagemaker") -> Any:
    """Botocore's model of SageMaker, or of its runtime: shapes, patterns, limits."""
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def operations() -> set[str]:
    """Every action that SageMaker has."""
    return set(service_model().operation_names)


def output_members(action: str) -> list[str]:
    """The names of the fields that the answer of an action may have."""
    return list(service_model().operation_model(action).output_shape.members)


def validate(action: str, request: dict[str, Any], service: str = "sagemaker") -> None:
    """Check a request as SageMaker does before it looks at anything else.

    Raises:
        ApiError: ValidationException with every violated constraint, SerializationException for a wrong JSON type.
    """
    faults: list[str] = []
    shape = service_model(service).operation_model(action).input_shape
    if shape is not None:
        _structure(shape, request, "", faults)
    if faults:
        noun = "error" if len(faults) == 1 else "errors"
        raise ApiError("ValidationException", f"{len(faults)} validation {noun} detected: " + "; ".join(faults))


def refuse(field: str, value: Any, instead: str) -> ApiError:
    """The answer to a request that is right for AWS and that this cloud does not implement."""
    return ApiError(
        "ValidationException", f"The embedded cloud does not implement {field} = {value!r}; write {instead} instead."
    )


def _structure(shape: Any, value: Any, path: str, faults: list[str]) -> None:
    if not isinstance(value, dict):
        raise ApiError("SerializationException", f"Unexpected field type at {path or 'the request'!r}: {_kind(value)}")
    for name in shape.required_members:
        if value.get(name) is None:
            faults.append(f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null")
    for name, item in value.items():
        member = shape.members.get(name)
        if member is None:
            known = ", ".join(shape.members)
            faults.append(f"Unknown parameter '{_join(path, name)}', must be one of: {known}")
        elif item is not None:
            _value(member, item, _join(path, name), faults)


def _value(shape: Any, value: Any, path: str, faults: list[str]) -> None:
    kind = shape.type_name
    if kind == "structure":
        _structure(shape, value, path, faults)
    elif kind == "list":
        if not isinstance(value, list):
            raise ApiError("SerializationException", f"Expected list or null at '{path}'")
        _bounds(shape, len(value), value, path, "length", faults)
        for number, item in enumerate(value, 1):
            _value(shape.member, item, f"{path}.{number}.member", faults)
    elif kind == "map":
        if not isinstance(value, dict):
            raise ApiError("SerializationException", f"Expected map or null at '{path}'")
        _bounds(shape, len(value), value, path, "length", faults)
        for key, item in value.items():
            _value(shape.key, key, f"{path}.key", faults)
            _value(shape.value, item, f"{path}.{key}.value", faults)
    else:
        _scalar(shape, value, path, faults)


EXPECTED: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a String"),
    "integer": ((int,), "an Integer"),
    "long": ((int,), "a Long"),
    "float": ((int, float), "a Float"),
    "double": ((int, float), "a Double"),
    "boolean": ((bool,), "a Boolean"),
    "timestamp": ((int, float, str), "a Timestamp"),
}


def _scalar(shape: Any, given: object, path: str, faults: list[str]) -> None:
    types, words = EXPECTED.get(shape.type_name, ((object,), ""))
    if not isinstance(given, types) or (isinstance(given, bool) and shape.type_name != "boolean"):
        raise ApiError("SerializationException", f"{_kind(given)} can not be converted to {words} at '{path}'")
    value: Any = given
    if shape.type_name in ("integer", "long", "float", "double"):
        _bounds(shape, value, value, path, "value", faults)
    if shape.type_name != "string":
        return
    _bounds(shape, len(value), value, path, "length", faults)
    if shape.enum and value not in shape.enum:
        faults.append(_fault(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"))
    pattern = shape.metadata.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled is not None and not compiled.fullmatch(value):
        faults.append(_fault(value, path, f"Member must satisfy regular expression pattern: {pattern}"))


def _bounds(shape: Any, size: float, value: Any, path: str, what: str, faults: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        faults.append(_fault(value, path, f"Member must have {what} greater than or equal to {low}"))
    if high is not None and size > high:
        faults.append(_fault(value, path, f"Member must have {what} less than or equal to {high}"))


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    # Java's Unicode classes, as near as Python has them; what neither has is left unchecked
    python = pattern.replace(r"\p{L}\p{Z}\p{N}_", r"\w\s").replace(
        r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff"
    )
    try:
        return re.compile(python)
    except re.error:
        return None


def _fault(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    lower = name[0].lower() + name[1:]
    return f"{path}.{lower}" if path else lower


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    kinds = {
        str: "STRING_VALUE",
        int: "NUMBER_VALUE",
        float: "DECIMAL_VALUE",
        list: "START_ARRAY",
        dict: "START_OBJECT",
    }
    return kinds.get(type(value), "NULL_VALUE")
