"""EventBridge Scheduler's own part: when a schedule is due, in its time zone and by the cloud's clock, and its input.

Source: EventBridge Scheduler user guide, "Schedule types" and "Adding context attributes".
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from local import ministack_seam as seam
from local.clock import Clock
from local.delivery import Delivery
from local.service import ApiError

logger = logging.getLogger("boxcar.schedules")

TICK_SECONDS = 1.0  # of real time


class Schedules:
    """Watches the schedules of one cloud and fires those that are due."""

    def __init__(
        self, records: Callable[[], list[dict[str, Any]]], submit: Callable[[Delivery], None], clock: Clock
    ) -> None:
        self._records = records
        self._submit = submit
        self._clock = clock
        self._seen: dict[str, float] = {}  # ARN → when it last fired, or was first seen
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="schedules", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """End the watch."""
        self._stop.set()

    def fire(self, name: str) -> str:
        """Fire a schedule now, whatever its time says; return the execution id.

        Raises:
            ApiError: there is no schedule of that name.
        """
        for record in self._records():
            if name in (record["Name"], f"{record['GroupName']}/{record['Name']}", record["Arn"]):
                return self._fire(record, self._clock.time())
        known = ", ".join(sorted(record["Name"] for record in self._records())) or "none"
        raise ApiError("ResourceNotFoundException", f"schedule {name!r} does not exist; known: {known}", 404)

    def tick(self) -> None:
        """Fire what is due."""
        now = self._clock.time()
        for record in self._records():
            try:
                self._consider(record, now)
            except Exception:
                logger.exception("schedule %s could not be fired", record.get("Name"))

    def _watch(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            self.tick()

    def _consider(self, record: dict[str, Any], now: float) -> None:
        start, end = _epoch(record.get("StartDate")), _epoch(record.get("EndDate"))
        if record.get("State") != "ENABLED" or (start is not None and now < start):
            return
        if end is not None and now > end:
            if record.get("ActionAfterCompletion") == "DELETE":
                seam.forget_schedule(record)
            return
        known = f"{record['Arn']} {record['ScheduleExpression']} {record.get('ScheduleExpressionTimezone')}"
        last = self._seen.setdefault(known, now)
        due = next_time(record, last)
        if due is None or now < due:
            return
        self._seen[known] = now
        self._fire(record, due)
        if record["ScheduleExpression"].startswith("at("):
            self._seen[known] = float("inf")
            if record.get("ActionAfterCompletion") == "DELETE":
                seam.forget_schedule(record)

    def _fire(self, record: dict[str, Any], due: float) -> str:
        execution = uuid.uuid4().hex
        target = record["Target"]
        payload = fill(target.get("Input") or _notification(record, due), record["Arn"], due, execution)
        self._submit(Delivery(target, payload, record["Arn"], execution))
        return execution


def next_time(record: dict[str, Any], last: float) -> float | None:
    """When a schedule that last fired at `last` is due again, in seconds since the epoch; None for never."""
    expression = record["ScheduleExpression"]
    zone = ZoneInfo(record.get("ScheduleExpressionTimezone") or "UTC")
    if expression.startswith("at("):
        moment = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=zone)
        return None if last == float("inf") else moment.timestamp()
    interval = seam.rate_seconds(expression)
    if interval is not None:
        return last + interval
    found = seam.next_cron(expression, datetime.fromtimestamp(last, zone).replace(tzinfo=None))
    # a wall-clock time of that zone: 02:00 in Berlin stays 02:00 in summer and winter
    return found.replace(tzinfo=zone).timestamp() if found is not None else None


def fill(text: str, arn: str, due: float, execution: str) -> str:
    """Put Scheduler's context attributes into an input."""
    attributes = {
        "<aws.scheduler.schedule-arn>": arn,
        "<aws.scheduler.scheduled-time>": _iso(due),
        "<aws.scheduler.execution-id>": execution,
        "<aws.scheduler.attempt-number>": "1",
    }
    for name, value in attributes.items():
        text = text.replace(name, value)
    return text


def _notification(record: dict[str, Any], due: float) -> str:
    """What a target without an input gets."""
    region, account = record["Arn"].split(":")[3:5]
    told = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": account,
        "time": _iso(due),
        "region": region,
        "resources": [record["Arn"]],
        "detail": "{}",
    }
    return json.dumps(told)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _epoch(value: Any) -> float | None:
    """A start or end date, which templates write as ISO 8601 and the API as seconds."""
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()
