"""Metrics as their users meet them: what is put is found again, by exact dimensions and in periods."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from local.cloudwatch.metrics import Metric, Sample
from tests.unit.cloudwatch.conftest import START, World

WHOLE = {"Period": 60, "StartTime": START - 600, "EndTime": START + 60}


def points(
    world: World, statistics: tuple[str, ...] = (), extended: tuple[str, ...] = (), **changes: object
) -> list[dict]:
    request = {"Namespace": "Test", "MetricName": "Lost", **WHOLE, **changes}
    if statistics:
        request["Statistics"] = list(statistics)
    if extended:
        request["ExtendedStatistics"] = list(extended)
    return world.api.get_metric_statistics(**request)["Datapoints"]


def values(world: World, *queries: dict, **changes: object) -> dict[str, list[float]]:
    request = {"StartTime": START - 600, "EndTime": START + 60, "ScanBy": "TimestampAscending", **changes}
    results = world.api.get_metric_data(MetricDataQueries=list(queries), **request)["MetricDataResults"]
    return {result["Id"]: result["Values"] for result in results}


def query(id_: str, name: str = "Lost", stat: str = "Sum", period: int = 60, **more: object) -> dict:
    metric = {"Namespace": "Test", "MetricName": name}
    return {"Id": id_, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, **more}


def test_statistics_of_a_minute(world: World) -> None:
    for value in (1, 2, 6):
        world.put(value)
    [point] = points(world, ("SampleCount", "Sum", "Average", "Minimum", "Maximum"))
    assert point == {
        "Timestamp": datetime.fromtimestamp(START, UTC),
        "SampleCount": 3.0,
        "Sum": 9.0,
        "Average": 3.0,
        "Minimum": 1.0,
        "Maximum": 6.0,
        "Unit": "None",
    }


def test_a_metric_is_its_exact_dimensions(world: World) -> None:
    world.put(1)
    world.put(2, Dimensions=[{"Name": "Queue", "Value": "a"}])
    world.put(4, Dimensions=[{"Name": "Stage", "Value": "dev"}, {"Name": "Queue", "Value": "a"}])
    assert [point["Sum"] for point in points(world, ("Sum",))] == [1.0]
    assert [point["Sum"] for point in points(world, ("Sum",), Dimensions=[{"Name": "Queue", "Value": "a"}])] == [2.0]
    both = [{"Name": "Queue", "Value": "a"}, {"Name": "Stage", "Value": "dev"}]  # in any order
    assert [point["Sum"] for point in points(world, ("Sum",), Dimensions=both)] == [4.0]
    listed = world.api.list_metrics(Namespace="Test", Dimensions=[{"Name": "Queue"}])["Metrics"]
    assert [len(metric["Dimensions"]) for metric in listed] == [1, 2]
    assert len(world.api.list_metrics()["Metrics"]) == 3


def test_percentiles_need_single_values(world: World) -> None:
    world.api.put_metric_data(
        Namespace="Test", MetricData=[{"MetricName": "Lost", "Values": [10.0, 20.0], "Counts": [99.0, 1.0]}]
    )
    [point] = points(world, extended=("p50", "p99", "p100"))
    assert point["ExtendedStatistics"] == {"p50": 10.0, "p99": pytest.approx(10.1), "p100": 20.0}
    summary = {"SampleCount": 2.0, "Sum": 30.0, "Minimum": 10.0, "Maximum": 20.0}
    world.api.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "Lost", "StatisticValues": summary}])
    [point] = points(world, ("Maximum", "SampleCount"), ("p50",))
    assert (point["Maximum"], point["SampleCount"], point.get("ExtendedStatistics")) == (20.0, 102.0, None)


def test_units_are_aggregated_apart_and_asked_for_one_by_one(world: World) -> None:
    world.put(1, Unit="Seconds")
    world.put(1000, Unit="Milliseconds")
    assert {point["Unit"]: point["Sum"] for point in points(world, ("Sum",))} == {
        "Seconds": 1.0,
        "Milliseconds": 1000.0,
    }
    assert [point["Sum"] for point in points(world, ("Sum",), Unit="Seconds")] == [1.0]


def test_periods_are_counted_from_the_start_asked_for(world: World) -> None:
    for minutes_ago in range(4):
        world.put(1, minutes_ago)
    found = points(world, ("Sum",), Period=120, StartTime=START - 180 + 42)  # rounded down to the minute
    assert [(point["Timestamp"].timestamp() - START, point["Sum"]) for point in found] == [(-180, 2.0), (-60, 2.0)]


def test_seconds_are_kept_only_where_asked_for(world: World) -> None:
    world.put(1, Timestamp=START + 17)
    world.put(2, Timestamp=START + 17, StorageResolution=1)
    found = points(world, ("Sum",), Period=10, StartTime=START)
    assert [(point["Timestamp"].timestamp() - START, point["Sum"]) for point in found] == [(0, 1.0), (10, 2.0)]


def test_metric_data_of_several_queries(world: World) -> None:
    for minutes_ago, value in ((3, 4), (2, 0), (0, 6)):
        world.put(value, minutes_ago)
    for minutes_ago in (3, 2, 1):
        world.put(2, minutes_ago, name="Sent")
    found = values(
        world,
        query("lost"),
        query("sent", "Sent", ReturnData=False),
        {"Id": "share", "Expression": "lost / sent * 100"},
        {"Id": "filled", "Expression": "FILL(sent, REPEAT)"},
        {"Id": "worst", "Expression": "MAX(METRICS())"},
        {"Id": "many", "Expression": "IF(lost > 3, 1, 0)"},
        {"Id": "chained", "Expression": "share + 1"},
    )
    assert found == {
        "lost": [4.0, 0.0, 6.0],
        "share": [200.0, 0.0],
        "filled": [2.0, 2.0, 2.0, 2.0],
        "worst": [4.0, 2.0, 2.0, 6.0],
        "many": [1.0, 0.0, 1.0],
        "chained": [201.0, 1.0],
    }
    newest = values(world, query("lost"), ScanBy="TimestampDescending", MaxDatapoints=2)
    assert newest == {"lost": [6.0, 0.0]}


def test_a_division_by_zero_has_no_value(world: World) -> None:
    world.put(1, name="Failed")
    world.put(0, name="All")
    assert values(world, query("f", "Failed"), query("a", "All"), {"Id": "r", "Expression": "f/a"})["r"] == []


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("SELECT AVG(x) FROM y", "neither Metrics Insights nor SEARCH"),
        ("ANOMALY_DETECTION_BAND(lost, 2)", "no function ANOMALY_DETECTION_BAND"),
        ("lost / sent", "no metric has the id sent"),
        ("lost /", "no math expression"),
        ("METRICS()", "several time series"),
    ],
)
def test_an_expression_that_is_not_there_is_refused(world: World, expression: str, words: str) -> None:
    with pytest.raises(ClientError, match=words) as told:
        values(world, query("lost"), {"Id": "e", "Expression": expression})
    assert told.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("datum", "words"),
    [
        ({}, "Value or Values or StatisticValues"),
        ({"Value": float(2**361)}, "2.360"),
        ({"Value": 1.0, "Timestamp": START - 15 * 86400}, "two weeks ago"),
        ({"Value": 1.0, "Timestamp": START + 3 * 3600}, "two hours"),
        ({"Values": [1.0], "Counts": [1.0, 2.0]}, "as many as Counts"),
        ({"Value": 1.0, "StorageResolution": 5}, "1 or 60"),
    ],
)
def test_wrong_data_is_refused_whole(world: World, datum: dict, words: str) -> None:
    good = {"MetricName": "Lost", "Value": 1.0}
    with pytest.raises(ClientError, match=words):
        world.api.put_metric_data(Namespace="Test", MetricData=[good, {"MetricName": "Lost", **datum}])
    assert world.api.list_metrics()["Metrics"] == []


def test_namespaces_of_aws_are_closed(world: World) -> None:
    with pytest.raises(ClientError, match="AWS/"):
        world.api.put_metric_data(Namespace="AWS/SQS", MetricData=[{"MetricName": "x", "Value": 1.0}])


def test_too_many_points_are_refused_in_aws_words(world: World) -> None:
    with pytest.raises(ClientError, match="exceeds the limit of 1440"):
        points(world, ("Sum",), StartTime=START - 2 * 86400)


def test_a_large_request_comes_compressed(world: World) -> None:
    dimensions = [{"Name": f"d{number}", "Value": "v" * 100} for number in range(10)]
    data = [{"MetricName": f"m{number}", "Value": 1.0, "Dimensions": dimensions} for number in range(20)]
    world.api.put_metric_data(Namespace="Test", MetricData=data)
    assert len(world.api.list_metrics(Namespace="Test")["Metrics"]) == 20


def test_old_samples_are_let_go_of(world: World) -> None:
    world.put(1)
    world.clock.now += 20 * 86400
    world.put(2)
    world.service._metrics.forget(world.clock.now - 15 * 86400)
    found = world.api.get_metric_statistics(
        Namespace="Test",
        MetricName="Lost",
        StartTime=START,
        EndTime=world.clock.now + 60,
        Period=86400,
        Statistics=["Sum"],
    )
    assert [point["Sum"] for point in found["Datapoints"]] == [2.0]


def test_samples_that_cannot_be_made_leave_the_rest_as_it_was(world: World) -> None:
    def broken() -> Iterator[tuple[Metric, Sample]]:
        yield Metric("Test", "Lost"), Sample.of(START, 1.0)
        raise KeyError("gone")

    with pytest.raises(KeyError):
        world.service._metrics.put(broken())
    assert world.api.list_metrics()["Metrics"] == []
    world.put(2)
    assert [point["Sum"] for point in points(world, ("Sum",))] == [2.0]
