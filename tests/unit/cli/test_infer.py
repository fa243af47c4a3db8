"""`boxcar infer`: one run, or the days of the past in order, as far as they are not done."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import infer as module
from cli.infer import infer

MACHINE = "arn:aws:states:eu-west-1:1:stateMachine:boxcar-inference"


class States:
    """Step Functions: what was started, and how each run ended."""

    class exceptions:  # noqa: N801 - boto3's name
        class ExecutionDoesNotExist(Exception):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.ends: dict[str, str] = {}  # of a run that is started; SUCCEEDED where nothing is said
        self.outputs: dict[str, dict[str, Any]] = {}  # of a run that succeeds, where it is not that all is well

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: N803
        assert stateMachineArn == MACHINE and name not in self.status and len(name) <= 80
        self.started.append((name, json.loads(input)))
        self.status[name] = "RUNNING"

    def describe_execution(self, executionArn: str) -> dict[str, str]:  # noqa: N803
        name = executionArn.rpartition(":")[2]
        if name not in self.status:
            raise self.exceptions.ExecutionDoesNotExist
        output = {"run": name, "status": "succeeded", "report": "s3://b/r", "skipped": [], **self.outputs.get(name, {})}
        ended = {"output": json.dumps(output)} if self.status[name] == "SUCCEEDED" else {}
        return {"status": self.status[name], **ended}


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> States:
    states = States()

    def follow(session: Any, run: str) -> Any:
        states.status[run] = states.ends.get(run, "SUCCEEDED")
        return SimpleNamespace(status=states.status[run])

    monkeypatch.setattr(module, "follow", follow)
    return states


def call(states: States, *arguments: str) -> Result:
    session = SimpleNamespace(client=lambda service: states, outputs={"InferenceMachineArn": MACHINE})
    return CliRunner().invoke(infer, list(arguments), obj=session)


def days(states: States) -> list[str]:
    return [request["day"] for _, request in states.started]


def test_one_run_says_what_was_asked(states: States):
    assert call(states, "packaging", "--scope", "monthly", "--model", "box").exit_code == 0
    [(name, request)] = states.started
    assert name.startswith("packaging-monthly-")
    assert request == {"family": "packaging", "scope": "monthly", "models": ["box"], "requested_by": "boxcar infer"}


def test_days_run_in_order_each_after_the_one_before(states: States):
    assert call(states, "packaging", "--from", "2017-02-27", "--to", "2017-03-02").exit_code == 0
    assert days(states) == ["2017-02-27", "2017-02-28", "2017-03-01", "2017-03-02"]
    assert states.started[0][0] == "packaging-day-2017-02-27-1"


def test_a_day_that_fails_stops_and_the_same_command_goes_on_there(states: States):
    states.ends["packaging-day-2017-03-02-1"] = "FAILED"
    command = ("packaging", "--from", "2017-03-01", "--to", "2017-03-03")
    stopped = call(states, *command)
    assert stopped.exit_code == 1 and "2017-03-02-1 did not succeed" in stopped.output
    assert days(states) == ["2017-03-01", "2017-03-02"]
    assert call(states, *command).exit_code == 0
    assert [name for name, _ in states.started[2:]] == ["packaging-day-2017-03-02-2", "packaging-day-2017-03-03-1"]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"status": "partial"}, "ended partial; mend what failed, see s3://b/r"),
        ({"skipped": ["bag"]}, "skipped bag, for want of an approved version"),
    ],
)
def test_a_day_of_which_a_model_is_missing_is_not_done_and_the_same_command_repeats_it(states: States, output, words):
    states.outputs["packaging-day-2017-03-01-1"] = output
    command = ("packaging", "--from", "2017-03-01", "--to", "2017-03-02")
    stopped = call(states, *command)
    assert stopped.exit_code == 1 and words in " ".join(stopped.output.split())
    assert call(states, *command).exit_code == 0
    assert [name.rpartition("day-")[2] for name, _ in states.started] == [
        "2017-03-01-1",
        "2017-03-01-2",
        "2017-03-02-1",
    ]


def test_a_day_that_still_runs_is_followed_not_started_twice(states: States):
    states.status["packaging-day-2017-03-01-1"] = "RUNNING"
    assert call(states, "packaging", "--from", "2017-03-01", "--to", "2017-03-01").exit_code == 0
    assert states.started == []


def test_days_that_are_done_are_done_again_only_if_asked(states: States):
    command = ("packaging", "--from", "2017-03-01", "--to", "2017-03-01")
    call(states, *command)
    assert "done before" in call(states, *command).output and len(states.started) == 1
    call(states, *command, "--again")
    assert [name for name, _ in states.started] == ["packaging-day-2017-03-01-1", "packaging-day-2017-03-01-2"]


def test_days_of_other_models_are_other_runs(states: States):
    for model in ("box", "bag"):
        call(states, "packaging", "--model", model, "--from", "2017-03-01", "--to", "2017-03-01")
    assert len(states.started) == 2


@pytest.mark.parametrize(
    "arguments",
    [("--from", "2017-03-01"), ("--from", "2017-03-02", "--to", "2017-03-01"), ("--from", "2017-03-01", "--to", "2017-03-01", "--scope", "daily")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(states: States, arguments: tuple[str, ...]):
    assert call(states, "packaging", *arguments).exit_code == 2
    assert states.started == []
