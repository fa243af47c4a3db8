"""How many instances a policy wants, from its figures alone."""

from typing import Any

import pytest

from local.autoscaling.capacity import Breach, stepped, tracked

TOO_HIGH, TOO_LOW = "GreaterThanOrEqualToThreshold", "LessThanThreshold"
# the table of "How step scaling works": 0 to 10 above: none, 10 to 20: a tenth more, beyond: three tenths
OUT = [
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 0},
    {"MetricIntervalLowerBound": 10.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 10},
    {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 30},
]
IN = [
    {"MetricIntervalLowerBound": -10.0, "MetricIntervalUpperBound": 0.0, "ScalingAdjustment": 0},
    {"MetricIntervalLowerBound": -20.0, "MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -10},
    {"MetricIntervalUpperBound": -20.0, "ScalingAdjustment": -30},
]


@pytest.mark.parametrize(
    ("steps", "capacity", "breach", "wanted"),
    [
        (OUT, 10, Breach(60, 50, TOO_HIGH), 11),
        (OUT, 11, Breach(70, 50, TOO_HIGH), 14),  # 30 % of 11 is 3.3, rounded down
        (OUT, 10, Breach(59.9, 50, TOO_HIGH), 10),
        (OUT, 1, Breach(60, 50, TOO_HIGH), 2),  # a tenth of one is one
        (IN, 14, Breach(40, 50, TOO_LOW), 13),  # 1.4 rounded towards nothing
        (IN, 13, Breach(30, 50, TOO_LOW), 10),
        (IN, 13, Breach(40.1, 50, TOO_LOW), 13),
        (OUT[1:], 10, Breach(55, 50, TOO_HIGH), None),
    ],
)
def test_steps_in_percent(steps: list[dict[str, Any]], capacity: int, breach: Breach, wanted: int | None) -> None:
    assert stepped({"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": steps}, capacity, breach) == wanted


@pytest.mark.parametrize(
    ("kind", "more", "wanted"),
    [
        ("ChangeInCapacity", {}, 7),
        ("ExactCapacity", {}, 2),
        ("PercentChangeInCapacity", {"MinAdjustmentMagnitude": 3}, 8),
    ],
)
def test_other_steps(kind: str, more: dict[str, Any], wanted: int) -> None:
    steps = [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}]
    assert stepped({"AdjustmentType": kind, "StepAdjustments": steps, **more}, 5, Breach(1, 1, TOO_HIGH)) == wanted


@pytest.mark.parametrize(
    ("capacity", "value", "wanted"), [(2, 7.5, 3), (2, 5, 2), (4, 1, 1), (5, 0, 0), (0, 12, 3), (3, 5.1, 4)]
)
def test_target_tracking_is_in_proportion_and_rounds_up(capacity: int, value: float, wanted: int) -> None:
    assert tracked({"TargetValue": 5.0}, capacity, Breach(value, 5, TOO_HIGH)) == wanted
