"""What is read of a run that has ended: documents that are there, and those that are not."""

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.attributes import encode_all
from boxcar.benchmarks.facts import gather
from boxcar.plans import write_plan
from tests.unit.benchmarks.documents import load_test, plan_of
from tests.unit.tables import make_tables

STEP = "realtime_xlarge_c4"


@pytest.fixture
def account(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
        s3.create_bucket(Bucket="data")
        make_tables(dynamodb)
        yield s3, dynamodb


def read(account, files: dict[str, Any], status: str = "Completed"):
    s3, dynamodb = account
    plan = plan_of(backends=["openvino"], batches=[1])
    write_plan(s3, "data", "run-1", plan)
    [build] = plan.models
    place = f"runs/run-1/{build}/{STEP}/1/results/"
    for name, body in files.items():
        s3.put_object(Bucket="data", Key=f"{place}{name}", Body=body.encode())
    job = {"pk": "job#j", "run": "run-1", "model": build, "step": STEP, "status": status, "created": "2026-11-26"}
    place_of = "outputs" if status == "Completed" else "destination"
    item = encode_all({**job, "job": "j", place_of: {"results": f"s3://data/{place}"}})
    dynamodb.put_item(TableName="jobs", Item=item)
    return (build, STEP), gather("run-1", s3=s3, dynamodb=dynamodb, bucket="data", jobs_table="jobs")


def test_figures_and_the_machine_are_read(account) -> None:
    key, facts = read(
        account, {"loadtest.json": json.dumps(load_test(500, 8.0)), "machine.json": '{"product": "c7i.xlarge"}'}
    )
    assert facts.load_tests[key]["rate"] == 500
    assert facts.machines[key] == {"product": "c7i.xlarge"}
    assert facts.notes == []


@pytest.mark.parametrize(
    ("body", "words"),
    [("{", "loadtest.json: is not JSON"), ("[1]", "is not an object"), ('{"status": "fine"}', "status: is 'fine'")],
)
def test_what_cannot_be_read_is_noted(account, body, words) -> None:
    key, facts = read(account, {"loadtest.json": body, "machine.json": "{}"})
    assert key not in facts.load_tests
    assert len(facts.notes) == 1 and words in facts.notes[0]


def test_what_is_missing_is_noted(account) -> None:
    _, facts = read(account, {})
    assert [note.rpartition("/")[2] for note in facts.notes] == [
        "loadtest.json: is missing",
        "machine.json: is missing",
    ]


def test_what_a_job_had_measured_before_it_failed_is_read_and_what_it_had_not_is_not_missed(account) -> None:
    key, facts = read(account, {"loadtest.json": json.dumps(load_test(500, 8.0))}, "Failed")
    assert (facts.load_tests[key]["status"], facts.load_tests[key]["latency_ms"]["p99"]) == ("failed", 8.0)
    assert facts.notes == []


def test_a_run_without_a_plan_says_so(account) -> None:
    s3, dynamodb = account
    facts = gather("run-2", s3=s3, dynamodb=dynamodb, bucket="data", jobs_table="jobs")
    assert facts.plan is None and "has no plan" in facts.notes[0]
