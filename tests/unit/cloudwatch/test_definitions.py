"""What PutMetricAlarm refuses, and the way out that it names."""

import pytest
from botocore.exceptions import ClientError

from tests.unit.cloudwatch.conftest import World


def refused(world: World, **changes: object) -> str:
    with pytest.raises(ClientError) as told:
        world.alarm(**changes)
    assert told.value.response["Error"]["Code"] == "ValidationError"
    return str(told.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TreatMissingData": "never"}, "breaching, notBreaching, ignore, missing"),
        ({"DatapointsToAlarm": 2}, "between 1 and EvaluationPeriods"),
        ({"Period": 45}, "10, 20, 30, or a multiple of 60"),
        ({"Period": 3600, "EvaluationPeriods": 200}, "604800 seconds"),
        ({"Statistic": None}, "either Statistic or ExtendedStatistic"),
        ({"Statistic": None, "ExtendedStatistic": "tm90"}, "percentiles only; write pNN"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "anomaly detection"),
        ({"Threshold": None}, "Threshold must be given"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "SNS topics and scaling policies only"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(world: World, changes: dict[str, object], words: str) -> None:
    assert words in refused(world, **changes)


def test_composite_alarms_are_refused_with_a_way_out(world: World) -> None:
    with pytest.raises(ClientError, match="composite alarms; let an alarm watch a math expression"):
        world.api.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(a) AND ALARM(b)")


def test_alarms_on_expressions_name_what_is_wrong_with_them(world: World) -> None:
    def stat(id_: str, period: int = 60, **more: object) -> dict[str, object]:
        metric = {"Namespace": "Test", "MetricName": "Lost"}
        return {
            "Id": id_,
            "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"},
            "ReturnData": False,
            **more,
        }

    share = {"Id": "share", "Expression": "a / b"}
    without = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    for metrics, words in (
        ([stat("a"), stat("b", 300), share], "one and the same Period"),
        ([stat("a"), share], "'a / b' names b"),
        ([stat("a"), stat("b")], "exactly one of Metrics must have ReturnData true"),
        (
            [stat("a"), stat("b"), {**share, "Expression": "SELECT MAX(x) FROM y"}],
            "neither Metrics Insights nor SEARCH",
        ),
    ):
        assert words in refused(world, **without, Metrics=metrics)
    assert "cannot stand beside Metrics" in refused(world, Metrics=[stat("a"), stat("b"), share])
