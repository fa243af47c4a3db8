"""Requests against botocore's own model of a service: what it requires, what it knows, of which types."""

from functools import cache
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
}


@cache
def service_model(service: str) -> Any:
    """Botocore's model of a service."""
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def faults(service: str, action: str, request: Any) -> list[str]:
    """What is wrong with the form of a request, each with the path of the field; empty when nothing is."""
    shape = service_model(service).operation_model(action).input_shape
    found: list[str] = []
    if shape is not None:
        _value(shape, request, "", found)
    return found


def _value(shape: Any, value: Any, path: str, found: list[str]) -> None:
    if not _is_of(shape.type_name, value):
        found.append(f"{path or 'the request'} must be of type {shape.type_name}, not {value!r}")
    elif shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                found.append(f"{path}{name} must not be null")
        for name, item in value.items():
            if name not in shape.members:
                found.append(f"{path}{name} is unknown; write one of {', '.join(shape.members)}")
            elif item is not None:
                _value(shape.members[name], item, f"{path}{name}.", found)
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            _value(shape.member, item, f"{path}{number}.", found)
    elif shape.type_name == "map":
        for key, item in value.items():
            _value(shape.value, item, f"{path}{key}.", found)
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        found.append(f"{path.rstrip('.')} = {value!r} is not one of {', '.join(shape.enum)}")


def _is_of(type_name: str, value: object) -> bool:
    if isinstance(value, bool):
        return type_name == "boolean"
    return isinstance(value, TYPES.get(type_name, (object,)))
