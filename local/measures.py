"""What the services of a cloud measure of themselves, told to its CloudWatch; to nobody in a cloud without one."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from local.service import Service

logger = logging.getLogger("boxcar.measures")

CLOUDWATCH = "monitoring"


class Measures:
    """Takes note for one cloud. Whoever is measured does not fail because the measuring does."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services

    def event(self, source: str, detail_type: str, detail: dict[str, Any]) -> None:
        """An event of a service of this cloud."""
        self._tell(lambda cloudwatch: cloudwatch.vended.event(source, detail_type, detail))

    def invocation(self, function: str, group: str, seconds: float, failed: bool, throttled: bool, log: str) -> None:
        """One invocation of a function, and what it logged to its log group."""
        self._tell(lambda cloudwatch: cloudwatch.vended.invocation(function, seconds, failed, throttled))
        self._tell(lambda cloudwatch: cloudwatch.vended.log(group, log))

    def delivery(self, source_arn: str, what: str) -> None:
        """Something happened to a delivery of a rule or a schedule."""
        self._tell(lambda cloudwatch: cloudwatch.vended.delivery(source_arn, what))

    def queue(self, name: str, what: str, size: int | None) -> None:
        """Something happened to a message of a queue; `size` in bytes for one that was sent."""
        self._tell(lambda cloudwatch: cloudwatch.vended.queue(name, what, size))

    def values(self, namespace: str, dimensions: dict[str, str], values: list[tuple[str, float, str]]) -> None:
        """Values of a service's own metrics: name, value and unit of each."""
        self._tell(lambda cloudwatch: cloudwatch.vended.values(namespace, dimensions, values))

    def log_events(self, body: bytes) -> None:
        """A PutLogEvents request that was accepted."""
        if b"CloudWatchMetrics" in body:
            self._tell(lambda cloudwatch: cloudwatch.put_log_events(body))

    def _tell(self, what: Callable[[Any], None]) -> None:
        cloudwatch = self._services.get(CLOUDWATCH)  # looked up each time: services come one by one
        if cloudwatch is None:
            return
        try:
            what(cloudwatch)
        except Exception as error:  # a cloud that stops has closed its files
            logger.warning("not measured: %s: %s", type(error).__name__, error)
