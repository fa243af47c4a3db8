"""Plain documents to and from DynamoDB's typed attribute values.

boto3's own serializer refuses floats and loads its resource layer; here a float keeps the digits of its shortest
decimal form, which is what JSON would show.
"""

import math
from typing import Any

Item = dict[str, Any]


def to_attribute(value: Any) -> dict[str, Any]:
    """One value. Numbers that are not finite become NULL: DynamoDB has no NaN.

    Raises:
        TypeError: the value is not JSON-like.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list | tuple):
        return {"L": [to_attribute(part) for part in value]}
    if isinstance(value, dict):
        return {"M": to_item(value)}
    raise TypeError(f"{type(value).__name__} cannot be stored in DynamoDB; convert it to text or numbers first")


def to_item(document: dict[str, Any]) -> Item:
    """A whole item."""
    return {str(name): to_attribute(value) for name, value in document.items()}


def from_attribute(attribute: dict[str, Any]) -> Any:
    """One value back; whole numbers as int, others as float, sets as sorted lists."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return _number(value)
        case "L":
            return [from_attribute(part) for part in value]
        case "M":
            return from_item(value)
        case "SS":
            return sorted(value)
        case "NS":
            return sorted(_number(part) for part in value)
        case _:  # S, BOOL, B
            return value


def from_item(item: Item) -> dict[str, Any]:
    """A whole item back."""
    return {name: from_attribute(attribute) for name, attribute in item.items()}


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
