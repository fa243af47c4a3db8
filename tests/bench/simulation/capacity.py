"""Capacity units of DynamoDB, reckoned from what each call read and wrote.

MiniStack answers ReturnConsumedCapacity with one unit for any read, so this counts by AWS's rules: Developer Guide,
"DynamoDB read and write operations", "Global secondary indexes: provisioned throughput considerations" and
"DynamoDB Item sizes and formats"; transactions: "Amazon DynamoDB Transactions: how it works", capacity management.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]
READ_BYTES, WRITE_BYTES = 4096, 1024
ACTIONS = ("Put", "Update", "Delete", "ConditionCheck")


class Sized:
    """An item, or none, with the bytes of each attribute: they are asked for again for each index."""

    def __init__(self, item: Item | None) -> None:
        self.item: Item = item or {}
        self.bytes = {name: len(name.encode()) + value_size(value) for name, value in self.item.items()}

    def size(self, names: frozenset[str] | None = None) -> int:
        """Of these attributes, or of all."""
        return sum(self.bytes.values() if names is None else map(self.bytes.get, names & self.bytes.keys()))


@dataclass(frozen=True)
class Index:
    """One global secondary index: its keys, and which attributes it holds (None: all)."""

    name: str
    keys: tuple[str, ...]
    holds: frozenset[str] | None

    def units(self, before: Sized, after: Sized, same: bool) -> int:
        """Write units: none where it holds the same as before, one entry's for one put or taken out, both if it moves.

        `same`: the items are equal.
        """
        old, new = (all(key in each.item for key in self.keys) for each in (before, after))
        if same or not (old or new):
            return 0
        if not (old and new):
            return write_units((before if old else after).size(self.holds))
        if any(before.item[key] != after.item[key] for key in self.keys):
            return write_units(before.size(self.holds)) + write_units(after.size(self.holds))
        held = before.item.keys() | after.item.keys() if self.holds is None else self.holds
        if all(before.item.get(name) == after.item.get(name) for name in held):
            return 0
        return write_units(max(before.size(self.holds), after.size(self.holds)))


def indexes(table: dict[str, Any], key: str = "pk") -> list[Index]:
    """The indexes of a table as DescribeTable shows it."""
    found = []
    for index in table.get("GlobalSecondaryIndexes", []):
        keys = tuple(part["AttributeName"] for part in index["KeySchema"])
        projection = index["Projection"]
        others = frozenset(projection.get("NonKeyAttributes", ()))
        holds = None if projection["ProjectionType"] == "ALL" else others | {*keys, key}
        found.append(Index(index["IndexName"], keys, holds))
    return found


def read(action: str, request: dict[str, Any], answer: dict[str, Any], page: Iterable[Item]) -> float:
    """Read units of a GetItem, Query, Scan or BatchGetItem; `page` is what a Query or Scan has read, filtered or not."""
    factor = 1.0 if request.get("ConsistentRead") else 0.5
    if action == "GetItem":
        return factor * read_units(size(answer.get("Item", {})))
    if action in ("Query", "Scan"):
        return factor * read_units(sum(map(size, page)))
    if action == "BatchGetItem":
        items = [item for found in answer.get("Responses", {}).values() for item in found]
        return 0.5 * sum(read_units(size(item)) for item in items)
    return 0.0


def write(before: Item | None, after: Item | None, among: Iterable[Index], transaction: bool = False) -> float:
    """Write units of one item that was put, changed, deleted or only checked (the same before and after).

    In a transaction the table's part is twice as much; indexes follow later, as ever. A write that was refused costs
    what it would have cost the table: call with the same item twice.
    """
    old, new = Sized(before), Sized(after)
    own, same = write_units(max(old.size(), new.size())), old.item == new.item
    return (2 if transaction else 1) * own + sum(index.units(old, new, same) for index in among)


def targets(action: str, request: dict[str, Any]) -> list[Item]:
    """Keys, or items with them, that a write is about."""
    if action == "TransactWriteItems":
        return [
            part[name].get("Key") or part[name]["Item"]
            for part in request["TransactItems"]
            for name in ACTIONS
            if name in part
        ]
    if action == "BatchWriteItem":
        requests = [each for part in request["RequestItems"].values() for each in part]
        return [
            each["PutRequest"]["Item"] if "PutRequest" in each else each["DeleteRequest"]["Key"] for each in requests
        ]
    if action in ("PutItem", "UpdateItem", "DeleteItem"):
        return [request.get("Key") or request["Item"]]
    return []


def read_units(size_bytes: int) -> int:
    """Of a strongly consistent read: one for each 4 KB begun, one for nothing."""
    return max(1, math.ceil(size_bytes / READ_BYTES))


def write_units(size_bytes: int) -> int:
    """One for each 1 KB begun, one for nothing."""
    return max(1, math.ceil(size_bytes / WRITE_BYTES))


def size(item: Item) -> int:
    """Bytes of an item: names and values."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: dict[str, Any]) -> int:
    """Bytes of one typed value."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return _number(content)
    if kind == "B":
        return len(content) * 3 // 4
    if kind in ("SS", "BS"):
        return sum(len(each.encode()) for each in content)
    if kind == "NS":
        return sum(_number(each) for each in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + value_size(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + value_size(each) for each in content)
    return 1  # BOOL, NULL


def _number(text: str) -> int:
    """About one byte for two digits, and one; one more for a minus."""
    digits = text.lower().partition("e")[0].replace(".", "").lstrip("+-").strip("0")
    return math.ceil(len(digits) / 2) + 1 + text.startswith("-")
