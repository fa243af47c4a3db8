"""When schedules are due, in which time zone, and what they hand to their targets."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from local.delivery import Delivery
from local.schedules import Schedules, fill, next_time
from local.service import ApiError

ARN = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/weekly"


class Clock:
    def __init__(self, now: str) -> None:
        self.now = seconds(now)

    def time(self) -> float:
        return self.now


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def schedule(expression: str, **more: Any) -> dict[str, Any]:
    target = {"Arn": "arn:aws:sqs:us-east-1:000000000000:queue", "RoleArn": "arn:aws:iam::000000000000:role/r"}
    base = {"Arn": ARN, "Name": "weekly", "GroupName": "default", "State": "ENABLED", "ScheduleExpression": expression}
    return {**base, "Target": target, **more}


@pytest.mark.parametrize(
    ("expression", "zone", "last", "due"),
    [
        ("rate(5 minutes)", None, "2026-01-01T00:00", "2026-01-01T00:05"),
        ("cron(0 2 ? * MON *)", None, "2026-01-01T00:00", "2026-01-05T02:00"),
        ("cron(0 2 ? * MON *)", "Europe/Berlin", "2026-01-01T00:00", "2026-01-05T01:00"),  # winter: UTC+1
        ("cron(0 2 ? * MON *)", "Europe/Berlin", "2026-07-01T00:00", "2026-07-06T00:00"),  # summer: UTC+2
        ("cron(0 2 ? * MON *)", "Asia/Tokyo", "2026-01-01T00:00", "2026-01-04T17:00"),
        ("at(2026-03-01T12:00:00)", "America/New_York", "2026-01-01T00:00", "2026-03-01T17:00"),
    ],
)
def test_when_a_schedule_is_due(expression: str, zone: str | None, last: str, due: str) -> None:
    record = schedule(expression, ScheduleExpressionTimezone=zone)
    assert next_time(record, seconds(last)) == seconds(due)


def watch(record: dict[str, Any], times: list[str]) -> list[Delivery]:
    sent: list[Delivery] = []
    clock = Clock(times[0])
    schedules = Schedules(lambda: [record], sent.append, clock)  # type: ignore[arg-type]
    for time in times:
        clock.now = seconds(time)
        schedules.tick()
    return sent


def test_a_rate_fires_once_an_interval() -> None:
    times = [f"2026-01-01T00:0{minute}" for minute in range(7)]
    assert len(watch(schedule("rate(2 minutes)"), times)) == 3


def test_what_is_disabled_not_begun_or_over_does_not_fire() -> None:
    times = ["2026-01-01T00:00", "2026-01-01T00:10"]
    assert watch(schedule("rate(1 minute)", State="DISABLED"), times) == []
    assert watch(schedule("rate(1 minute)", StartDate="2026-02-01T00:00:00Z"), times) == []
    assert watch(schedule("rate(1 minute)", EndDate=seconds("2025-01-01T00:00")), times) == []


def test_at_fires_once_even_when_the_moment_has_passed() -> None:
    times = ["2026-01-01T00:00", "2026-01-01T00:02", "2026-01-01T00:03", "2026-01-02T00:00"]
    assert len(watch(schedule("at(2026-01-01T00:01:00)"), times)) == 1


def test_the_input_carries_context_attributes() -> None:
    told = fill('{"at": "<aws.scheduler.scheduled-time>", "id": "<aws.scheduler.execution-id>"}', ARN, 0.0, "e1")
    assert json.loads(told) == {"at": "1970-01-01T00:00:00Z", "id": "e1"}


def test_without_an_input_the_target_gets_the_notification() -> None:
    [delivery] = watch(schedule("rate(1 minute)"), ["2026-01-01T00:00", "2026-01-01T00:01"])
    told = json.loads(delivery.payload)
    assert (told["source"], told["detail-type"], told["resources"]) == ("aws.scheduler", "Scheduled Event", [ARN])


def test_firing_what_does_not_exist_says_what_does() -> None:
    schedules = Schedules(lambda: [schedule("rate(1 minute)")], lambda _: None, Clock("2026-01-01T00:00"))  # type: ignore[arg-type]
    with pytest.raises(ApiError, match="'monthly' does not exist; known: weekly"):
        schedules.fire("monthly")
    assert schedules.fire("weekly")
