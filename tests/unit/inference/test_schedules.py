"""When the stack's schedules of predictions come: by virtual time, in the zone that the template hands them."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lint import template
from local.delivery import Delivery
from local.schedules import Schedules

TEMPLATE = template.read(Path(__file__).parents[3] / "template.yaml").written
ZONE = ZoneInfo("Europe/Berlin")


def schedules() -> dict[str, dict[str, Any]]:
    """Each schedule of the machine, and the check beside it, by name."""
    resources = TEMPLATE["Resources"]
    events = resources["InferenceMachine"]["Properties"]["Events"]
    return {
        "daily": events["Daily"]["Properties"],
        "monthly": events["Monthly"]["Properties"],
        "daily check": resources["DailyInferenceCheck"]["Properties"],
        "monthly check": resources["MonthlyInferenceCheck"]["Properties"],
    }


def fired(expression: str, first: datetime, days: int) -> list[datetime]:
    """When a schedule fires, on the clock of the wall in its zone; looked at every half hour."""
    record = {
        "Arn": "arn:aws:scheduler:eu-west-1:1:schedule/default/x", "Name": "x", "GroupName": "default", "State": "ENABLED",
        "ScheduleExpression": expression, "ScheduleExpressionTimezone": ZONE.key, "Target": {"Arn": "a", "Input": "{}"},
    }  # fmt: skip
    now, sent = first.timestamp(), []
    clock = type("Clock", (), {"time": lambda self: now})()

    def submit(delivery: Delivery) -> None:
        sent.append(datetime.fromtimestamp(now, ZONE).replace(tzinfo=None))

    made = Schedules(lambda: [record], submit, clock)
    for half_hours in range(days * 48):
        now = (first + timedelta(minutes=30 * half_hours)).timestamp()
        made.tick()
    return sent


def default_of(parameter: str) -> str:
    return str(TEMPLATE["Parameters"][parameter]["Default"])


@pytest.mark.parametrize("name", ["daily", "monthly", "daily check", "monthly check"])
def test_every_schedule_and_its_check_have_the_time_and_the_zone_of_the_parameters(name):
    found = schedules()[name]
    assert found["ScheduleExpression"] == {"Ref": f"{name.split()[0].title()}Schedule"}
    assert found["ScheduleExpressionTimezone"] == {"Ref": "InferenceTimezone"}


@pytest.mark.parametrize("first", [datetime(2026, 3, 27), datetime(2026, 10, 23)])
def test_a_day_is_predicted_once_at_the_same_hour_when_clocks_change(first):
    days = fired(default_of("DailySchedule"), first.replace(tzinfo=ZoneInfo("UTC")), 5)
    assert [moment.hour for moment in days] == [6] * 5
    assert [moment.day - days[0].day for moment in days] == list(range(5))


def test_a_month_is_predicted_on_its_first_day():
    months = fired(default_of("MonthlySchedule"), datetime(2026, 2, 20, tzinfo=ZoneInfo("UTC")), 75)
    assert [(moment.month, moment.day, moment.hour) for moment in months] == [(3, 1, 4), (4, 1, 4), (5, 1, 4)]
