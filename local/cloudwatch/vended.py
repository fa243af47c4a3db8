"""What services measure of themselves: AWS/Lambda, AWS/SQS, AWS/States, deliveries, and what log lines hold.

Sources: Lambda developer guide, "Types of metrics for Lambda functions"; SQS developer guide, "Available CloudWatch
metrics for Amazon SQS"; Step Functions developer guide, "Monitoring Step Functions metrics using Amazon CloudWatch".
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from local.clock import Clock
from local.cloudwatch import embedded
from local.cloudwatch.deliveries import metrics_of
from local.cloudwatch.metrics import Metric, Metrics, Sample

logger = logging.getLogger(__name__)

COUNTED = ("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives")
EXECUTIONS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


Gauge = tuple[str, str, dict[str, str], float, str]  # namespace, name, dimensions, value, unit


class Queue(Protocol):
    """How one queue is now: counts of messages, and the age of the oldest in seconds (None when empty)."""

    name: str
    visible: int
    in_flight: int
    delayed: int
    oldest: float | None


@dataclass
class Counts:
    """What happened at one queue since it was last written down."""

    counted: dict[str, int]
    sizes: list[int]


class Vended:
    """Takes note of what happens, at once or with each minute."""

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock,
        queues: Callable[[], Iterable[Queue]],
        gauges: Callable[[], Iterable[Gauge]] = tuple,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._queues = queues
        self._gauges = gauges
        self._counts: dict[str, Counts] = {}
        self._lock = threading.Lock()

    def invocation(self, function: str, seconds: float, failed: bool, throttled: bool) -> None:
        """One invocation of a function: by its name, and over all functions."""
        values: list[tuple[str, float, str]] = [("Throttles", float(throttled), "Count")]
        if not throttled:  # a request that is throttled is no invocation
            values += [("Invocations", 1.0, "Count"), ("Errors", float(failed), "Count")]
            values += [("Duration", seconds * 1000, "Milliseconds")]
        at = self._clock.time()
        self._metrics.put(
            (Metric.of("AWS/Lambda", name, dimensions), Sample.of(at, value, unit))
            for name, value, unit in values
            for dimensions in ({"FunctionName": function}, {})
        )

    def event(self, source: str, detail_type: str, detail: dict[str, Any]) -> None:
        """An event of a service of this cloud: executions of state machines are counted by it."""
        if (source, detail_type) != ("aws.states", "Step Functions Execution Status Change"):
            return
        dimensions = {"StateMachineArn": detail["stateMachineArn"]}
        at, name = self._clock.time(), EXECUTIONS.get(detail["status"])
        if name is None:
            return
        samples = [(Metric.of("AWS/States", name, dimensions), Sample.of(at, 1.0, "Count"))]
        if detail.get("stopDate"):
            took = detail["stopDate"] - detail["startDate"]
            samples.append((Metric.of("AWS/States", "ExecutionTime", dimensions), Sample.of(at, took, "Milliseconds")))
        self._metrics.put(samples)

    def delivery(self, source_arn: str, what: str) -> None:
        """Something happened to a delivery of a rule or a schedule (local.cloudwatch.deliveries says what may)."""
        at = self._clock.time()
        self._metrics.put((metric, Sample.of(at, 1.0, "Count")) for metric in metrics_of(source_arn, what))

    def values(self, namespace: str, dimensions: dict[str, str], values: list[tuple[str, float, str]]) -> None:
        """Values that a service measured of itself: name, value and unit of each."""
        at = self._clock.time()
        self._metrics.put(
            (Metric.of(namespace, name, dimensions), Sample.of(at, value, unit)) for name, value, unit in values
        )

    def queue(self, name: str, what: str, size: int | None = None) -> None:
        """Something happened to a message of a queue: one of COUNTED; `size` in bytes for one that is sent."""
        with self._lock:
            counts = self._counts.setdefault(name, Counts(dict.fromkeys(COUNTED, 0), []))
            counts.counted[what] += 1
            if size is not None:
                counts.sizes.append(size)

    def log(self, group: str, text: str) -> None:
        """Take the metrics out of what was logged."""
        for document in embedded.documents(text):
            try:
                found = embedded.read(document, self._clock.time())
            except embedded.EmbeddedError as error:
                kind = "Parsing" if isinstance(error, embedded.NotJsonError) else "Validation"
                logger.warning("log group %s: embedded metrics that cannot be used: %s", group, error)
                metric = Metric.of("AWS/Logs", f"EMF{kind}Errors", {"LogGroupName": group})
                self._metrics.put([(metric, Sample.of(self._clock.time(), 1.0, "Count"))])
                continue
            for resolution, samples in found.items():
                if samples:
                    self._metrics.put(samples, resolution=resolution)

    def close_minute(self, minute: float) -> None:
        """Write down how queues are, and what happened at them since the last time, for the minute that begins then."""
        with self._lock:
            happened, self._counts = self._counts, {}
        gauges: list[tuple[Metric, Sample]] = []
        sums: list[tuple[Metric, Sample]] = []
        for queue in self._queues():
            dimensions = {"QueueName": queue.name}
            now = {
                "ApproximateNumberOfMessagesVisible": queue.visible,
                "ApproximateNumberOfMessagesNotVisible": queue.in_flight,
                "ApproximateNumberOfMessagesDelayed": queue.delayed,
            }
            gauges += [
                (_sqs(name, dimensions), Sample.of(minute, float(value), "Count")) for name, value in now.items()
            ]
            oldest = Sample.of(minute, queue.oldest or 0.0, "Seconds")
            gauges.append((_sqs("ApproximateAgeOfOldestMessage", dimensions), oldest))
            counts = happened.get(queue.name) or Counts(dict.fromkeys(COUNTED, 0), [])
            sums += [
                (_sqs(name, dimensions), Sample.of(minute, float(value), "Count"))
                for name, value in counts.counted.items()
            ]
            sums += [
                (_sqs("SentMessageSize", dimensions), Sample.of(minute, float(size), "Bytes")) for size in counts.sizes
            ]
        gauges += [
            (Metric.of(namespace, name, dimensions), Sample.of(minute, value, unit))
            for namespace, name, dimensions, value, unit in self._gauges()
        ]
        self._metrics.put(gauges, replace=True)  # a minute that is looked at twice is as it was at the end
        self._metrics.put(sums)


def _sqs(name: str, dimensions: dict[str, str]) -> Metric:
    return Metric.of("AWS/SQS", name, dimensions)
