"""MiniStack without a server, in somebody else's time: for simulations that hold the cloud in their own process.

Nothing here is used by a cloud that serves. `check` of the package does not look at this list; `begin` does.
"""

import bisect
import contextvars
import functools
import re
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

EXPECTED = {
    "ministack.app": {
        "app": "scope receive send",
        "_load_persisted_state": "",
        "_state_map": "dict",
    },
    "ministack.core.iam_evaluator": {
        "parse_policy_document": "doc",
    },
    "ministack.services.lambda_svc": {
        "_ensure_poller": "",
    },
    "ministack.services.sqs": {
        "time": "module",
        "_queue_by_arn": "arn",
        "_act_send_message": "data qurl",
        "_expire_retained": "q",
        "_dlq_sweep": "q",
        "_collect_msgs": "q max_n vis_timeout",
        "_build_sys_attrs": "msg names",
    },
    "ministack.services.sns": {
        "time": "module",
    },
    "ministack.services.eventbridge": {
        "time": "module",
    },
    "ministack.services.dynamodb": {
        "time": "module",
        "_tables": "AccountRegionScopedDict",
        "_INDEX_MEMBERS": "str",
        "_query": "data",
        "_index_members": "table",
        "_index_item": "table base_pk base_sk item add",
        "_index_partition": "item hashes ranges",
        "_index_key_schemas": "table",
        "_set_item": "table pk_val sk_val item",
        "_items_replaced": "table",
        "_paginate_evaluated_items": "items limit table index_name",
    },
}
CALLS = {
    "ministack.app._load_persisted_state": "_get_module(module_name).load_persisted_state(data)",
    "ministack.services.lambda_svc.load_persisted_state": "_ensure_poller()",
    "ministack.services.dynamodb._query": "members = _index_members(table).get(index_name)",
    "ministack.services.dynamodb._set_item": "_index_item(table, pk_val, sk_val, item, add=True)",
    "ministack.services.sqs._collect_msgs": "now = time.time()",
}
TIMED = ("sqs", "sns", "eventbridge", "dynamodb")  # what shows times to callers, or delays, or forgets
NO_SORT_KEY = "__no_sort__"


class _Time(ModuleType):
    """The module `time` with another clock in it."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__("time")
        self._now = now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def gmtime(self, seconds: float | None = None) -> time.struct_time:
        return time.gmtime(self._now() if seconds is None else seconds)

    def time(self) -> float:
        return self._now()


def use_clock(now: Callable[[], float]) -> None:
    """Let queues, topics, rules and tables take the time from `now` (seconds since the epoch)."""
    import importlib

    for name in TIMED:
        importlib.import_module(f"ministack.services.{name}").time = _Time(now)  # type: ignore[attr-defined]


def restore(services: tuple[str, ...]) -> None:
    """Load what a served cloud has saved for some services; nobody polls queues and streams for functions meanwhile."""
    from ministack import app
    from ministack.core import iam_evaluator
    from ministack.services import lambda_svc

    def _ensure_poller() -> None:
        return None

    lambda_svc._ensure_poller = _ensure_poller
    app._state_map = {name: app._state_map[name] for name in services}
    app._load_persisted_state()
    parse = iam_evaluator.parse_policy_document
    parsed = functools.lru_cache(1024)(parse)  # the same few are read for each call

    def parse_policy_document(doc: Any) -> Any:
        return parsed(doc) if isinstance(doc, str) else parse(doc)

    iam_evaluator.parse_policy_document = parse_policy_document


def request(method: str, path: str, query: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
    """Answer one HTTP request in this thread: (status, headers, body).

    Raises:
        RuntimeError: the service would have to wait for something.
    """
    from ministack import app

    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }
    answer: dict[str, Any] = {}
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)
        else:
            parts.append(message.get("body", b""))

    try:
        contextvars.copy_context().run(app.app(scope, receive, send).send, None)
    except StopIteration:
        pass
    else:
        raise RuntimeError(f"{method} {path}: the service waits for something, which nobody here would end")
    return answer["status"], answer["headers"], b"".join(parts)


def next_visible(queue_arn: str) -> float | None:
    """When the first message of a queue can be received, or has been possible to; None if there is none."""
    from ministack.services import sqs

    queue = sqs._queue_by_arn(queue_arn)
    return min((message["visible_at"] for message in queue["messages"]), default=None) if queue else None


def send(queue_arn: str, body: str) -> None:
    """Put a message on a standard queue, as an AWS service does."""
    from ministack.services import sqs

    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        raise KeyError(f"there is no queue {queue_arn}")
    sqs._act_send_message({"QueueUrl": queue["url"], "MessageBody": body}, queue["url"])


def receive(queue_arn: str, most: int) -> list[dict[str, Any]]:
    """Receive messages as Lambda's poller does, with the queue's own visibility timeout, groups and redrive.

    Each has messageId, receiptHandle, body and attributes, as in a function's event.
    """
    from ministack.services import sqs

    queue = sqs._queue_by_arn(queue_arn)
    sqs._expire_retained(queue)
    sqs._dlq_sweep(queue)
    found = sqs._collect_msgs(queue, most, int(queue["attributes"].get("VisibilityTimeout", "30")))
    return [
        {
            "messageId": message["id"],
            "receiptHandle": message["receipt_handle"],
            "body": message["body"],
            "attributes": sqs._build_sys_attrs(message, ["All"]),
        }
        for message in found
    ]


def delete(queue_arn: str, receipt_handles: set[str]) -> None:
    """Delete messages that were received. One that was received again since keeps its new life."""
    from ministack.services import sqs

    queue = sqs._queue_by_arn(queue_arn)
    queue["messages"] = [each for each in queue["messages"] if each["receipt_handle"] not in receipt_handles]


def messages(queue_arn: str) -> list[str]:
    """Bodies of every message of a queue, oldest first; nothing is received."""
    from ministack.services import sqs

    queue = sqs._queue_by_arn(queue_arn)
    return [message["body"] for message in queue["messages"]] if queue else []


def table(name: str) -> dict[str, Any]:
    """MiniStack's own record of a table, its items among it: not a copy."""
    from ministack.services import dynamodb

    for (_, _, key), value in dynamodb._tables.all_items():
        if key == name:
            found: dict[str, Any] = value
            return found
    raise KeyError(f"there is no table {name}")


def item(name: str, key: dict[str, Any]) -> dict[str, Any] | None:
    """One item of a table without a sort key, as it is stored; nothing is counted."""
    found = table(name)
    ((_, value),) = key[found["pk_name"]].items()
    stored: dict[str, Any] | None = found["items"].get(value, {}).get(NO_SORT_KEY)
    return stored


def items(name: str) -> Iterator[dict[str, Any]]:
    """Every item of a table, as it is stored."""
    for sorted_items in table(name)["items"].values():
        yield from sorted_items.values()


def fill(name: str, new: Iterator[dict[str, Any]]) -> int:
    """Store items in a table without a sort key, past the API; return how many."""
    from ministack.services import dynamodb

    found, count = table(name), 0
    dynamodb._index_members(found)
    for each in new:
        ((_, value),) = each[found["pk_name"]].items()
        dynamodb._set_item(found, value, NO_SORT_KEY, each)
        count += 1
    return count


def empty(name: str) -> None:
    """Forget every item of a table."""
    from ministack.services import dynamodb

    found = table(name)
    found["items"].clear()
    dynamodb._items_replaced(found)


def watch_pages(seen: Callable[[list[dict[str, Any]], str | None], None]) -> None:
    """Call `seen(items, index)` with what each Query and Scan has read, filtered or not."""
    from ministack.services import dynamodb

    original = dynamodb._paginate_evaluated_items

    def _paginate_evaluated_items(items: Any, limit: Any, table: Any, index_name: str | None = None) -> Any:
        page, more = original(items, limit, table, index_name)
        seen(page, index_name)
        return page, more

    dynamodb._paginate_evaluated_items = _paginate_evaluated_items


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
