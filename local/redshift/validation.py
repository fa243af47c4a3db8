"""Requests held against botocore's model of the service: names, types, lengths, patterns, choices."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from local.service import ApiError


@cache
def service_model() -> Any:
    """The model of redshift-data that ships with botocore."""
    import botocore.session

    return botocore.session.get_session().get_service_model("redshift-data")


def validate(action: str, request: dict[str, Any]) -> None:
    """Check a request.

    Raises:
        ApiError: UnknownOperationException, or ValidationException that names the field.
    """
    from botocore.validate import ParamValidator

    model = service_model()
    if action not in model.operation_names:
        raise ApiError("UnknownOperationException", f"{action} is not an operation of redshift-data")
    shape = model.operation_model(action).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise ApiError("ValidationException", report.generate_report())
    errors = list(_errors(request, shape, ""))
    if errors:
        listed = "; ".join(errors)
        raise ApiError(
            "ValidationException",
            f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} detected: {listed}",
        )


def _errors(value: Any, shape: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, item in value.items():
            yield from _errors(item, shape.members[name], f"{path}.{name}" if path else name)
        return
    where = path[:1].lower() + path[1:]
    if shape.type_name == "list":
        longest = shape.metadata.get("max")
        if longest is not None and len(value) > longest:
            yield _failed(value, where, f"Member must have length less than or equal to {longest}")
        for number, item in enumerate(value, 1):
            yield from _errors(item, shape.member, f"{path}.{number}.member")
        return
    if shape.type_name == "string":
        longest, pattern, choices = (shape.metadata.get(key) for key in ("max", "pattern", "enum"))
        if longest is not None and len(value) > longest:
            yield _failed(value, where, f"Member must have length less than or equal to {longest}")
        if pattern and not re.fullmatch(pattern, value):
            yield _failed(value, where, f"Member must satisfy regular expression pattern: {pattern}")
        if choices and value not in choices:
            yield _failed(value, where, f"Member must satisfy enum value set: [{', '.join(choices)}]")
    elif shape.type_name in {"integer", "long"}:
        most = shape.metadata.get("max")
        if most is not None and value > most:
            yield _failed(value, where, f"Member must have value less than or equal to {most}")


def _failed(value: Any, where: str, constraint: str) -> str:
    shown = str(value) if len(str(value)) < 200 else str(value)[:200] + "…"
    return f"Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"
