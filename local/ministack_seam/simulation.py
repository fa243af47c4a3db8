"""MiniStack without a server, in somebody else's time: for simulations that hold the cloud in their own process.

Nothing here is used by a cloud that serves, so `check` of the package does not look at this list: `check` of this
module does.
"""

import contextvars
import functools
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
        "_index_members": "table",
        "_set_item": "table pk_val sk_val item",
        "_items_replaced": "table",
        "_paginate_evaluated_items": "items limit table index_name",
    },
}
CALLS = {
    "ministack.app._load_persisted_state": "_get_module(module_name).load_persisted_state(data)",
    "ministack.services.lambda_svc.load_persisted_state": "_ensure_poller()",
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


def check() -> None:
    """Compare MiniStack with what simulations expect of it.

    Raises:
        SeamError: with every difference on a line of its own.
    """
    from local import ministack_seam
    from local.ministack_seam import indexes, simulation

    ministack_seam._compare(simulation, indexes)


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
