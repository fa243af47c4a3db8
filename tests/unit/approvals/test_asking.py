"""Ask: one question, one mail, one link, whatever dies and however often the run comes back."""

import pytest

from boxcar.approvals.deciding import NotOpen
from boxcar.approvals.reviews import digest
from boxcar.errors import StepError
from boxcar.registry.decisions import decisions_of
from boxcar.versions import Version
from tests.unit.approvals.conftest import HOURS, NOW, UNSURE, FakeStates, World
from tests.unit.judging.conftest import FAMILY, MODEL, Stack
from tests.unit.judging.mortal import KilledError, mortal

VERSION = Version(1, 0, 1)


def stored(world: World) -> str:
    return str(world.stack.world["dynamodb"].items)


def test_the_message_has_the_figures_and_a_link_with_256_random_bits_of_which_a_digest_is_stored(world):
    (told,) = world.told
    assert told["kind"] == "model_review" and told["version"] == "1.0.1" and told["owner"] == "science"
    assert told["score"] == 0.9 and told["score_before"] == 0.9 and told["reasons"]
    assert told["until"] == NOW + HOURS * 3600
    assert len(world.token()) == 43, "32 bytes in base64"
    assert world.token() not in stored(world) and digest(world.token()) in stored(world)
    review = world.decider.review(world.token())
    assert (review.run, review.model, review.version, review.state) == ("run-2", MODEL, "1.0.1", "open")


def test_a_retry_hands_over_its_task_token_and_asks_nobody_again(world):
    assert world.review("run-2", "task-2", attempt=1) == "waits"
    assert len(world.told) == 1
    world.decider.by_link(world.token(), world.decision())
    assert world.states.answers["task-2"]["outcome"] == "approved"


def test_an_earlier_attempt_that_was_slow_does_not_take_its_token_back(world):
    world.review("run-2", "task-2", attempt=1)
    world.review("run-2", "task-1", attempt=0)
    world.decider.by_link(world.token(), world.decision())
    assert set(world.states.answers) == {"task-2"}


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_a_retry_makes_no_second_link(stack: Stack, after: bool):
    stack.judged("run-0")
    for call in range(1, 40):
        world = World(stack, FakeStates())
        stack.judged(f"run-{call}", UNSURE)
        dying, countdown = mortal(world.stack, call, after)
        world_dying = world.seen_through(dying)
        telling = world_dying.told.append
        try:
            world_dying.review(f"run-{call}", "task-1", tell=telling)
            alive = True
        except KilledError:
            alive = False
        world.review(f"run-{call}", "task-2", attempt=1)
        assert len({told["link"] for told in world.told}) == 1, f"call {call}: whoever reads either mail can decide"
        assert len({(told["run"], told["model"], told["number"]) for told in world.told}) == 1, "one mail, by its id"
        assert world.token() not in stored(world)
        review = world.decider.review(world.token())
        assert review.task_token == "task-2" and review.state == "open"
        world.decider.by_link(world.token(), world.decision("rejected"))
        if alive and countdown[0] > 0:
            return
    pytest.fail("Ask made more calls than were tried")


def test_killed_before_the_mail_the_retry_sends_it(world):
    def dies(message):
        raise KilledError

    world.stack.judged("run-3", UNSURE)
    with pytest.raises(KilledError):
        world.review("run-3", tell=dies)
    assert world.review("run-3", "task-9", attempt=1) == "asked"
    assert world.told[-1]["run"] == "run-3"


def test_a_redriven_run_whose_link_ran_out_or_whose_review_was_cancelled_asks_anew(world):
    world.clock[0] += HOURS * 3600
    assert world.review("run-2", "task-2", attempt=1000) == "asked"
    old, new = world.token(0), world.token(1)
    assert world.told[1]["number"] == 2 and old != new
    assert world.reviews.by_token(old) is None, "one link is good, the newest"
    world.decider.by_link(new, world.decision())
    assert world.states.answers["task-2"]["outcome"] == "approved"


def test_a_run_that_comes_back_for_what_was_decided_is_answered_at_once(world):
    world.decider.by_name(FAMILY, MODEL, VERSION, world.decision("rejected", by="ann"))
    assert world.review("run-2", "task-2", attempt=1000) == "answered"
    assert world.states.answers["task-2"]["outcome"] == "rejected" and len(world.told) == 1
    assert len(decisions_of(world.stack.table.version(FAMILY, MODEL, VERSION))) == 1


@pytest.mark.parametrize("who", ["link", "command"])
def test_the_restart_of_a_run_that_was_stopped_while_it_waited_asks_anew_and_hears_of_it(world, who):
    world.review("run-2", "task-2", attempt=1000)
    world.stop("run-2")
    assert world.review("run-3", "task-3", restart_of="run-2") == "asked"
    assert [(told["run"], told["version"], told["number"]) for told in world.told[1:]] == [("run-3", "1.0.1", 2)]
    with pytest.raises(NotOpen, match="asked anew: this link was replaced") as refused:
        world.decider.by_link(world.token(0), world.decision())
    assert refused.value.state == "replaced" and world.status() == "PendingManualApproval"
    if who == "link":
        world.decider.by_link(world.token(1), world.decision())
    else:
        world.decider.by_name(FAMILY, MODEL, VERSION, world.decision())
    assert set(world.states.answers) == {"task-3"} and world.status() == "Approved"


def test_the_restart_of_a_run_whose_decision_was_begun_hears_of_that_one(world):
    review = world.reviews.of(FAMILY, MODEL, VERSION)
    world.reviews.save(review, state="deciding", decision=world.decision())
    world.stop("run-2")
    assert world.review("run-3", "task-3", restart_of="run-2") == "waits", "it is decided: nobody is asked again"
    world.decider.by_link(world.token(), world.decision())
    assert world.states.answers["task-3"]["outcome"] == "approved"


def test_two_runs_that_go_on_do_not_ask_about_one_version(world):
    with pytest.raises(StepError, match="run run-2 has asked already, and goes on"):
        world.review("run-3", "task-3", restart_of="run-2")
    world.decider.by_link(world.token(), world.decision())
    assert set(world.states.answers) == {"task-1"} and len(world.told) == 1
