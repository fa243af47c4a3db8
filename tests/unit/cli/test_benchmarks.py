"""`boxcar bench`: a file is checked and started with the code of the jobs; the report is shown, and brought."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from boxcar.benchmarks.planning import read_code
from boxcar.benchmarks.story import render, table, tell
from boxcar.errors import TriggerError
from boxcar.reports.files import write_report
from cli.benchmarks import bench
from cli.session import Session
from tests.unit.benchmarks.documents import facts_of, load_test, plan_of

ROOT = Path(__file__).resolve().parents[3]


class States:
    """Step Functions: what was started."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []

    def start_execution(self, **request: Any) -> None:
        self.started.append(request)


@pytest.fixture
def session(monkeypatch):
    monkeypatch.chdir(ROOT)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        s3.create_bucket(Bucket="data")
        made = Session("boxcar", local=False, _clients={"s3": s3, "stepfunctions": States()})
        made.__dict__["outputs"] = {"BucketName": "data", "BenchmarkMachineArn": "arn:machine"}
        yield made


def call(session: Session, *words: str) -> Result:
    return CliRunner().invoke(bench, list(words), obj=session)


def test_the_sample_is_started_with_the_code_of_the_jobs(session) -> None:
    result = call(session, "start", "events/benchmark.json")
    assert result.exit_code == 0, result.output
    [started] = session.client("stepfunctions").started
    assert started["stateMachineArn"] == "arn:machine" and started["name"] == result.output.strip()
    assert json.loads(started["input"])["benchmark"] == "search"
    code = read_code(session.client("s3"), "data")
    body = session.client("s3").get_object(Bucket="data", Key=code.archive.removeprefix("s3://data/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert {"neuron/step.py", "neuron/compile.py", "neuron/__init__.py"} <= set(archive.getnames())


@pytest.mark.parametrize(
    ("body", "words"), [("{", "is not JSON"), ("[]", "is not an object"), ('{"benchmark": "b", "batch": 1}', "batch")]
)
def test_a_file_that_is_no_request_starts_nothing(session, tmp_path, body, words) -> None:
    file = tmp_path / "b.json"
    file.write_text(body)
    result = call(session, "start", str(file))
    assert words in f"{result.output}{result.exception}" and result.exit_code != 0
    assert isinstance(result.exception, TriggerError | SystemExit)
    assert not session.client("stepfunctions").started


def test_a_report_is_shown_as_a_table_as_csv_and_as_a_page(session, tmp_path) -> None:
    plan = plan_of(backends=["openvino"], batches=[1])
    report = tell(facts_of(plan, openvino=load_test(500, 8.0)), [], None, 1_795_723_000.0)
    write_report(session.client("s3"), "data", report, render(report), table(report))
    assert "realtime: For 16,000 queries/s within 10 ms at P99, buy" in call(session, "show", "run-1").output.replace(
        "\n", " "
    )
    assert call(session, "show", "run-1", "--csv").output.startswith("model_name,n_models,")  # fmt: skip
    assert json.loads(call(session, "show", "run-1", "--json").output)["run"] == "run-1"
    page = tmp_path / "page.html"
    assert call(session, "page", "run-1", "--out", str(page)).exit_code == 0
    assert "Boxcar benchmark" in page.read_text()


def test_a_run_without_a_report_says_so(session) -> None:
    result = call(session, "show", "run-2")
    assert result.exit_code == 1 and "run run-2 has no report yet" in result.output
