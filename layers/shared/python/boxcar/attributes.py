"""Plain values to and from DynamoDB's typed attribute values.

boto3's own serializer refuses floats, gives Decimals back and loads its resource layer; here a float keeps the digits
of its shortest decimal form, which is what JSON would show.
"""

import math
from typing import Any

Item = dict[str, Any]


def encode(value: Any) -> dict[str, Any]:
    """One value. Numbers that are not finite become NULL: DynamoDB has no NaN. A set is one of texts, and not empty.

    Raises:
        TypeError: the value is not JSON-like.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return {"NULL": True}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, set | frozenset):
        return {"SS": sorted(value)}
    if isinstance(value, dict):
        return {"M": encode_all(value)}
    if isinstance(value, list | tuple):
        return {"L": [encode(part) for part in value]}
    raise TypeError(f"{type(value).__name__} cannot be stored in DynamoDB; convert it to text or numbers first")


def encode_all(document: dict[str, Any]) -> Item:
    """A whole item."""
    return {str(name): encode(value) for name, value in document.items()}


def decode(attribute: dict[str, Any]) -> Any:
    """One value back; whole numbers as int, others as float."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        case "L":
            return [decode(part) for part in value]
        case "M":
            return decode_all(value)
        case "SS":
            return set(value)
        case _:  # S, BOOL, B
            return value


def decode_all(item: Item) -> dict[str, Any]:
    """A whole item back."""
    return {name: decode(attribute) for name, attribute in item.items()}
