"""Starting machines by name: once a token, refused as the planner would refuse, and asked how they stand."""

import json
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from boxcar.errors import TriggerError
from boxcar.families import AppliedArchitecture, Family, FamilyVersion
from boxcar.starting import Question, Start, look, read_question, start
from boxcar.steps import Code
from cli.architectures import read_architectures, read_yaml

NAMES = ("training", "inference", "release")
MACHINES = {name: f"arn:aws:states:us-east-1:1:stateMachine:boxcar-{name}" for name in NAMES}
NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)


class States:
    """Executions, with AWS's rule: the same name and input while it runs is no error, anything else is."""

    def __init__(self) -> None:
        self.known: dict[str, dict] = {}

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: N803
        arn = f"{stateMachineArn.replace('stateMachine', 'execution')}:{name}"
        there = self.known.get(arn)
        if there and (there["status"] != "RUNNING" or there["input"] != input):
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists", "Message": name}}, "StartExecution")
        self.known[arn] = {"status": "RUNNING", "input": input}

    def describe_execution(self, executionArn: str) -> dict:  # noqa: N803
        if executionArn not in self.known:
            raise ClientError({"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}, "DescribeExecution")
        return self.known[executionArn]


def family(name: str, source: str) -> FamilyVersion:
    if name != "packaging":
        raise TriggerError(f"{source}: family: {name!r} was never applied; write one of packaging")
    code = Code(digest="d", archive="s3://data/c.tar.gz", prefix="s3://data/c/")
    architectures = {n: AppliedArchitecture(spec=s, code=code) for n, s in read_architectures(Path("models")).items()}
    document = Family.model_validate(read_yaml(Path("families/packaging.yaml")))
    return FamilyVersion(number=1, file="families/packaging.yaml", family=document, architectures=architectures)


def begin(states: States, machine: str = "training", token: str = "", **asked: object) -> dict:
    return start(
        states, MACHINES, Start(machine=machine, input={"family": "packaging", **asked}, token=token), family, NOW
    )


def test_a_token_starts_one_run_however_often_it_is_sent() -> None:
    states = States()
    first = begin(states, token="pipeline-7")
    assert first["started"] and first["run"].startswith("packaging-")
    again = begin(states, token="pipeline-7")
    assert again["run"] == first["run"] and len(states.known) == 1
    states.known[first["execution"]]["status"] = "SUCCEEDED"
    assert begin(states, token="pipeline-7") == {**first, "started": False}
    assert begin(states, machine="inference", token="pipeline-7")["run"] != first["run"]
    with pytest.raises(TriggerError, match=r"token: 'pipeline-7' has started run packaging-.* with another input"):
        begin(states, token="pipeline-7", models=["box"])


def test_without_a_token_every_call_is_a_run() -> None:
    states = States()
    assert begin(states)["run"] != begin(states)["run"] and len(states.known) == 2


@pytest.mark.parametrize(
    ("machine", "asked", "why"),
    [
        ("baking", {}, "machine: there is no 'baking'; write one of inference, release, training"),
        ("benchmark", {}, "machine: there is no 'benchmark'; write one of inference, release, training"),
        ("training", {"modles": ["box"]}, "modles: is not a field; remove it"),
        ("training", {"family": "packing"}, "input: family: 'packing' was never applied; write one of packaging"),
        ("training", {"models": ["crate"]}, "input: models: 'crate' is not a model of family packaging"),
        ("training", {"models": ["box"], "parameters": {"box": {"rounds": -4}}}, "input: parameters.box."),
        ("inference", {"models": ["crate"]}, "input: models: 'crate' is not a model"),
        ("inference", {"scope": "monthly", "day": "2017-03-01"}, "input: day: is 2017-03-01 with scope 'monthly'"),
    ],
)
def test_what_the_planner_would_refuse_starts_nothing(machine: str, asked: dict, why: str) -> None:
    states = States()
    with pytest.raises(TriggerError) as refused:
        begin(states, machine, **asked)
    assert why in str(refused.value)
    assert states.known == {}


def test_an_event_of_s3_is_no_input() -> None:
    event = {"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}}
    with pytest.raises(TriggerError, match="is an event about s3://b/k; send what the object says"):
        start(States(), MACHINES, Start(machine="training", input=event), family, NOW)


def test_how_a_run_stands() -> None:
    states = States()
    run = begin(states, token="one")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="data")

        def stands(name: str = run["run"]) -> dict:
            return look(states, s3, "data", MACHINES, Question(machine="training", run=name))

        assert stands() == {"run": run["run"], "status": "RUNNING"}
        states.known[run["execution"]]["status"] = "FAILED"
        assert stands() == {"run": run["run"], "status": "FAILED"}, "it died before it could report"
        report = {
            "sentence": "1 approved.",
            "models": [{"model": "box", "status": "approved", "version": "1.0.1", "x": 1}],
        }
        s3.put_object(Bucket="data", Key=f"reports/{run['run']}/report.json", Body=json.dumps(report))
        assert stands()["models"] == [{"model": "box", "status": "approved", "version": "1.0.1"}]
        with pytest.raises(TriggerError, match="machine training has no run 'other'"):
            stands("other")


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ({"status": "rejected", "why": "not yet", "by": "Ann"}, "rejected: not yet (Ann)"),
        ({"status": "replaced", "why": "", "by": ""}, "replaced: packaging/box 1.0.1 on boxcar-packaging-box"),
        ({"status": "released"}, "released: packaging/box 1.0.1 on boxcar-packaging-box"),
        ({"status": "nothing", "why": "packaging/box 1.0.1 is live"}, "nothing: packaging/box 1.0.1 is live"),
    ],
)
def test_what_a_release_has_come_to(output: dict, sentence: str) -> None:
    states, release = States(), MACHINES["release"].replace("stateMachine", "execution")
    told = {"family": "packaging", "model": "box", "version": "1.0.1", "endpoint": "boxcar-packaging-box", **output}
    states.known[f"{release}:one"] = {"status": "SUCCEEDED", "output": json.dumps(told)}
    stands = look(states, None, "data", MACHINES, Question(machine="release", run="one"))
    assert stands == {"run": "one", "status": "SUCCEEDED", "outcome": output["status"], "sentence": sentence}


@pytest.mark.parametrize(
    "event", [{}, {"machine": "training"}, {"machine": "training", "run": "a/b"}, {"run": "a", "x": 1}]
)
def test_what_is_neither_says_what_to_send(event: dict) -> None:
    with pytest.raises(TriggerError, match=r"to ask after one"):
        read_question(event)
