"""The dashboard of an endpoint: CloudWatch draws it, and its graphs show what endpoints measure."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boxcar.serving.dashboard import Pictured, document, forget_dashboard
from boxcar.serving.spec import Serving
from local.cloudwatch.dashboards import body_faults
from local.sagemaker.endpoints.measures import EndpointMeasures
from local.sagemaker.model_server import Answer
from tests.unit.cloudwatch.conftest import START, World

NAME = "boxcar-packaging-box"
SINCE = "2026-05-28T20:00:00+00:00"
BOX = Pictured(NAME, "AllTraffic", "packaging/box", "1.2.0", SINCE, "us-east-1")
DOCUMENTS = Pictured("boxcar-documents", "AllTraffic", "lexrank", "", "", "us-east-1", asynchronous=True)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.service.close()


def graph(pictured: Pictured, title: str) -> dict[str, Any]:
    [found] = [
        widget["properties"]
        for widget in document(pictured)["widgets"]
        if widget["properties"].get("title", "").startswith(title)
    ]
    return dict(found)


def drawn(cloud: World, pictured: Pictured, title: str) -> dict[str, list[float]]:
    """The lines of one graph, by label, as CloudWatch works them out."""
    shown, queries = graph(pictured, title), []
    for number, metric in enumerate(shown["metrics"]):
        *names, options = metric if isinstance(metric[-1], dict) else [*metric, {}]
        query = {"Id": options.get("id", f"m{number}"), "ReturnData": options.get("visible", True)}
        if names:
            dimensions = [{"Name": name, "Value": value} for name, value in zip(names[2::2], names[3::2], strict=True)]
            measured = {"Namespace": names[0], "MetricName": names[1], "Dimensions": dimensions}
            stat = options.get("stat", shown["stat"])
            query |= {"Label": names[1], "MetricStat": {"Metric": measured, "Period": shown["period"], "Stat": stat}}
        else:
            query |= {"Label": options["label"], "Expression": options["expression"]}
        queries.append(query)
    until = datetime.fromtimestamp(START, UTC) + timedelta(minutes=1)
    answer = cloud.api.get_metric_data(MetricDataQueries=queries, StartTime=until - timedelta(minutes=5), EndTime=until)
    return {line["Label"]: line["Values"] for line in answer["MetricDataResults"]}


def test_a_real_time_endpoint_is_seen_as_it_was_asked(cloud: World) -> None:
    measures = EndpointMeasures(cloud.service.vended.values)
    fleet: Any = SimpleNamespace(name="AllTraffic", current=3)
    for status, seconds in ((200, 0.010), (200, 0.020), (500, 0.030)):
        measures.invocation(NAME, fleet, Answer(status, b"", ""), seconds, seconds + 0.005)
    assert drawn(cloud, BOX, "Invocations") == {"Invocations": [3]}
    assert drawn(cloud, BOX, "Errors") == {
        "Invocation4XXErrors": [0], "Invocation5XXErrors": [1], "InvocationModelErrors": [1],
    }  # fmt: skip
    assert drawn(cloud, BOX, "Instances") == {"instances": [pytest.approx(3)]}
    latency = drawn(cloud, BOX, "Latency of the model, in milliseconds")
    assert latency["p50"] == [pytest.approx(20)] and 20 < latency["p90"][0] < latency["p99"][0] <= 30
    assert drawn(cloud, BOX, "Latency that SageMaker adds")["p50"] == [pytest.approx(5)]


def test_an_asynchronous_endpoint_shows_its_backlog(cloud: World) -> None:
    queue = [("ApproximateBacklogSize", 12.0, "Count"), ("ApproximateBacklogSizePerInstance", 6.0, "Count")]
    cloud.service.vended.values("AWS/SageMaker", {"EndpointName": "boxcar-documents"}, queue)
    assert drawn(cloud, DOCUMENTS, "Backlog")["ApproximateBacklogSize"] == [12]
    assert drawn(cloud, DOCUMENTS, "Instances") == {"instances": [2]}


@pytest.mark.parametrize("pictured", [BOX, DOCUMENTS], ids=["real time", "asynchronous"])
def test_cloudwatch_draws_it_and_nothing_lies_on_another(pictured: Pictured) -> None:
    body = document(pictured)
    assert body_faults(json.dumps(body)) == []
    taken = [
        (column, row)
        for each in body["widgets"]
        for column in range(each["x"], each["x"] + each["width"])
        for row in range(each["y"], each["y"] + each["height"])
    ]
    assert len(taken) == len(set(taken))
    utilization = graph(pictured, "CPU")["metrics"]
    assert [metric[:2] for metric in utilization] == [
        ["/aws/sagemaker/Endpoints", "CPUUtilization"], ["/aws/sagemaker/Endpoints", "MemoryUtilization"],
    ]  # fmt: skip


def test_the_version_is_named_and_marked_in_each_graph() -> None:
    heading, *graphs = document(BOX)["widgets"]
    assert f"packaging/box 1.2.0, live since {SINCE}." in heading["properties"]["markdown"]
    marks = [each["properties"]["annotations"] for each in graphs]
    assert marks == [{"vertical": [{"label": "1.2.0", "value": SINCE}]}] * len(graphs)
    heading, *graphs = document(DOCUMENTS)["widgets"]
    assert "lexrank. " in heading["properties"]["markdown"]
    assert not any("annotations" in each["properties"] for each in graphs)


def test_it_follows_the_version_and_goes_with_the_endpoint(world: Any) -> None:
    for version in ("1.2.0", "1.3.0"):
        world.release(version)
        [heading, *_] = world.cloudwatch.dashboards[world.record.endpoint]["widgets"]
        assert f"packaging/box {version}," in heading["properties"]["markdown"]
        assert "ServedScoreDrift" not in json.dumps(world.cloudwatch.dashboards)
    world.serving = Serving.model_validate({"capture_percent": 10, "rollback": {"max_score_drift": 0.25}})
    world.release("1.4.0")
    [body] = world.cloudwatch.dashboards.values()
    [drift] = [each for each in body["widgets"] if each["properties"].get("title", "").startswith("Drift of scores")]
    assert drift["properties"]["metrics"][0][-1] == world.record.live.config
    assert body_faults(json.dumps(body)) == []
    world.cleaner.remove(world.record)
    assert world.cloudwatch.dashboards == {}
    forget_dashboard(world.cloudwatch, NAME)  # without one nothing happens
