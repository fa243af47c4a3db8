"""The way of boto3's calls to the embedded cloud: without a socket, in the world's time, and not always there and back.

What happens to a call of a function, each by the world's seed: it takes its service's time; it is throttled, now and then
and in bursts; two writes of one item collide if one of them is a transaction; its function is killed before it arrives,
or after it took effect and before the answer is back.
"""

import io
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from local.api import error_response
from local.ministack_seam import simulation as seam
from local.service import ApiError
from tests.bench.simulation import capacity
from tests.bench.simulation.world import World

# Seconds from and to, of one call; chosen, in the range that AWS's services show within a region.
LATENCY = {
    "dynamodb": (0.003, 0.012),
    "sqs": (0.005, 0.020),
    "sagemaker": (0.10, 0.40),
    "sns": (0.02, 0.06),
    "s3": (0.02, 0.06),
}
THROTTLES = {  # what each service calls it
    "dynamodb": "ThrottlingException",
    "sqs": "RequestThrottled",
    "sagemaker": "ThrottlingException",
    "sns": "Throttled",
}
BURST_EVERY_S, BURST_S = 5 * 3600.0, 600.0
NAMED = re.compile(rb"boxcar-[0-9a-z][0-9a-z-]*")


class Killed(BaseException):
    """The function's process ended here, whatever it was doing."""


class Caller(Protocol):
    """Who calls: an invocation of a function."""

    function: str
    deadline: float
    dead: bool


@dataclass
class Weather:
    """How often things go wrong on the way. Rates are of calls."""

    throttled: float = 0.0
    throttled_in_bursts: float = 0.0
    kills: int = 0  # of the launcher, this many in all
    kill_rate: float = 0.0  # of its calls, until they are used up; but
    kill_gap_s: float = 600.0  # so long after each nobody is killed: a message that kills ten times is a dead letter
    killed_function: str = "launch-jobs"


@dataclass
class Counts:
    """What the functions of the stack have asked for."""

    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # function, service, action
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # … and the error
    read_units: Counter[str] = field(default_factory=Counter)  # by function
    write_units: Counter[str] = field(default_factory=Counter)
    items_read: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)  # calls by the one job that they name
    shared: int = 0  # calls that name none, or several
    kills: int = 0
    collisions: int = 0

    def forget(self) -> None:
        """Count from zero."""
        self.__init__()


class Wire:
    """Every call of this world, whoever makes it."""

    def __init__(self, world: World, rng: random.Random, weather: Weather, table: str) -> None:
        self.world = world
        self.weather = weather
        self.counts = Counts()
        self.sent: Callable[[str], None] = lambda queue: None  # somebody put a message on a queue
        self.job_of: Callable[[str], str | None] = lambda text: None
        self._rng = rng
        self._table = table
        self._indexes: list[capacity.Index] | None = None
        self._page: list[dict[str, Any]] = []
        self._before: list[dict[str, Any] | None] = []  # what the latest write found, and what it left
        self._after: list[dict[str, Any] | None] = []
        self._transacting: Counter[str] = Counter()  # keys, of transactions on their way
        self._writing: Counter[str] = Counter()
        self._peace = 0.0  # until when nobody is killed
        self._bursts = {service: rng.uniform(0, BURST_EVERY_S) for service in THROTTLES}
        seam.watch_pages(lambda items, index: self._page.extend(items))

    def connect(self, client: Any, caller: Callable[[], Caller | None]) -> Any:
        """Let a boto3 client of this process send through this wire."""

        def send(request: Any, event_name: str, **_: Any) -> AWSResponse:
            _, service, operation = event_name.split(".", 2)
            found = caller()
            if found is None:
                return self._answer(request, *self._carry(request, service, operation))
            return self._travel(found, request, service, operation)

        client.meta.events.register("before-send", send)
        return client

    # ── a call of a function: takes time, and may go wrong

    def _travel(self, caller: Caller, request: Any, service: str, operation: str) -> AWSResponse:
        fate = self._fate(caller)
        if fate == "before":
            self._kill(caller)
        low, high = LATENCY.get(service, (0.02, 0.06))
        seconds = self._rng.uniform(low, high) * (2.0 if operation.startswith("Transact") else 1.0)
        self._wait(caller, seconds / 2)
        content = _body(request)
        told = json.loads(content) if service == "dynamodb" else {}
        self._page.clear()
        self._before, self._after = [], []
        answer = self._refusal(service) or self._collide(caller, request, service, operation, told)
        status = answer[0]
        self._count(caller, service, operation, content, told, answer)
        if fate == "after":
            self._kill(caller)
        self._wait(caller, seconds / 2)
        return self._answer(request, status, *answer[1:])

    def _fate(self, caller: Caller) -> str:
        if caller.dead:
            raise Killed(caller.function)  # a finally of its would call again
        left = self.weather.kills - self.counts.kills
        if left <= 0 or caller.function != self.weather.killed_function or self.world.now < self._peace:
            return ""
        if self._rng.random() >= self.weather.kill_rate:
            return ""
        return self._rng.choice(("before", "after"))

    def _kill(self, caller: Caller) -> None:
        self.counts.kills += 1
        self._peace = self.world.now + self.weather.kill_gap_s
        caller.dead = True
        raise Killed(caller.function)

    def _wait(self, caller: Caller, seconds: float) -> None:
        """Let the time pass, or end with the function's own."""
        left = caller.deadline - self.world.now
        self.world.sleep(min(seconds, max(0.0, left)))
        if seconds >= left:
            caller.dead = True
            raise Killed(f"{caller.function}: timed out")

    def _refusal(self, service: str) -> Any:
        code = THROTTLES.get(service)
        if code is None:
            return None
        burst = (self.world.now - self._bursts[service]) % BURST_EVERY_S < BURST_S
        rate = self.weather.throttled_in_bursts if burst else self.weather.throttled
        if self._rng.random() >= rate:
            return None
        return _refused(service, code, "Rate exceeded")

    def _collide(self, caller: Caller, request: Any, service: str, operation: str, told: dict[str, Any]) -> Any:
        """A transaction takes a moment, in which nobody else may write the same items."""
        targets = capacity.targets(operation, told)
        if not targets:
            return self._carry(request, service, operation)
        keys = [key["pk"]["S"] for key in targets]
        transaction = operation == "TransactWriteItems"
        busy = [self._transacting[key] or (transaction and self._writing[key]) for key in keys]
        if any(busy):
            self.counts.collisions += 1
            if not transaction:
                return _refused(service, "TransactionConflictException", "Transaction is ongoing for the item")
            reasons = [{"Code": "TransactionConflict" if each else "None"} for each in busy]
            names = ", ".join(reason["Code"] for reason in reasons)
            text = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{names}]"
            return _refused(service, "TransactionCanceledException", text, CancellationReasons=reasons)
        underway = self._transacting if transaction else self._writing
        for key in keys:
            underway[key] += 1
        try:
            self._wait(caller, self._rng.uniform(0.001, 0.006))
            self._before = [self._item(key) for key in targets]
            answer = self._carry(request, service, operation)
            self._after = [self._item(key) for key in targets]
            return answer
        finally:
            for key in keys:
                underway[key] -= 1
                if not underway[key]:
                    del underway[key]

    # ── what every call does

    def _carry(self, request: Any, service: str, operation: str) -> Any:
        url = urlsplit(request.url)
        content = _body(request)
        headers = [
            (name.lower().encode(), value if isinstance(value, bytes) else str(value).encode())
            for name, value in request.headers.items()
        ]
        headers.append((b"host", url.netloc.encode()))
        if not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(content)).encode()))
        answer = seam.request(request.method, url.path, url.query, headers, content)
        if service == "sqs" and operation.startswith("SendMessage") and answer[0] < 300:
            self.sent(json.loads(content)["QueueUrl"])
        return answer

    def _item(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """A copy, for updates may change what is stored in place."""
        found = seam.item(self._table, key)
        return dict(found) if found is not None else None

    def _answer(self, request: Any, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> AWSResponse:
        told = HTTPHeaders.from_pairs((name.decode(), value.decode()) for name, value in headers)
        return AWSResponse(request.url, status, told, _Raw(content))

    # ── counting

    def _count(
        self, caller: Caller, service: str, operation: str, content: bytes, told: dict[str, Any], answer: Any
    ) -> None:
        counts, function = self.counts, caller.function
        counts.calls[function, service, operation] += 1
        jobs = {job for text in NAMED.findall(content) if (job := self.job_of(text.decode()))}
        if len(jobs) == 1:
            counts.named[jobs.pop()] += 1
        else:
            counts.shared += 1
        status = answer[0]
        if status >= 300:
            error = re.search(rb'"__type":\s*"(?:[^"#]*#)?([^"]+)"|<Code>([^<]+)<', answer[2])
            code = next((part.decode() for part in error.groups() if part), "") if error else ""
            counts.refused[service, operation, code] += 1
        if service == "dynamodb":
            self._count_units(function, operation, told, answer)

    def _count_units(self, function: str, operation: str, told: dict[str, Any], answer: Any) -> None:
        counts, status = self.counts, answer[0]
        if b"Throttl" in answer[2][:200] and status >= 300:
            return
        if self._indexes is None:
            self._indexes = capacity.indexes(seam.table(self._table))
        if operation in ("GetItem", "Query", "Scan", "BatchGetItem"):
            found = json.loads(answer[2]) if status < 300 and not self._page else {}
            counts.read_units[function] += capacity.read(operation, told, found, self._page)
            one = 1 if operation == "GetItem" and "Item" in found else 0
            counts.items_read[function] += len(self._page) + one
            return
        transaction = operation == "TransactWriteItems"
        refused = status >= 300
        for before, after in zip(self._before, self._before if refused else self._after, strict=True):
            units = capacity.write(before, after, self._indexes, transaction)
            counts.write_units[function] += units


class _Raw(io.BytesIO):
    """The content of an answer as urllib3 would give it."""

    def stream(self, amt: int = 1 << 16, decode_content: bool = False) -> Any:
        """All of it, in parts."""
        while part := self.read(amt):
            yield part


def _body(request: Any) -> bytes:
    content = request.body or b""
    if hasattr(content, "read"):
        content.seek(0)
        content = content.read()
    return content.encode() if isinstance(content, str) else bytes(content)


def _refused(service: str, code: str, message: str, **more: Any) -> Any:
    status, headers, content = error_response(service, ApiError(code, message))
    if more:
        content = json.dumps({**json.loads(content), **more}).encode()
    return status, [(name.encode(), value.encode()) for name, value in headers.items()], content
