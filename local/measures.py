"""What the services of a cloud measure of themselves, told to its CloudWatch; to nobody in a cloud without one."""

from collections.abc import Mapping
from typing import Any

from local.service import Service

CLOUDWATCH = "monitoring"


class Measures:
    """Takes note for one cloud; looks CloudWatch up when it is told something, since services come one by one."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services

    def event(self, source: str, detail_type: str, detail: dict[str, Any]) -> None:
        """An event of a service of this cloud."""
        if service := self._cloudwatch():
            service.vended.event(source, detail_type, detail)

    def invocation(self, function: str, group: str, seconds: float, failed: bool, throttled: bool, log: str) -> None:
        """One invocation of a function, and what it logged to its log group."""
        if service := self._cloudwatch():
            service.vended.invocation(function, seconds, failed, throttled)
            service.vended.log(group, log)

    def queue(self, name: str, what: str, size: int | None) -> None:
        """Something happened to a message of a queue; `size` in bytes for one that was sent."""
        if service := self._cloudwatch():
            service.vended.queue(name, what, size)

    def log_events(self, body: bytes) -> None:
        """A PutLogEvents request that was accepted."""
        if (service := self._cloudwatch()) and b"CloudWatchMetrics" in body:
            service.put_log_events(body)

    def _cloudwatch(self) -> Any:
        return self._services.get(CLOUDWATCH)
