"""plan_run as Lambda calls it: S3, tables and claims by moto, executions by a fake."""

import importlib.util
import json
import os
from pathlib import Path
from unittest.mock import ANY

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from boxcar import aws, settings
from boxcar.claims import Claims
from boxcar.errors import AccessDenied, FamilyError, TriggerError
from boxcar.families import AppliedArchitecture, Family, FamilyVersion
from boxcar.family_store import FamilyStore
from boxcar.steps import Code
from cli.architectures import read_architectures, read_yaml, upload_architecture, upload_code
from tests.unit.tables import make_tables

KEY = "triggers/training/packaging.json"
ARN = "arn:aws:states:us-east-1:123456789012:execution:boxcar-training:"


class Executions:
    """The one call of Step Functions that plan_run makes."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}

    def describe_execution(self, executionArn: str) -> dict:  # noqa: N803 - boto3's own name
        if executionArn not in self.status:
            raise ClientError(
                {"Error": {"Code": "ExecutionDoesNotExist", "Message": executionArn}}, "DescribeExecution"
            )
        return {"status": self.status[executionArn]}


@pytest.fixture
def stack(monkeypatch):
    environment = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "BOXCAR_BUCKET": "data",
        "BOXCAR_JOBS_TABLE": "jobs",
        "BOXCAR_MODELS_TABLE": "models",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()
    settings.settings.cache_clear()
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="data")
        make_tables(boto3.client("dynamodb"))
        store(1)
        yield Stack(monkeypatch)
    aws.client.cache_clear()
    settings.settings.cache_clear()


def store(number: int, **changes: object) -> None:
    family = Family.model_validate({**read_yaml(Path("families/packaging.yaml")), **changes})
    code = Code(digest="d", archive="s3://data/c.tar.gz", prefix="s3://data/c/")
    architectures = {n: AppliedArchitecture(spec=s, code=code) for n, s in read_architectures(Path("models")).items()}
    FamilyStore(boto3.client("dynamodb"), "models").append(
        FamilyVersion(number=number, file="families/packaging.yaml", family=family, architectures=architectures)
    )


class Stack:
    def __init__(self, monkeypatch) -> None:
        self.executions = Executions()
        spec = importlib.util.spec_from_file_location("plan_run_app", "functions/plan_run/app.py")
        self.app = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.app)
        clients = {"stepfunctions": self.executions}
        monkeypatch.setattr(self.app, "client", lambda service: clients.get(service) or aws.client(service))

    def upload(self, body: bytes) -> None:
        boto3.client("s3").put_object(Bucket="data", Key=KEY, Body=body)

    @staticmethod
    def event(sequencer: str = "1") -> dict:
        return {
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": "data"}, "object": {"key": KEY, "sequencer": sequencer}},
        }

    def plan(self, run: str = "r1", sequencer: str = "1", event: dict | None = None) -> dict:
        event = event or self.event(sequencer)
        self.executions.status.setdefault(ARN + run, "RUNNING")
        return self.app.handler({"event": event, "run": run, "execution": ARN + run}, None)


def test_a_trigger_gives_an_outline_and_a_plan_in_the_bucket(stack):
    stack.upload(b'{"family": "packaging"}')
    assert stack.plan()["waves"][1][0]["model"] == "own_container"
    plan = json.loads(boto3.client("s3").get_object(Bucket="data", Key="runs/r1/plan.json")["Body"].read())
    assert plan["source"] == f"s3://data/{KEY}"
    assert plan["steps"][0]["options"]["unload"]["query"].startswith("SELECT")


def test_the_same_event_delivered_twice_trains_once(stack):
    stack.upload(b'{"family": "packaging"}')
    assert stack.plan("r1")["status"] == "planned"
    assert stack.plan("r2") == {"status": "duplicate", "family": "packaging", "claimed_by": ARN + "r1"}
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket="data", Prefix="runs/r2/")


def test_a_retry_of_the_same_run_keeps_its_claim(stack):
    stack.upload(b'{"family": "packaging"}')
    assert stack.plan("r1")["status"] == stack.plan("r1")["status"] == "planned"


def test_the_file_uploaded_again_trains_again(stack):
    stack.upload(b'{"family": "packaging"}')
    stack.plan("r1", "1")
    assert stack.plan("r2", "2")["status"] == "planned"


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT"])
def test_the_input_of_a_run_that_failed_can_be_started_again(stack, status):
    stack.upload(b'{"family": "packaging"}')
    stack.plan("r1")
    stack.executions.status[ARN + "r1"] = status
    assert stack.plan("r2")["status"] == "planned"
    assert stack.plan("r3")["status"] == "duplicate"


def test_only_one_of_two_restarts_takes_over(stack):
    """Both see the failed holder; the second writes after the first has taken over."""
    claims = Claims(boto3.client("dynamodb"), stack.executions, "jobs")
    stack.executions.status = {"a": "FAILED", "b": "RUNNING", "c": "RUNNING"}
    claims.take("x", "a")
    seen_before = claims._holder("x")
    assert claims.take("x", "b") is None
    assert claims._take_over("x", "c", seen_before) == "b"


def _plan_of(run: str) -> dict:
    return json.loads(boto3.client("s3").get_object(Bucket="data", Key=f"runs/{run}/plan.json")["Body"].read())


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "SUCCEEDED"])
def test_a_restart_asks_for_what_was_asked_for_whatever_the_trigger_file_says_by_now(stack, status):
    stack.upload(b'{"family": "packaging", "models": ["bag"]}')
    stack.plan("r1")
    stack.executions.status[ARN + "r1"] = status
    stack.upload(b'{"family": "packaging"}')
    again = {**stack.event(), "restart_of": "r1"}
    assert stack.plan("r2", event=again)["waves"] == [[{"model": "bag", "steps": ANY}]]
    assert _plan_of("r2")["restart_of"] == ["r1"] and _plan_of("r2")["source"] == _plan_of("r1")["source"]
    assert stack.plan("r3")["status"] == "duplicate", "the restart has the trigger now"
    stack.executions.status[ARN + "r2"] = "FAILED"
    stack.plan("r4", event={**stack.event(), "restart_of": "r2"})
    assert _plan_of("r4")["restart_of"] == ["r2", "r1"]


def test_a_run_goes_on_in_one_restart_at_a_time(stack):
    asked = {"family": "packaging"}
    stack.plan("r1", event=asked)
    with pytest.raises(TriggerError, match="run r1 is RUNNING; stop it, or wait"):
        stack.plan("r2", event={**asked, "restart_of": "r1"})
    stack.executions.status[ARN + "r1"] = "ABORTED"
    stack.plan("r2", event={**asked, "restart_of": "r1"})
    stack.plan("r2", event={**asked, "restart_of": "r1"})  # Plan was tried again
    with pytest.raises(TriggerError, match="run r1 goes on in run r2, which has not ended; watch that"):
        stack.plan("r3", event={**asked, "restart_of": "r1"})
    stack.executions.status[ARN + "r2"] = "SUCCEEDED"
    assert stack.plan("r3", event={**asked, "restart_of": "r1"})["status"] == "planned"


def test_a_run_that_ended_before_it_had_a_plan_is_read_anew(stack):
    stack.executions.status[ARN + "r1"] = "FAILED"
    stack.upload(b'{"family": "packaging"}')
    assert stack.plan("r2", event={**stack.event(), "restart_of": "r1"})["status"] == "planned"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"family": "packaging", "restart_of": "nobody"}, "there is no run 'nobody'"),
        ({"family": "packaging", "restart_of": 7}, "is 7; write the name of a run"),
        ({"family": "packaging", "restart_of": "r2"}, "is 'r2'; write the name of a run that has ended"),
        ({"family": "other", "restart_of": "r1"}, "family: is 'other', and run r1 is one of family 'packaging'"),
        ({"family": "packaging", "from_step": "trian"}, "from_step: 'trian' is not a step of model mailer"),
        ({"family": "packaging", "from_step": "train", "fresh": True}, "write one of them"),
    ],
)
def test_what_cannot_be_begun_from_is_refused(stack, event, words):
    stack.plan("r1", event={"family": "packaging"})
    stack.executions.status[ARN + "r1"] = "FAILED"
    with pytest.raises(TriggerError, match=words):
        stack.plan("r2", event=event)


def test_unknown_family_names_those_there_are(stack):
    stack.upload(b'{"family": "packing"}')
    with pytest.raises(TriggerError, match=r"family: 'packing'.*write one of packaging"):
        stack.plan()


def test_a_trigger_that_is_gone_says_so(stack):
    with pytest.raises(TriggerError, match="is gone; upload it again"):
        stack.plan()


def test_an_empty_trigger_file_is_not_json(stack):
    stack.upload(b"")
    with pytest.raises(TriggerError, match="is not JSON"):
        stack.plan()


def test_a_family_edited_in_the_table_is_refused(stack):
    store(2, source={"query": "DELETE FROM products"})
    with pytest.raises(FamilyError, match=r"source\.query.*DELETE FROM products"):
        stack.plan(event={"family": "packaging"})


def test_a_document_in_the_table_that_is_no_family_is_refused(stack):
    boto3.client("dynamodb").put_item(
        TableName="models",
        Item={"pk": {"S": "family#packaging"}, "sk": {"S": "version#000001"}, "document": {"S": '{"number": 1}'}},
    )
    with pytest.raises(FamilyError, match="table models"):
        stack.plan(event={"family": "packaging"})


def test_nobody_overwrites_a_version_that_somebody_else_applied(stack):
    with pytest.raises(FamilyError, match="applied by somebody else"):
        store(1)


def test_a_missing_permission_has_its_own_name(stack, monkeypatch):
    def denied(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "role x may not s3:PutObject"}}, "PutObject")

    monkeypatch.setattr(aws.client("s3"), "put_object", denied)
    with pytest.raises(AccessDenied, match="may not s3:PutObject"):
        stack.plan(event={"family": "packaging"})


def test_code_is_uploaded_once_and_its_digest_depends_on_contents_alone(stack, tmp_path):
    folder = tmp_path / "trees"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)")
    (folder / "__pycache__" / "train.pyc").write_text("x")
    s3 = boto3.client("s3")
    first = upload_code(folder, s3, "data")
    os.utime(folder / "train.py", (1, 1))
    assert upload_code(folder, s3, "data") == first
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="data", Prefix="code/")["Contents"]}
    assert keys == {f"code/trees-{first.digest}/train.py", f"code/trees-{first.digest}.tar.gz"}
    (folder / "train.py").write_text("print(2)")
    assert upload_code(folder, s3, "data").digest != first.digest


def test_each_family_has_code_of_its_own_and_nobody_changes_what_lies_there(stack, tmp_path):
    folder = tmp_path / "trees"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)")
    s3 = boto3.client("s3")
    place = upload_architecture(folder, s3, "data", "labels").archive.removesuffix(".tar.gz")
    mine = place.replace("s3://data/code/labels/", "code/packaging/")
    s3.put_object(Bucket="data", Key=f"{mine}/train.py", Body=b"of an upload at the same time")
    code = upload_architecture(folder, s3, "data", "packaging")
    assert (code.prefix, code.archive) == (f"s3://data/{mine}/", f"s3://data/{mine}.tar.gz")
    kept = s3.get_object(Bucket="data", Key=f"{mine}/train.py")["Body"].read()
    assert kept == b"of an upload at the same time"
    assert s3.head_object(Bucket="data", Key=f"{mine}.tar.gz")
