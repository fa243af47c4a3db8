"""A trial waits for its next look, and whoever has a reason has it looked at at once."""

import pytest

from boxcar.errors import NotPossible
from boxcar.serving.judging import Seen, Traffic
from boxcar.serving.records import Endpoint, Turn
from boxcar.serving.spec import Serving, Split
from boxcar.serving.trial_judge import TrialJudge, wait_for_look
from tests.unit.serving.conftest import NAME, World


@pytest.fixture
def trial(world: World) -> World:
    """1.0.1 is tried beside 1.0.0."""
    world.release("1.0.0")
    world.serving = Serving(split=Split())
    world.take("1.0.1")
    world.deployer.begin_trial(world.target("1.0.1"), "run-1.0.1", "arn-1.0.1", "try")
    world.settle()
    return world


def judge(world: World, rejected: bool) -> TrialJudge:
    return TrialJudge(
        endpoints=world.endpoints,
        look=lambda *_: Seen(Traffic(0, 0, None), Traffic(0, 0, None)),
        is_approved=lambda _: not rejected,
        threshold=lambda _: 0.5,
        write=lambda *_: "s3://page",
        now=lambda: 0.0,
    )


def wait(world: World, version: str = "1.0.1", rejected: bool = False) -> None:
    plan = world.plan(version)
    wait_for_look(world.endpoints, world.states, lambda _: not rejected, plan, f"arn-{version}", "look")


def test_nobody_is_waited_for_until_there_is_a_reason(trial: World) -> None:
    wait(trial)
    assert "look" not in trial.states.answers
    turn = Turn(execution="arn-2", run="run-2", version="0.9.0", token="turn-2")
    assert trial.turns.take(Endpoint(endpoint=NAME, family="packaging", model="box"), turn) == "waits"
    assert trial.states.answers["look"] == {}, "who comes may take back what is tried"


@pytest.mark.parametrize(("wish", "rejected"), [("back", False), ("promote", False), ("", True)])
def test_a_reason_that_is_there_already_is_not_waited_for(trial: World, wish: str, rejected: bool) -> None:
    def wished(before: Endpoint) -> Endpoint:
        assert before.trial
        return before.model_copy(update={"trial": before.trial.model_copy(update={"wish": wish})})

    trial.endpoints.change(trial.record, wished)
    wait(trial, rejected=rejected)
    assert trial.states.answers["look"] == {}
    judged = judge(trial, rejected).judge(trial.plan("1.0.1"), "arn-1.0.1")
    assert judged["status"] == ("promote" if wish == "promote" else "back")


def test_a_release_that_has_not_the_turn_waits_for_no_look(trial: World) -> None:
    with pytest.raises(NotPossible, match="tries no version on it"):
        wait(trial, "1.0.2")
