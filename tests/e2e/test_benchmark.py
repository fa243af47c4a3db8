"""A benchmark on a whole stack: a file in S3, jobs of Batch that compile and load-test, a report and its mail."""

import csv
import io
import uuid
from typing import Any

import pytest

from boxcar.benchmarks.instances import instances
from cli.benchmarks import upload
from local.client import wait_for
from local.environments import environment
from neuron.step import machine
from tests.e2e.deployed import Deployed, Run

PATIENCE_S = 300


@pytest.fixture(scope="module", autouse=True)
def load_test_environment() -> None:
    """What stands for the container image of load tests; it is large, and made when it is first asked for."""
    try:
        environment("neuron")
    except RuntimeError as error:
        pytest.skip(f"the environment of load tests cannot be made on this machine: {error}")


def measured(stack: Deployed, request: dict[str, Any]) -> Run:
    """Upload a trigger, and wait until the run that it starts has ended."""
    states, machine = stack.session.client("stepfunctions"), stack.session.outputs["BenchmarkMachineArn"]

    def names() -> set[str]:
        return {one["name"] for one in states.list_executions(stateMachineArn=machine)["executions"]}

    before = names()
    stack.upload(request, f"triggers/benchmark/{uuid.uuid4().hex}.json")

    def started() -> str | None:
        return next(iter(names() - before), None)

    return stack.wait(wait_for(started, PATIENCE_S), PATIENCE_S)


@pytest.mark.skipif(
    machine()["product"] in set(instances()) - {"c7i.xlarge"}, reason="figures of this instance are those of its type"
)
def test_a_processor_is_held_to_the_models_answers_and_measured(empty_stack: Deployed) -> None:
    upload(empty_stack.session)
    request = {
        "benchmark": "search",
        "backends": ["torch"],
        "instances": ["c7i.xlarge"],
        "batches": [8],
        "cores": [2],
        "workers": [2],
        "sequences": [16],
        "backbone": "minilm",
        "targets": [{"name": "batch", "scenario": "offline", "rate": 8800, "unit": "pairs", "seconds": 1}],
    }
    run = measured(empty_stack, request)
    assert (run.status, run.output.get("status")) == ("SUCCEEDED", "succeeded"), run
    [target] = empty_stack.session.read_json(f"reports/{run.name}/report.json")["targets"]
    [row] = [row for row in target["rows"] if row["how"] != "published"]
    assert (row["how"], row["n_models"], row["options"]) == ("measured", 2, "workers=2")
    assert row["quality"]["ok"] and row["quality"]["duplicate"]["texts"] == 256
    assert row["rate"] > 0 and row["instances"] >= 1


def test_a_device_is_measured_and_one_that_cannot_be_compiled_says_why(empty_stack: Deployed) -> None:
    upload(empty_stack.session)
    request = {
        "benchmark": "search",
        "backends": ["simulated"],
        "instances": ["c7i.xlarge", "inf2.xlarge"],
        "batches": [4],
        "cores": [1],
        "options": {"simulated": [{"service_ms": 1}, {"service_ms": -1}]},
        "targets": [{"name": "batch", "scenario": "offline", "rate": 8800, "unit": "pairs", "seconds": 0.5}],
    }
    run = measured(empty_stack, request)
    assert (run.status, run.output.get("status")) == ("SUCCEEDED", "partial"), run
    s3, folder = empty_stack.session.client("s3"), f"reports/{run.name}"
    text = s3.get_object(Bucket=empty_stack.bucket, Key=f"{folder}/table.csv")["Body"].read().decode()
    rows = {row["cell"]: row for row in csv.DictReader(io.StringIO(text)) if row["how"] != "published"}
    good, bad = rows["simulated-c7i-b4-s128-xlarge-c1-batch"], rows["simulated-c7i-b4-s128-v2-xlarge-c1-batch"]
    assert (good["how"], good["status"]) == ("simulated", "ok")
    assert float(good["throughput_avg"]) > 0 and int(good["instances"]) >= 1
    assert bad["status"] == "failed" and "NotCompiled: options.service_ms" in bad["why"]
    report = empty_stack.session.read_json(f"{folder}/report.json")
    ran = {step["model"]: step["status"] for step in report["steps"] if step["step"] == "batch_xlarge_c1"}
    assert ran == {"simulated-c7i-b4-s128": "Completed", "simulated-c7i-b4-s128-v2": "NotStarted"}
    assert [one["why"] for one in report["pruned"]] == ["this stack has no queue for inf2: set BenchmarkInf2Vcpus"]
    mail = wait_for(lambda: empty_stack.mails(run.name, "report"), why="no report was mailed")[0]  # one an audience
    assert "buy" in mail.text and "Not measured for batch" in mail.text
    assert not empty_stack.mails(run.name, "alarm")
