"""`boxcar async` where it refuses, and what it says when the stack does not come to be what was asked for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from click.testing import CliRunner, Result

from cli.asyncs import asyncs

STACK = {"AsyncModelData": "", "AsyncSummarizer": "lexrank", "AsyncImage": "", "AsyncInstanceType": "ml.m5.large"}
STACK |= {"AsyncMaxInstances": "5", "RedshiftDatabase": "dev"}


class CloudFormation:
    """One stack; an update of it fails if it is told so."""

    def __init__(self) -> None:
        self.parameters = dict(STACK)
        self.updates: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        told = [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()]
        return {"Stacks": [{"Parameters": told}]}

    def update_stack(self, **request: Any) -> None:
        self.updates.append(request)

    def describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        return {"StackEvents": self.events}

    def get_waiter(self, name: str) -> "CloudFormation":
        return self

    def wait(self, **_: Any) -> None:
        if self.events:
            raise WaiterError("stack_update_complete", "it went back", {})


class Rest:
    """S3, DynamoDB and CloudWatch, as far as they are asked."""

    def __init__(self) -> None:
        self.unanswered, self.put, self.dashboards = 0, [], {}
        self.meta = SimpleNamespace(region_name="us-east-1")

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        return {"KeyCount": 0}

    def put_object(self, **request: Any) -> None:
        self.put.append(request["Key"])

    def put_dashboard(self, *, DashboardName: str, DashboardBody: str) -> None:  # noqa: N803
        self.dashboards[DashboardName] = DashboardBody

    def delete_dashboards(self, DashboardNames: list[str]) -> None:  # noqa: N803
        for name in DashboardNames:
            del self.dashboards[name]

    def get_paginator(self, name: str) -> "Rest":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Count": self.unanswered}]


class Session:
    stack, local = "boxcar", False

    def __init__(self) -> None:
        self.cloudformation, self.rest = CloudFormation(), Rest()
        self.outputs = {"BucketName": "data", "JobsTableName": "jobs", "DocumentsEndpointName": "boxcar-documents"}

    def client(self, service: str) -> Any:
        return self.cloudformation if service == "cloudformation" else self.rest


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr("cli.asyncs._endpoint", lambda session: "boxcar-documents")
    return Session()


def run(session: Session, *arguments: str) -> Result:
    return CliRunner().invoke(asyncs, arguments, obj=session)


def test_on_uploads_the_summariser_and_changes_what_was_given_and_nothing_else(session: Session) -> None:
    done = run(session, "on", "--max-instances", "7")
    assert done.output.startswith("endpoint boxcar-documents is on\n"), done.output
    [update] = session.cloudformation.updates
    assert update["UsePreviousTemplate"] is True
    changed = {one["ParameterKey"]: one["ParameterValue"] for one in update["Parameters"] if "ParameterValue" in one}
    [archive] = [key for key in session.rest.put if key.endswith(".tar.gz")]
    assert changed == {"AsyncModelData": f"s3://data/{archive}", "AsyncMaxInstances": "7"}
    kept = [one["ParameterKey"] for one in update["Parameters"] if one.get("UsePreviousValue")]
    assert kept == ["AsyncSummarizer", "AsyncImage", "AsyncInstanceType", "RedshiftDatabase"]
    assert any(key.endswith("/code/inference.py") for key in session.rest.put)
    assert "lexrank" in session.rest.dashboards["boxcar-documents"]


def test_why_the_stack_went_back_is_said(session: Session) -> None:
    now = datetime.now(UTC) + timedelta(seconds=1)
    ago = now - timedelta(days=1)
    session.cloudformation.events = [  # newest first
        {
            "LogicalResourceId": "B",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "cancelled",
            "Timestamp": now,
        },
        {
            "LogicalResourceId": "A",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "quota",
            "Timestamp": now,
        },
        {"LogicalResourceId": "C", "ResourceStatus": "UPDATE_FAILED", "ResourceStatusReason": "old", "Timestamp": ago},
    ]
    done = run(session, "on")
    assert done.exit_code == 1 and "the stack went back to what it was: A: quota" in done.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--summarizer", "google/pegasus-large"], "google/pegasus-large with image (none); give an --image"),
        (["--image", "pytorch:1"], "lexrank with image pytorch:1; write --image '' for SageMaker's XGBoost image"),
    ],
)
def test_a_summariser_has_the_image_that_it_needs(session: Session, options: list[str], words: str) -> None:
    done = run(session, "on", *options)
    assert done.exit_code == 1 and words in done.output
    assert session.cloudformation.updates == [] and session.rest.put == []


def test_back_to_lexrank_takes_the_image_away(session: Session) -> None:
    session.cloudformation.parameters |= {"AsyncSummarizer": "google/pegasus-large", "AsyncImage": "pytorch:1"}
    assert run(session, "on", "--summarizer", "lexrank").exit_code == 1
    done = run(session, "on", "--summarizer", "lexrank", "--image", "")
    assert done.exit_code == 0, done.output


def test_documents_that_are_not_answered_are_not_given_up_unless_one_says_so(session: Session) -> None:
    session.cloudformation.parameters["AsyncModelData"] = "s3://data/code/summarizer-1.tar.gz"
    session.rest.unanswered, session.rest.dashboards = 3, {"boxcar-documents": ""}
    done = run(session, "off")
    assert done.exit_code == 1 and "3 documents are not answered yet" in done.output
    assert session.cloudformation.updates == [] and session.rest.dashboards
    assert run(session, "off", "--force").output == "the endpoint is off\n"
    assert session.rest.dashboards == {}, "its dashboard goes, too"


def test_a_stack_of_before_is_not_changed(session: Session) -> None:
    del session.cloudformation.parameters["AsyncModelData"]
    done = run(session, "off")
    assert done.exit_code == 1 and "has no parameter AsyncModelData: deploy this version of it first" in done.output


def test_files_of_one_name_would_take_each_others_place(session: Session, tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.txt", tmp_path / "b" / "x.txt"]
    for path in paths:
        path.parent.mkdir()
        path.write_text("text")
    done = run(session, "send", *map(str, paths))
    assert done.exit_code == 1 and "x.txt: given twice" in done.output and session.rest.put == []
