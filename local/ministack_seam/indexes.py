"""MiniStack's secondary indexes as sorted lists, for tables of many items: a Query reads its page, not its partition.

Like `simulation`, for clouds that are held in a process of their own.
"""

import bisect
import re
from collections.abc import Callable, Iterator
from typing import Any

from local.ministack_seam.simulation import table

EXPECTED = {
    "ministack.services.dynamodb": {
        "_query": "data",
        "_index_members": "table",
        "_index_item": "table base_pk base_sk item add",
        "_index_partition": "item hashes ranges",
        "_index_key_schemas": "table",
    },
}
CALLS = {
    "ministack.services.dynamodb._query": "members = _index_members(table).get(index_name)",
    "ministack.services.dynamodb._set_item": "_index_item(table, pk_val, sk_val, item, add=True)",
}


def sort_indexes(later: Callable[[Callable[[], None]], None]) -> None:
    """Keep the indexes that are queried sorted, as DynamoDB does: a Query then reads its page, not its partition.

    What is put into an index is found there when `later` has called what it is given: indexes lag behind their tables.
    What is changed or taken out is gone at once.
    """
    from ministack.services import dynamodb

    query, members, place = dynamodb._query, dynamodb._index_members, dynamodb._index_item
    lines = _Lines(dynamodb, members)
    narrowed: dict[str, Any] = {}

    def _query(data: dict[str, Any]) -> Any:
        part = lines.part(data)
        if part is None:
            return query(data)
        narrowed.update(part)
        try:
            return query(data)
        finally:
            narrowed.clear()

    def _index_members(table: dict[str, Any]) -> Any:
        return narrowed or members(table)

    def _index_item(table: dict[str, Any], base_pk: Any, base_sk: Any, item: dict[str, Any], add: bool) -> None:
        place(table, base_pk, base_sk, item, add)
        if add:
            later(lambda: lines.add(table, base_pk, base_sk, item))
        else:
            lines.remove(table, base_pk, base_sk, item)

    dynamodb._query, dynamodb._index_members, dynamodb._index_item = _query, _index_members, _index_item


_CONDITION = re.compile(r"([#\w]+)\s*(<=|>=|<|>|=)\s*(:\w+)|([#\w]+)\s+BETWEEN\s+(:\w+)\s+AND\s+(:\w+)", re.I)
_LAST = "\U0010ffff"
_Entry = tuple[str, str, str]  # sort key in the index, key in the table


class _Lines:
    """Partitions of indexes as sorted lists, made when first asked for. What is out of date in one is passed over."""

    def __init__(self, dynamodb: Any, members: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._dynamodb = dynamodb
        self._members = members
        self._lines: dict[tuple[str, str], dict[Any, list[_Entry]]] = {}
        self._known: dict[str, Any] = {}  # table → MiniStack's own members, which it drops when items are replaced

    def part(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """The members that a query can be about, in the shape of MiniStack's own; None to let it take them all."""
        name, index = str(data.get("TableName")), str(data.get("IndexName"))
        try:
            found = table(name)
        except KeyError:
            return None
        schema = {each: (hashes, ranges) for each, hashes, ranges in self._dynamodb._index_key_schemas(found)}
        if index not in schema or len(schema[index][0]) != 1 or len(schema[index][1]) != 1:
            return None
        hash_name, range_name = schema[index][0][0], schema[index][1][0]
        conditions = _conditions(data)
        if hash_name not in conditions or not set(conditions) <= {hash_name, range_name}:
            return None
        partition = conditions[hash_name][1][0]
        line = self._line(name, found, index, partition)
        sign, bounds = conditions.get(range_name, (">=", [""]))
        low = bounds[0] if sign in (">", ">=", "=", "between") else ""
        high = bounds[-1] if sign in ("<", "<=", "=", "between") else _LAST
        start, forward = data.get("ExclusiveStartKey"), data.get("ScanIndexForward", True)
        first, last = bisect.bisect_left(line, (low, "", "")), bisect.bisect_right(line, (high, _LAST, _LAST))
        if start:
            at = bisect.bisect_left(line, (start[range_name]["S"], start[found["pk_name"]]["S"], ""))
            first, last = (max(first, at), last) if forward else (first, min(last, at + 1))
        few = int(data["Limit"]) + 1 if data.get("Limit") else len(line)  # the one where it starts is left out
        keys: dict[tuple[Any, Any], None] = {}
        for at in range(first, last) if forward else range(last - 1, first - 1, -1):
            due, pk, sk = line[at]
            stored = found["items"].get(pk, {}).get(sk, {})
            if stored.get(hash_name, {}).get("S") != partition or stored.get(range_name, {}).get("S") != due:
                continue
            keys[pk, sk] = None
            if len(keys) > few:
                break
        return {index: {partition: keys}}

    def add(self, table: dict[str, Any], base_pk: Any, base_sk: Any, item: dict[str, Any]) -> None:
        """An item is in the indexes of its table from now on."""
        for line, entry in self._places(table, base_pk, base_sk, item):
            at = bisect.bisect_left(line, entry)
            if line[at : at + 1] != [entry]:
                line.insert(at, entry)

    def remove(self, table: dict[str, Any], base_pk: Any, base_sk: Any, item: dict[str, Any]) -> None:
        """It is not any more."""
        for line, entry in self._places(table, base_pk, base_sk, item):
            at = bisect.bisect_left(line, entry)
            if line[at : at + 1] == [entry]:
                del line[at]

    def _places(
        self, table: dict[str, Any], base_pk: Any, base_sk: Any, item: dict[str, Any]
    ) -> Iterator[tuple[list[_Entry], _Entry]]:
        for index, hashes, ranges in self._dynamodb._index_key_schemas(table):
            lines = self._lines.get((table["TableName"], index))
            line = lines.get(self._dynamodb._index_partition(item, hashes, ranges)) if lines else None
            if line is not None:
                yield line, (item[ranges[0]]["S"], base_pk, base_sk)

    def _line(self, name: str, found: dict[str, Any], index: str, partition: str) -> list[_Entry]:
        own = self._members(found)
        if self._known.get(name) is not own:
            self._known[name] = own
            self._lines = {key: lines for key, lines in self._lines.items() if key[0] != name}
        lines = self._lines.setdefault((name, index), {})
        keys = own.get(index, {}).get(partition, {})
        if partition not in lines or len(lines[partition]) > 2 * len(keys) + 1000:  # full of what is out of date
            ranges = next(r for each, _, r in self._dynamodb._index_key_schemas(found) if each == index)
            lines[partition] = sorted((found["items"][pk][sk][ranges[0]]["S"], pk, sk) for pk, sk in keys)
        return lines[partition]


def _conditions(data: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """Conditions on keys of a Query: name → sign and bounds; nothing where MiniStack's own way is needed."""
    values, names = data.get("ExpressionAttributeValues") or {}, data.get("ExpressionAttributeNames") or {}
    text = str(data.get("KeyConditionExpression"))
    found = {}
    for left, sign, right, between, low, high in _CONDITION.findall(text):
        key = left or between
        bounds = [values.get(each, {}).get("S") for each in ((right,) if left else (low, high))]
        if None in bounds:  # a number
            return {}
        found[names.get(key, key)] = (sign or "between", bounds)
    return {} if "begins_with" in text else found
