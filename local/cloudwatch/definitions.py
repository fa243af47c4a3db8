"""What PutMetricAlarm takes, and what of it this cloud evaluates. Refusals say what to write instead."""

from dataclasses import dataclass
from typing import Any

from local.cloudwatch.evaluation import OPERATORS, TREATMENTS, Rule
from local.cloudwatch.queries import parsed
from local.cloudwatch.statistics import is_known
from local.service import ApiError

MOST_ACTIONS = 5  # for each state
DAY = 86400
WEEK = 7 * DAY
OF_A_METRIC = ("Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
NOT_HERE = ("ThresholdMetricId", "EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval")
FIELDS_OF_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")


@dataclass(frozen=True)
class Definition:
    """How an alarm is evaluated; the period is in seconds."""

    rule: Rule
    period: int


def rule_of(alarm: dict[str, Any]) -> Definition:
    """The rule of an alarm that was checked."""
    periods = alarm["EvaluationPeriods"]
    stats = [query["MetricStat"] for query in alarm.get("Metrics", []) if query.get("MetricStat")]
    missing = alarm.get("TreatMissingData", "missing")
    if "AWS/DynamoDB" in (alarm.get("Namespace"), *(stat["Metric"]["Namespace"] for stat in stats)):
        missing = "ignore"  # whatever was asked for, says PutMetricAlarm
    rule = Rule(
        periods=periods,
        to_alarm=alarm.get("DatapointsToAlarm", periods),
        operator=alarm["ComparisonOperator"],
        threshold=float(alarm["Threshold"]),
        missing=missing,
    )
    return Definition(rule, stats[0]["Period"] if stats else alarm["Period"])


def checked(request: dict[str, Any]) -> dict[str, Any]:
    """A request that can be evaluated here.

    Raises:
        ApiError: what AWS would refuse, and what this cloud does not implement.
    """
    alarm = {name: value for name, value in request.items() if value is not None}
    for field in NOT_HERE:
        if field in alarm:
            raise _refuse(f"{field}: the embedded cloud evaluates static thresholds only; write Threshold instead")
    for field in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if field not in alarm:
            raise _refuse(f"{field} must be given")
    if alarm["ComparisonOperator"] not in OPERATORS:
        raise _refuse(
            f"ComparisonOperator {alarm['ComparisonOperator']!r} is of anomaly detection, which the embedded cloud "
            f"does not have; write one of {', '.join(OPERATORS)}"
        )
    if alarm.get("TreatMissingData", "missing") not in TREATMENTS:
        raise _refuse(f"TreatMissingData {alarm['TreatMissingData']!r} is none of {', '.join(TREATMENTS)}")
    if alarm.get("EvaluateLowSampleCountPercentile", "evaluate") not in ("evaluate", "ignore"):
        raise _refuse("EvaluateLowSampleCountPercentile must be evaluate or ignore")
    _of_expression(alarm) if "Metrics" in alarm else _of_metric(alarm)
    _check_periods(alarm)
    for field in FIELDS_OF_ACTIONS:
        for action in alarm.get(field, []):
            if action.split(":")[2:3] not in (["sns"], ["autoscaling"]):
                words = "the embedded cloud tells SNS topics and scaling policies only; write the ARN of one"
                raise _refuse(f"{field} {action!r}: {words}")
        if len(alarm.get(field, [])) > MOST_ACTIONS:
            raise _refuse(f"{field} may hold {MOST_ACTIONS} actions")
    return alarm


def _of_metric(alarm: dict[str, Any]) -> None:
    for field in ("MetricName", "Namespace", "Period"):
        if field not in alarm:
            raise _refuse(f"{field} must be given, or Metrics")
    if ("Statistic" in alarm) == ("ExtendedStatistic" in alarm):
        raise _refuse("either Statistic or ExtendedStatistic must be given, and not both")
    name = alarm.get("Statistic") or alarm["ExtendedStatistic"]
    if not is_known(name):
        raise _refuse(f"ExtendedStatistic {name!r}: the embedded cloud has percentiles only; write pNN")


def _of_expression(alarm: dict[str, Any]) -> None:
    given = [field for field in ("MetricName", *OF_A_METRIC) if field in alarm]
    if given:
        raise _refuse(f"{', '.join(given)} cannot stand beside Metrics; write them in its MetricStat")
    queries = alarm["Metrics"]
    if sum(query.get("ReturnData", True) for query in queries) != 1:
        raise _refuse("exactly one of Metrics must have ReturnData true: that is what the alarm watches")
    periods = {query["MetricStat"]["Period"] for query in queries if query.get("MetricStat")}
    if len(periods) != 1:
        raise _refuse(f"Metrics must hold metrics of one and the same Period, not {sorted(periods)}")
    for query in queries:
        if query.get("MetricStat"):
            if not is_known(query["MetricStat"]["Stat"]):
                raise _refuse(f"Metrics: Stat {query['MetricStat']['Stat']!r} is not one of the embedded cloud's")
        else:
            missing = parsed(query).names - {each["Id"] for each in queries}
            if missing:
                raise _refuse(
                    f"Metrics: {query['Expression']!r} names {', '.join(sorted(missing))}, which is no Id here"
                )


def _check_periods(alarm: dict[str, Any]) -> None:
    definition = rule_of(alarm)
    rule, period = definition.rule, definition.period
    if period not in (10, 20, 30) and (period <= 0 or period % 60):
        raise _refuse(f"Period {period} must be 10, 20, 30, or a multiple of 60")
    if not 1 <= rule.to_alarm <= rule.periods:
        raise _refuse(f"DatapointsToAlarm {rule.to_alarm} must be between 1 and EvaluationPeriods ({rule.periods})")
    longest = WEEK if period >= 3600 else DAY
    if rule.periods * period > longest:
        raise _refuse(f"EvaluationPeriods × Period may be {longest} seconds, not {rule.periods * period}")


def _refuse(text: str) -> ApiError:
    return ApiError("ValidationError", text)
