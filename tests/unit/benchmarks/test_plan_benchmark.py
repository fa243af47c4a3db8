"""plan_benchmark as Lambda calls it: a trigger that comes twice is one run, and one that is wrong is none."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar import aws, settings
from boxcar.benchmarks.planning import CODE_KEY
from boxcar.benchmarks.plans import BenchmarkPlan
from boxcar.errors import BenchmarkError, TriggerError
from boxcar.plans import read_plan
from tests.unit.benchmarks.documents import CODE
from tests.unit.tables import make_tables

ARN = "arn:aws:states:us-east-1:123456789012:execution:boxcar-benchmark:"
KEY = "triggers/benchmark/search.json"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
    "BOXCAR_STACK": "boxcar",
    "BOXCAR_BUCKET": "data",
    "BOXCAR_JOBS_TABLE": "jobs",
    "BOXCAR_BENCHMARK_VCPUS": json.dumps({"c7i": 4, "inf2": 0}),
}


@pytest.fixture
def plan(monkeypatch):
    """The handler, in an account with a trigger file and the code of the jobs."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    with mock_aws():
        clients = {name: boto3.client(name) for name in ("s3", "dynamodb")}
        clients["stepfunctions"] = SimpleNamespace(describe_execution=lambda **_: {"status": "RUNNING"})
        monkeypatch.setattr(aws, "client", clients.__getitem__)
        clients["s3"].create_bucket(Bucket="data")
        make_tables(clients["dynamodb"])
        put(clients["s3"], CODE_KEY, CODE.model_dump(mode="json"))
        put(clients["s3"], KEY, {"benchmark": "search", "backends": ["openvino", "neuronx"]})
        path = Path(__file__).resolve().parents[3] / "functions/plan_benchmark/app.py"
        spec = importlib.util.spec_from_file_location("plan_benchmark", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)

        def call(run: str) -> dict[str, Any]:
            thing = {"key": KEY, "sequencer": "1", "etag": "e"}
            event = {"detail-type": "Object Created", "detail": {"bucket": {"name": "data"}, "object": thing}}
            answer: dict[str, Any] = module.handler({"event": event, "run": run, "execution": f"{ARN}{run}"}, None)
            return answer

        yield call, clients["s3"]
    settings.settings.cache_clear()


def put(s3: Any, key: str, document: Any) -> None:
    s3.put_object(Bucket="data", Key=key, Body=json.dumps(document).encode())


def test_a_file_is_planned_for_the_queues_that_there_are(plan) -> None:
    call, s3 = plan
    answer = call("run-1")
    assert [build["build"] for build in answer["builds"]] == ["openvino-c7i-b1-s128", "openvino-c7i-b8-s128"]
    written = read_plan(s3, "data", "run-1", BenchmarkPlan)
    assert (written.source, written.prices.date) == (f"s3://data/{KEY}", "2026-01-19")


def test_the_same_file_told_of_twice_is_one_run(plan) -> None:
    call, _ = plan
    assert call("run-1")["status"] == "planned"
    assert call("run-2") == {"status": "duplicate", "family": "search", "claimed_by": f"{ARN}run-1"}


def test_a_wrong_file_names_itself_and_what_to_write(plan) -> None:
    call, s3 = plan
    put(s3, KEY, {"benchmark": "search", "backends": ["tpu"]})
    with pytest.raises(TriggerError, match=rf"s3://data/{KEY}: backends: there is no backend 'tpu'; write one of"):
        call("run-1")


def test_without_the_code_of_the_jobs_nothing_starts(plan) -> None:
    call, s3 = plan
    s3.delete_object(Bucket="data", Key=CODE_KEY)
    with pytest.raises(BenchmarkError, match="boxcar bench code"):
        call("run-1")
