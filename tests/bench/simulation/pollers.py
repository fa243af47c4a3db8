"""What calls functions: Lambda's pollers of queues, with batches and partial failures, and EventBridge Scheduler."""

import re
from typing import Any

from local.ministack_seam import simulation
from local.schedules import next_time
from tests.bench.simulation.lambdas import Lambdas
from tests.bench.simulation.stack import STACK, Stack
from tests.bench.simulation.wire import Killed

POLL_S = (0.02, 0.20)  # from a message that can be received to its function
MOST_AT_ONCE = 10  # invocations of one standard queue
SCHEDULE_S = (0.0, 1.0)  # how late Scheduler is


class QueueSource:
    """Lambda's poller of one queue: batches, visibility, partial failures; FIFO groups and redrive are the queue's own."""

    def __init__(self, lambdas: Lambdas, mapping: dict[str, Any], name: str) -> None:
        self._lambdas = lambdas
        self._world = lambdas.world
        self._region = lambdas.stack.cloud.region
        self._name = name
        self._arn = mapping["EventSourceArn"]
        self._batch = int(mapping["BatchSize"])
        self._partial = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ())
        self.queue = self._arn.rpartition(":")[2]
        self._running = 0
        self._check_at: float | None = None

    def nudge(self) -> None:
        """Something about the queue may have changed: look when its first message can be received."""
        visible = simulation.next_visible(self._arn)
        if visible is None:
            return
        at = max(self._world.now, visible) + self._lambdas.stack.rng.uniform(*POLL_S)
        if self._check_at is None or at < self._check_at:
            self._check_at = at
            self._world.at(at, lambda: self._check(at))

    def _check(self, at: float) -> None:
        if self._check_at != at:
            return  # an earlier look was asked for later
        self._check_at = None
        if self._running >= MOST_AT_ONCE:
            return  # the next one that ends looks again
        found = simulation.receive(self._arn, self._batch)
        if found:
            self._running += 1
            self._world.spawn(lambda: self._work(found))
            self.nudge()
        else:  # those that can be received belong to a group that is worked on, or come later
            self._retry()

    def _retry(self) -> None:
        visible = simulation.next_visible(self._arn)
        if visible is not None and visible > self._world.now:
            self.nudge()
        elif visible is not None and not self._running:
            self._world.after(1.0, self.nudge)

    def _work(self, messages: list[dict[str, Any]]) -> None:
        source = {"eventSource": "aws:sqs", "eventSourceARN": self._arn, "awsRegion": self._region}
        records = [{**message, "messageAttributes": {}, **source} for message in messages]
        try:
            answer = self._lambdas.invoke(self._name, {"Records": records}) or {}
            failed = (
                {each["itemIdentifier"] for each in answer.get("batchItemFailures", [])} if self._partial else set()
            )
        except (Killed, Exception):  # all of them come again when their visibility timeout is over
            failed = {message["messageId"] for message in messages}
        simulation.delete(self._arn, {each["receiptHandle"] for each in messages if each["messageId"] not in failed})
        self._running -= 1
        self.nudge()


def sources(lambdas: Lambdas) -> dict[str, QueueSource]:
    """Event sources of the functions that take part, by the URL of their queue; they hear of every message."""
    found = {}
    for mapping in lambdas.stack.root("lambda").list_event_source_mappings()["EventSourceMappings"]:
        name = mapping["FunctionArn"].rpartition(":")[2].removeprefix(f"{STACK}-")
        if name in lambdas.functions and ":sqs:" in mapping["EventSourceArn"]:
            source = QueueSource(lambdas, mapping, name)
            found[source.queue] = source

    def sent(queue: str) -> None:
        source = found.get(re.split("[/:]", queue)[-1])
        if source is not None:
            source.nudge()

    lambdas.stack.wire.sent = sent
    return found


def start_schedules(stack: Stack) -> int:
    """Fire every enabled schedule of the stack when it is due; return how many there are."""
    records = [record for record in stack.cloud.schedules._records() if record.get("State") == "ENABLED"]

    def begin(record: dict[str, Any]) -> None:
        last = stack.world.now

        def fire() -> None:
            nonlocal last
            stack.cloud.schedules._fire(record, last)
            await_next()

        def await_next() -> None:
            nonlocal last
            due = next_time(record, last)
            if due is not None:
                last = due
                stack.world.at(due + stack.rng.uniform(*SCHEDULE_S), fire)

        await_next()

    for record in records:
        begin(record)
    return len(records)


def dead_letters(stack: Stack) -> dict[str, list[str]]:
    """What lies in the dead-letter queues, by queue."""
    found = {}
    for url in stack.root("sqs").list_queues().get("QueueUrls", []):
        name = url.rpartition("/")[2]
        bodies = simulation.messages(f"arn:aws:sqs:{stack.cloud.region}:{stack.cloud.account}:{name}")
        if "dead-letters" in name and bodies:
            found[name] = bodies
    return found
