"""What state an alarm is in, from its data points.

Source: CloudWatch user guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data", with
its tables of worked examples, which the tests hold this to. Where the guide leaves a case open (real points that all
breach, too few and too young), the state is that of its earlier editions' tables: INSUFFICIENT_DATA or unchanged.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

OK = "OK"
ALARM = "ALARM"
INSUFFICIENT = "INSUFFICIENT_DATA"
KEEP = ""  # the alarm stays as it is

# The guide's examples evaluate 3 data points and retrieve 5; it gives no other figure.
EXTRA_POINTS = 2
TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True)
class Rule:
    """When an alarm breaches, and how often it must: `to_alarm` of the last `periods` data points (M out of N)."""

    periods: int
    to_alarm: int
    operator: str
    threshold: float
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        """Whether one data point violates the threshold."""
        return OPERATORS[self.operator](value, self.threshold)

    @property
    def points(self) -> int:
        """The evaluation range: how many of the most recent data points are retrieved."""
        return self.periods + EXTRA_POINTS


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found: the state (KEEP: unchanged) and what it rests on."""

    state: str
    evaluated: tuple[int, ...]  # places of the real data points that counted, 0 being the most recent
    breaching: tuple[int, ...]  # those of them that breach
    filled: int  # missing data points that were treated as the alarm says


def evaluate(points: Sequence[float | None], rule: Rule) -> Outcome:
    """Evaluate the data points of the evaluation range, most recent first; None is a missing one."""
    real = [place for place, value in enumerate(points) if value is not None][: rule.periods]
    breaching = tuple(place for place in real if rule.breaches(_value(points, place)))
    filled = rule.periods - len(real)
    return Outcome(_state(real, breaching, filled, rule), tuple(real), breaching, filled)


def _state(real: list[int], breaching: tuple[int, ...], filled: int, rule: Rule) -> str:
    if len(breaching) >= rule.to_alarm:
        return ALARM
    if not filled or rule.missing == "notBreaching":
        return OK
    if rule.missing == "breaching":
        return ALARM if len(breaching) + filled >= rule.to_alarm else OK
    if len(breaching) < len(real):
        return OK  # a point that does not breach is among them, and too few do
    if rule.missing == "ignore":
        return KEEP
    # Only breaching points, and fewer than are asked for. The oldest decides: had those that are missing since come,
    # there would be enough ("Avoiding premature transitions to alarm state").
    return ALARM if real and real[-1] + 1 >= rule.to_alarm else INSUFFICIENT


def _value(points: Sequence[float | None], place: int) -> float:
    value = points[place]
    assert value is not None
    return value
