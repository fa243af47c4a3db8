"""`boxcar runs`: what is asked of Step Functions, and what is refused before."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from cli.progress import MACHINES
from cli.runs import runs

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:boxcar-training"
OTHER = "arn:aws:states:eu-west-1:123456789012:stateMachine:boxcar-another"


class States:
    """Step Functions with a few executions."""

    class exceptions:  # noqa: N801 - as boto3 has it
        class ClientError(ClientError):
            pass

        class ExecutionNotRedrivable(ClientError):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.status = {"ended": "ABORTED", "failed": "FAILED", "under-way": "RUNNING"}
        self.started: list[dict[str, Any]] = []

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        machine, _, run = executionArn.replace(":execution:", ":stateMachine:").rpartition(":")
        if run not in self.status or machine != MACHINE:
            raise self.exceptions.ClientError({"Error": {"Code": "ExecutionDoesNotExist"}}, "DescribeExecution")
        asked = {"detail-type": "Object Created", "detail": {"object": {"key": "triggers/training/packaging.json"}}}
        return {
            "status": self.status[run],
            "executionArn": executionArn,
            "stateMachineArn": machine,
            "input": json.dumps(asked),
        }

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: N803
        self.started.append({"machine": stateMachineArn, "name": name, "input": json.loads(input)})

    def get_execution_history(self, executionArn: str, reverseOrder: bool, maxResults: int) -> Any:  # noqa: N803
        assert reverseOrder and maxResults == 2
        entered = {"type": "FailStateEntered", "stateEnteredEventDetails": {"name": "RunFailed"}}
        return {"events": [{"type": "ExecutionFailed"}, entered]}

    def redrive_execution(self, executionArn: str) -> None:  # noqa: N803
        error = {"Error": {"Code": "ExecutionNotRedrivable", "Message": "it is older than 14 days"}}
        raise self.exceptions.ExecutionNotRedrivable(error, "RedriveExecution")


@pytest.fixture
def states() -> States:
    return States()


def _boxcar_runs(states: States, *arguments: str) -> Result:
    session = SimpleNamespace(
        client=lambda service: states,
        outputs={**dict.fromkeys(MACHINES, OTHER), "TrainingMachineArn": MACHINE},
        read_json=lambda key: {"family": "packaging"} if key == "runs/ended/plan.json" else None,
    )
    return CliRunner().invoke(runs, arguments, obj=session)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], {}),
        (["--only", "bag", "--only", "box"], {"models": ["bag", "box"]}),
        (["--from", "train"], {"from_step": "train"}),
        (["--fresh"], {"fresh": True}),
    ],
)
def test_a_start_asks_for_what_was_written(states: States, options: list[str], asked: dict[str, Any]) -> None:
    done = _boxcar_runs(states, "start", "packaging", *options)
    (started,) = states.started
    assert done.exit_code == 0 and done.output.strip() == started["name"] and started["machine"] == MACHINE
    assert started["input"] == {"family": "packaging", "requested_by": "boxcar runs start", **asked}


def test_fresh_and_from_exclude_each_other(states: States) -> None:
    done = _boxcar_runs(states, "start", "packaging", "--fresh", "--from", "train")
    assert done.exit_code == 2 and "give one of them" in done.output and states.started == []


def test_a_restart_has_the_same_input_and_says_whose(states: States) -> None:
    assert _boxcar_runs(states, "restart", "ended").exit_code == 0
    (started,) = states.started
    assert started["input"].pop("restart_of") == "ended" and started["name"].startswith("packaging-")
    assert started["input"] == json.loads(states.describe_execution(f"{MACHINE}:ended")["input"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("restart", "under-way"), "run under-way is RUNNING; a run can be started again when it has ended"),
        (("restart", "nobody"), "there is no run 'nobody'; `boxcar runs list` shows those there are"),
        (("explain", "nobody"), "there is no run 'nobody'"),
        (
            ("redrive", "failed"),
            "ended in its state RunFailed, and a redrive would only end it there again; `boxcar runs "
            "restart failed` starts it again",
        ),
        (("redrive", "ended"), "it is older than 14 days; `boxcar runs restart ended` starts it again as a new run"),
    ],
)
def test_what_cannot_be_is_refused_in_words(states: States, arguments: tuple[str, ...], words: str) -> None:
    done = _boxcar_runs(states, *arguments)
    assert done.exit_code == 1 and words in " ".join(done.output.split()) and states.started == []
