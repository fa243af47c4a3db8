"""Dashboards: kept as they are, refused where AWS would not draw them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.cloudwatch.conftest import World

METRIC = {
    "type": "metric",
    "x": 0,
    "y": 0,
    "width": 12,
    "height": 6,
    "properties": {"metrics": [["AWS/SQS", "NumberOfMessagesSent", "QueueName", "work"]], "region": "us-east-1"},
}


def body(*widgets: dict[str, Any]) -> str:
    return json.dumps({"widgets": list(widgets)})


def test_a_dashboard_comes_back_as_it_was_put(world: World) -> None:
    text = {"type": "text", "properties": {"markdown": "# Runs"}}
    world.api.put_dashboard(DashboardName="runs", DashboardBody=body(METRIC, text))
    world.restart()
    found = world.api.get_dashboard(DashboardName="runs")
    assert found["DashboardBody"] == body(METRIC, text)
    assert found["DashboardArn"] == "arn:aws:cloudwatch::000000000000:dashboard/runs"
    world.api.put_dashboard(DashboardName="other", DashboardBody=body())
    entries = world.api.list_dashboards(DashboardNamePrefix="ru")["DashboardEntries"]
    assert [(entry["DashboardName"], entry["Size"]) for entry in entries] == [("runs", len(body(METRIC, text)))]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        world.api.delete_dashboards(DashboardNames=["runs", "never"])
    world.api.delete_dashboards(DashboardNames=["runs"])
    with pytest.raises(ClientError, match="ResourceNotFound"):
        world.api.get_dashboard(DashboardName="runs")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("not JSON", "valid JSON"),
        ("{}", "/widgets: should be an array"),
        (body({"type": "chart", "properties": {}}), "/widgets/0/type"),
        (body(METRIC, {"type": "text"}), "/widgets/1/properties"),
        (body({**METRIC, "x": 20}), "/widgets/0: x and width"),
        (body({**METRIC, "properties": {"region": "us-east-1"}}), "should have metrics"),
        (body({**METRIC, "properties": {"metrics": [["AWS/SQS", "Sent", "QueueName"]], "region": "r"}}), "metrics/0"),
        (body({**METRIC, "properties": {"metrics": []}}), "should have region"),
    ],
)
def test_what_cannot_be_drawn_is_refused(world: World, wrong: str, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        world.api.put_dashboard(DashboardName="runs", DashboardBody=wrong)
    assert world.api.list_dashboards()["DashboardEntries"] == []
