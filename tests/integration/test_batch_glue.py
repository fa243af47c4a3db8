"""Batch jobs and Glue runs on a deployed stack: submitted by the API, run as processes, with their role, told by events."""

import textwrap
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.architectures import upload_code
from cli.session import Session
from local.client import CloudClient, wait_for
from tests.e2e.deployed import Deployed, copy_of

BATCH = """
    import json, os, sys, boxcar_words
    import boto3

    def part(uri):
        bucket, _, key = uri[5:].partition("/")
        return {"Bucket": bucket, "Key": key}

    s3 = boto3.client("s3")
    config = json.loads(os.environ["BOXCAR_CONFIG"])
    print(boxcar_words.HELLO, os.environ["BOXCAR_ATTEMPT"])
    rows = s3.get_object(**part(os.environ["BOXCAR_INPUT_ROWS"]))["Body"].read().decode()
    if config.get("exit"):
        sys.exit(config["exit"])
    if config.get("wait"):
        import time
        time.sleep(config["wait"])
    place = part(config.get("elsewhere") or os.environ["BOXCAR_OUTPUT_DATA"])
    s3.put_object(Bucket=place["Bucket"], Key=place["Key"] + "rows", Body=(rows * config["times"]).encode())
"""
GLUE = """
    import argparse, json
    import boto3

    parser = argparse.ArgumentParser()
    for name in ("attempt", "config", "input_rows", "output_data"):
        parser.add_argument(f"--boxcar_{name}")
    told, _ = parser.parse_known_args()

    def part(uri):
        bucket, _, key = uri[5:].partition("/")
        return {"Bucket": bucket, "Key": key}

    config = json.loads(told.boxcar_config)
    print("hello from", told.boxcar_attempt)
    if config.get("fail"):
        raise ValueError("the rows are odd")
    if config.get("wait"):
        import time
        time.sleep(config["wait"])
    s3 = boto3.client("s3")
    rows = s3.get_object(**part(told.boxcar_input_rows))["Body"].read().decode()
    place = part(told.boxcar_output_data)
    s3.put_object(Bucket=place["Bucket"], Key=place["Key"] + "rows", Body=(rows * config["times"]).encode())
"""
OPTIONS = {
    "batch": {"queue": "boxcar-python", "definition": "boxcar-python"},
    "glue": {"job": "boxcar-python"},
}
KINDS = ["batch", "glue"]
ENDED = ("Completed", "Failed", "Stopped")
Submit = Callable[..., str]


@pytest.fixture(scope="module")
def stack(deployed_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with copy_of(deployed_once, tmp_path_factory.mktemp("cloud")) as deployed:
        yield deployed


@pytest.fixture
def cloud(stack: Deployed) -> Iterator[CloudClient]:
    yield stack.cloud
    stack.cloud.forget_faults()


@pytest.fixture(scope="module")
def code(stack: Deployed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A folder of code with a script for each kind, uploaded; and a file of rows."""
    folder: Path = tmp_path_factory.mktemp("code") / "scripts"
    folder.mkdir()
    (folder / "batch.py").write_text(textwrap.dedent(BATCH))
    (folder / "glue.py").write_text(textwrap.dedent(GLUE))
    (folder / "boxcar_words.py").write_text("HELLO = 'hello from'\n")
    s3 = stack.session.client("s3")
    s3.put_object(Bucket=stack.bucket, Key="runs/rows", Body=b"1,2;")
    return upload_code(folder, s3, stack.bucket).model_dump()


def submit_job(stack: Deployed, code: dict[str, Any], kind: str, **fields: Any) -> str:
    """Submit by the API, as ann; answers the job's id."""
    config = {"times": 2, **fields.pop("config", {})}
    step = {
        "name": "work", "kind": kind, "script": f"{kind}.py", "code": code, "config": config, "outputs": ["data"],
        "inputs": {"rows": f"s3://{stack.bucket}/runs/rows"}, "options": OPTIONS[kind], "max_attempts": 1, **fields,
    }  # fmt: skip
    body = {"job": f"{kind}-{uuid.uuid4().hex[:8]}", "step": step, "owner": "ann"}
    _, document = stack.session.call_api("POST", "/jobs", body=body)
    return str(document["job"])


@pytest.fixture
def submit(stack: Deployed, code: dict[str, Any]) -> Submit:
    return partial(submit_job, stack, code)


@pytest.fixture(scope="module", autouse=True)
def too_long(stack: Deployed, code: dict[str, Any]) -> dict[str, str]:
    """Jobs that take longer than they may. They begin before all else: nobody waits for their minute."""
    return {kind: submit_job(stack, code, kind, config={"wait": 300}, max_runtime_s=60) for kind in KINDS}


def job(session: Session, job_id: str) -> dict[str, Any]:
    document: dict[str, Any] = session.call_api("GET", f"/jobs/{job_id}")[1]
    return document


def ended(session: Session, job_id: str, seconds: float = 60) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = job(session, job_id)
        return found if found["status"] in ENDED else None

    found: dict[str, Any] = wait_for(look, seconds, every=0.2, why=f"{job_id} did not end")
    return found


def running(session: Session, kind: str, job_id: str) -> bool:
    """Whether the first attempt of a job runs now, as its service says."""
    if kind == "batch":
        found = session.client("batch").list_jobs(jobQueue="boxcar-python", jobStatus="RUNNING")["jobSummaryList"]
        return f"{job_id}-1" in {one["jobName"] for one in found}
    runs = session.client("glue").get_job_runs(JobName="boxcar-python")["JobRuns"]
    alive = [run for run in runs if run["JobRunState"] == "RUNNING"]
    return f"{job_id}-1" in {run["Arguments"]["--boxcar_attempt"] for run in alive}


@pytest.mark.parametrize("kind", KINDS)
def test_from_submission_to_outputs(stack: Deployed, submit: Submit, kind: str) -> None:
    job_id = submit(kind)
    document = ended(stack.session, job_id)
    assert (document["status"], len(document["attempts"])) == ("Completed", 1), document
    bucket, _, key = document["outputs"]["data"].removeprefix("s3://").partition("/")
    assert stack.session.client("s3").get_object(Bucket=bucket, Key=f"{key}rows")["Body"].read() == b"1,2;1,2;"
    group, stream = document["logs"]["group"], document["logs"]["prefix"]

    def logged() -> list[str]:
        logs = stack.session.client("logs")
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
        assert len(streams) <= 1
        found = [logs.get_log_events(logGroupName=group, logStreamName=one["logStreamName"]) for one in streams]
        return [event["message"] for page in found for event in page["events"]]

    assert wait_for(logged, 20, why="nothing was logged") == [f"hello from {job_id}-1"]


def test_failures_have_their_class(stack: Deployed, submit: Submit) -> None:
    cases = {
        submit("batch", config={"exit": 3}): ("AlgorithmError", "exit code 3"),
        submit("batch", config={"exit": 65}): ("InputError", "exit code 65"),
        submit("batch", options={**OPTIONS["batch"], "command": ["nowhere"]}): ("ClientError", "CannotStartContainer"),
        # the role may write under runs/ alone
        submit("batch", config={"elsewhere": f"s3://{stack.bucket}/models/"}): ("AlgorithmError", "exit code 1"),
        submit("glue", config={"fail": True}): ("AlgorithmError", "ValueError: the rows are odd"),
        submit("glue", script="missing.py"): ("ClientError", "NoSuchKey"),
    }
    for job_id, (failure, words) in cases.items():
        document = ended(stack.session, job_id)
        assert (document["status"], document["failure"]) == ("Failed", failure), document
        assert words in document["reason"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_or_job_that_is_not_the_stacks(stack: Deployed, submit: Submit, kind: str) -> None:
    options = {name: value.replace("boxcar-", "boxcar-other-") for name, value in OPTIONS[kind].items()}
    document = ended(stack.session, submit(kind, options=options))
    assert (document["status"], document["failure"]) == ("Failed", "ClientError")
    assert "boxcar-other-python" in document["reason"]


@pytest.mark.parametrize("kind", KINDS)
def test_stop(stack: Deployed, submit: Submit, kind: str) -> None:
    job_id = submit(kind, config={"wait": 60})
    wait_for(lambda: running(stack.session, kind, job_id), 30, why="it does not run")
    stack.session.call_api("DELETE", f"/jobs/{job_id}")
    assert ended(stack.session, job_id)["status"] == "Stopped"
    assert not running(stack.session, kind, job_id)


@pytest.mark.parametrize("kind", KINDS)
def test_lost_events_are_made_good_by_the_sweep(stack: Deployed, cloud: CloudClient, submit: Submit, kind: str) -> None:
    cloud.add_fault(event=f"aws.{kind}", effect="lose")
    job_id = submit(kind)
    wait_for(lambda: job(stack.session, job_id)["status"] == "Launched", 30, every=0.2)
    wait_for(lambda: not running(stack.session, kind, job_id), 30, every=0.2)
    for _ in range(20):  # the first look is 5 s after the launch here
        cloud.fire_schedule("boxcar-sweep")
        try:
            document = ended(stack.session, job_id, seconds=2)
            break
        except (AssertionError, TimeoutError):
            continue
    else:
        raise AssertionError(job(stack.session, job_id))
    assert (document["status"], len(document["attempts"])) == ("Completed", 1)


def test_a_launcher_that_gets_no_answer_submits_once(stack: Deployed, cloud: CloudClient, submit: Submit) -> None:
    """Batch says that it failed; whether it was created, nobody knows. The next pass looks first."""
    cloud.add_fault(service="batch", action="SubmitJob", error="ServerException", status=500, count=1)
    job_id = submit("batch")
    document = ended(stack.session, job_id)
    assert (document["status"], len(document["attempts"])) == ("Completed", 1)
    name = f"{job_id}-1"
    found = stack.session.client("batch").list_jobs(
        jobQueue="boxcar-python", filters=[{"name": "JOB_NAME", "values": [name]}]
    )
    assert [one["jobName"] for one in found["jobSummaryList"]] == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_time_is_up(stack: Deployed, too_long: dict[str, str], kind: str) -> None:
    """After a minute, the shortest limit that either service knows."""
    document = ended(stack.session, too_long[kind], 120)
    assert (document["status"], document["failure"]) == ("Failed", "TimeLimitExceeded")
    assert "max_runtime_s = 60" in document["reason"]
    assert not running(stack.session, kind, too_long[kind])
