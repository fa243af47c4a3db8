"""Why an alarm is in a state, in AWS's words and as its JSON.

The words are those of alarms seen in public: notifications and answers of DescribeAlarms that people have posted.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from local.cloudwatch.evaluation import ALARM, INSUFFICIENT, Outcome, Rule

WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching", "ignore": "Ignored", "missing": "Missing"}
INITIAL = "Unchecked: Initial alarm creation"


def reason(outcome: Outcome, rule: Rule, values: Sequence[float | None], times: Sequence[float], m_of_n: bool) -> str:
    """The StateReason; `values` and `times` are those of the evaluation range, most recent first."""
    if outcome.state == INSUFFICIENT:
        return f"Insufficient Data: {_count(outcome.filled, 'datapoint')} {_was(outcome.filled)} unknown."
    treated = TREATED[rule.missing]
    filled = f"{_count(outcome.filled, 'missing datapoint')} {_was(outcome.filled)} treated as [{treated}]"
    if not outcome.evaluated:
        periods = _count(rule.periods, "period")
        return f"Threshold Crossed: no datapoints were received for {periods} and {filled}."
    alarming = outcome.state == ALARM
    shown = [place for place in outcome.evaluated if (place in outcome.breaching) == alarming]
    listed = ", ".join(f"{values[place]} ({_short(times[place])})" for place in shown)
    count = len(shown)
    head = f"{count} out of the last {rule.periods} datapoints" if m_of_n else _count(count, "datapoint")
    crossed = f"{WORDS[rule.operator]} the threshold ({rule.threshold})"
    text = f"Threshold Crossed: {head} [{listed}] {_was(count)} {'' if alarming else 'not '}{crossed}"
    if m_of_n:
        least = rule.to_alarm if alarming else rule.periods - rule.to_alarm + 1
        change = "OK -> ALARM" if alarming else "ALARM -> OK"
        text += f" (minimum {_count(least, 'datapoint')} for {change} transition)"
    # missing points are told of where they count: treated as one or the other
    return f"{text} and {filled}." if outcome.filled and rule.missing in ("breaching", "notBreaching") else f"{text}."


def reason_data(
    outcome: Outcome,
    rule: Rule,
    values: Sequence[float | None],
    times: Sequence[float],
    counts: Sequence[float],
    now: float,
    metric: dict[str, Any],
) -> str:
    """The StateReasonData; `metric` holds unit, statistic and period, as far as the alarm has them."""
    recent = [values[place] for place in reversed(outcome.evaluated)]
    evaluated: list[dict[str, Any]] = [
        {"timestamp": stamp(times[place]), **({"sampleCount": counts[place]} if counts else {}), "value": values[place]}
        for place in outcome.evaluated
    ] or [{"timestamp": stamp(time)} for time in times[: rule.periods]]
    told: dict[str, Any] = {"version": "1.0", "queryDate": stamp(now)}
    if outcome.evaluated:
        told["startDate"] = stamp(times[outcome.evaluated[-1]])
    told |= {name: value for name, value in metric.items() if value is not None}
    told |= {"recentDatapoints": recent, "threshold": rule.threshold, "evaluatedDatapoints": evaluated}
    return json.dumps(told, separators=(",", ":"))


def stamp(time: float) -> str:
    """2026-01-21T20:22:54.408+0000."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(time * 1000) % 1000:03d}+0000"


def _short(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%d/%m/%y %H:%M:%S")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
