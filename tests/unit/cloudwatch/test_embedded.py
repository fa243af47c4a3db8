"""Metrics in log lines, against the embedded metric format's specification."""

import json
import time
from typing import Any

import pytest
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from tests.unit.cloudwatch.conftest import START, World

# the specification's own example, in this test's time
EXAMPLE = {
    "_aws": {
        "Timestamp": START * 1000,
        "CloudWatchMetrics": [
            {
                "Namespace": "lambda-function-metrics",
                "Dimensions": [["functionVersion"]],
                "Metrics": [{"Name": "time", "Unit": "Milliseconds"}],
            }
        ],
    },
    "functionVersion": "$LATEST",
    "time": 100,
    "requestId": "989ffbf8-9ace-4817-a57c-e4dd734019ee",
}


def changed(directive: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **root: Any) -> str:
    document = json.loads(json.dumps(EXAMPLE))
    document["_aws"]["CloudWatchMetrics"][0] |= directive or {}
    document["_aws"] |= meta or {}
    return json.dumps({**document, **root})


def logged(world: World, *lines: str) -> None:
    world.service.vended.log("/aws/lambda/plan", "\n".join(["START", *lines, "END"]))


def metrics(world: World) -> dict[tuple[str, str], dict[str, str]]:
    listed = world.api.list_metrics()["Metrics"]
    return {
        (metric["Namespace"], metric["MetricName"]): {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        for metric in listed
    }


def statistics(world: World, name: str, period: int = 60, **dimensions: str) -> dict[str, float]:
    [point] = world.api.get_metric_statistics(
        Namespace="lambda-function-metrics",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=START,
        EndTime=START + 60,
        Period=period,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    return point


def test_the_specifications_example(world: World) -> None:
    logged(world, json.dumps(EXAMPLE))
    assert metrics(world) == {("lambda-function-metrics", "time"): {"functionVersion": "$LATEST"}}
    point = statistics(world, "time", functionVersion="$LATEST")
    assert (point["Sum"], point["Unit"]) == (100.0, "Milliseconds")


def test_what_lambda_puts_before_a_document_does_not_matter(world: World) -> None:
    logged(world, f"2026-05-28T20:27:00.000Z\t989ffbf8\tINFO\t{json.dumps(EXAMPLE)}")
    assert len(metrics(world)) == 1


def test_every_set_of_dimensions_is_a_metric_of_its_own(world: World) -> None:
    logged(world, changed({"Dimensions": [[], ["functionVersion"], ["functionVersion", "Stage"]]}, Stage="dev"))
    listed = world.api.list_metrics()["Metrics"]
    assert [len(metric["Dimensions"]) for metric in listed] == [0, 1, 2]


def test_a_list_of_values_is_as_many_samples(world: World) -> None:
    logged(world, changed(time=[1, 2, 3.5]))
    point = statistics(world, "time", functionVersion="$LATEST")
    assert (point["Sum"], point["SampleCount"]) == (6.5, 3.0)


def test_high_resolution(world: World) -> None:
    fine = {"Metrics": [{"Name": "time", "StorageResolution": 1}]}
    logged(world, changed(fine, {"Timestamp": (START + 31) * 1000}))
    point = statistics(world, "time", period=10, functionVersion="$LATEST")
    assert point["Timestamp"].timestamp() == START + 30


def test_several_directives_and_documents(world: World) -> None:
    other = {**EXAMPLE["_aws"]["CloudWatchMetrics"][0], "Namespace": "Other"}  # type: ignore[index]
    logged(world, changed(meta={"CloudWatchMetrics": [*EXAMPLE["_aws"]["CloudWatchMetrics"], other]}), changed(time=5))  # type: ignore[index]
    assert {namespace for namespace, _ in metrics(world)} == {"lambda-function-metrics", "Other"}
    assert statistics(world, "time", functionVersion="$LATEST")["Sum"] == 105.0


@pytest.mark.parametrize(
    "line",
    [
        changed(time="fast"),
        changed(time=None),
        changed(time=True),
        changed(time=list(range(101))),
        changed(functionVersion=7),
        changed(functionVersion=""),
        changed({"Dimensions": [["absent"]]}),
        changed(
            {"Dimensions": [[f"d{number}" for number in range(31)]]}, **{f"d{number}": "x" for number in range(31)}
        ),
        changed({"Namespace": ""}),
        changed({"Metrics": [{"Unit": "Count"}]}),
        changed({"Metrics": [{"Name": f"m{number}"} for number in range(101)]}, **{f"m{n}": 1 for n in range(101)}),
        changed({"Metrics": [{"Name": "time", "StorageResolution": 30}]}),
        changed(meta={"Timestamp": "now"}),
        changed(meta={"Timestamp": (START - 15 * 86400) * 1000}),
        changed(meta={"CloudWatchMetrics": {}}),
    ],
)
def test_a_document_that_breaks_the_specification_counts_as_such(world: World, line: str) -> None:
    logged(world, line)
    assert metrics(world) == {("AWS/Logs", "EMFValidationErrors"): {"LogGroupName": "/aws/lambda/plan"}}


def test_a_line_that_is_cut_off_counts_as_such(world: World) -> None:
    logged(world, json.dumps(EXAMPLE)[:-20], json.dumps(EXAMPLE))
    assert set(metrics(world)) == {("AWS/Logs", "EMFParsingErrors"), ("lambda-function-metrics", "time")}


def test_other_lines_are_left_alone(world: World) -> None:
    logged(world, '{"level": "INFO", "message": "fine"}', "_aws is a word", '{"_aws": {"other": 1}}')
    assert metrics(world) == {}


def test_what_powertools_writes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.clock.now = time.time()  # Powertools takes the time from the machine
    powertools = Metrics(namespace="Boxcar", service="plan_run")
    powertools.add_metric(name="RunsPlanned", unit=MetricUnit.Count, value=2)
    powertools.add_dimension(name="family", value="packaging")
    powertools.flush_metrics()
    logged(world, capsys.readouterr().out)
    assert metrics(world) == {("Boxcar", "RunsPlanned"): {"family": "packaging", "service": "plan_run"}}
