"""Decide: once, everywhere or nowhere, and whoever dies over it is finished by the next who comes."""

import pytest

from boxcar.approvals.deciding import NotOpen
from boxcar.errors import NotPossible, UnknownVersion
from boxcar.registry.decisions import Overtaken, before, decisions_of, plain
from boxcar.versions import Version
from tests.unit.approvals.conftest import HOURS, UNSURE, FakeStates, World
from tests.unit.judging.conftest import FAMILY, MODEL, Stack
from tests.unit.judging.mortal import KilledError, Mortal, mortal

VERSION = Version(1, 0, 1)


def unchanged(world: World) -> None:
    assert (world.status(), world.predicts()) == ("PendingManualApproval", "1.0.0")
    assert world.states.answers == {} and world.disagreements() == []


def test_an_approval_is_true_everywhere_and_the_run_hears_of_it(world):
    review = world.decider.by_link(world.token(), world.decision())
    assert (review.state, world.status(), world.predicts()) == ("decided", "Approved", "1.0.1")
    assert world.states.answers["task-1"] == {**world.decision().model_dump(), "version": "1.0.1"}
    item = world.stack.table.version(FAMILY, MODEL, VERSION)
    assert decisions_of(item) == [world.decision()]
    package = world.stack.packages.describe(item["package_arn"])
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"] == "approved by Ann (by link): the shift is real"
    assert world.stack.table.latest(FAMILY, MODEL)["status"] == "Approved"
    assert world.disagreements() == []


def test_a_rejection_leaves_the_approved_version_in_place(world):
    world.decider.by_link(world.token(), world.decision("rejected"))
    assert (world.status(), world.predicts()) == ("Rejected", "1.0.0")
    assert world.states.answers["task-1"]["outcome"] == "rejected"
    assert world.disagreements() == []


def test_looking_changes_nothing(world):
    for _ in range(3):
        world.decider.review(world.token())
    unchanged(world)


def test_a_second_click_changes_nothing_and_says_who_was_first(world):
    world.decider.by_link(world.token(), world.decision())
    with pytest.raises(NotOpen, match=r"has been decided: approved by Ann") as refused:
        world.decider.by_link(world.token(), world.decision("rejected", by="Ben (by link)"))
    assert refused.value.state == "decided"
    assert world.status() == "Approved"
    assert world.decider.by_link(world.token(), world.decision()).state == "decided", "a double click is one"
    assert len(decisions_of(world.stack.table.version(FAMILY, MODEL, VERSION))) == 1


@pytest.mark.parametrize("change", [lambda t: t + "x", lambda t: t[:-1], lambda t: t.swapcase(), lambda t: ""])
def test_a_tampered_token_leads_nowhere(world, change):
    with pytest.raises(NotOpen) as refused:
        world.decider.by_link(change(world.token()), world.decision())
    assert refused.value.state == ""
    unchanged(world)


def test_an_expired_link_changes_nothing_and_the_command_still_decides(world):
    world.clock[0] += HOURS * 3600
    with pytest.raises(NotOpen, match="time to decide is over") as refused:
        world.decider.by_link(world.token(), world.decision())
    assert refused.value.state == "expired"
    unchanged(world)
    world.decider.by_name(FAMILY, MODEL, VERSION, world.decision(by="ann"))
    assert (world.status(), world.predicts()) == ("Approved", "1.0.1")
    assert world.states.answers == {}, "the run has gone on without it"
    assert world.disagreements() == []


@pytest.mark.parametrize("gone", [False, True])
def test_a_stopped_run_changes_nothing_and_the_command_still_decides(world, gone):
    world.stop()
    if gone:
        world.states.statuses.clear()
    for _ in range(2):
        with pytest.raises(NotOpen, match="was stopped") as refused:
            world.decider.by_link(world.token(), world.decision())
        assert refused.value.state == "cancelled"
    unchanged(world)
    world.decider.by_name(FAMILY, MODEL, VERSION, world.decision("rejected", by="ann"))
    assert world.status() == "Rejected" and world.disagreements() == []


def test_the_command_decides_for_a_run_that_waits_and_the_link_is_spent(world):
    world.decider.by_name(FAMILY, MODEL, VERSION, world.decision(by="ann"))
    assert world.states.answers["task-1"]["by"] == "ann"
    with pytest.raises(NotOpen, match="approved by ann"):
        world.decider.by_link(world.token(), world.decision("rejected"))


def test_an_older_version_does_not_take_the_place_of_a_newer_one_by_approval(world):
    world.stack.judged("run-3")
    for decide in (
        lambda: world.decider.by_link(world.token(), world.decision()),
        lambda: world.decider.by_name(FAMILY, MODEL, VERSION, world.decision()),
    ):
        with pytest.raises(Overtaken, match=r"1\.0\.2, which is newer, has been approved.*rollback"):
            decide()
    assert (world.status(), world.predicts()) == ("PendingManualApproval", "1.0.2")
    world.decider.by_link(world.token(), world.decision("rejected"))
    assert world.status() == "Rejected" and world.disagreements() == []


def test_a_newer_one_that_is_approved_in_the_same_moment_goes_on_predicting(world):
    packages = world.stack.world["sagemaker"]
    slow = Mortal(packages, [0], False)

    def meanwhile(**request):
        del slow.update_model_package
        world.stack.judged("run-3")
        return packages.update_model_package(**request)

    slow.update_model_package = meanwhile
    world.seen_through(world.stack.with_clients(sagemaker=slow)).decider.by_link(world.token(), world.decision())
    assert (world.status(), world.predicts()) == ("Approved", "1.0.2")
    assert world.disagreements() == []


@pytest.mark.parametrize("outcome", ["approved", "rejected"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("who", ["link", "command"])
def test_killed_between_any_two_calls_the_next_who_comes_finishes_it(stack: Stack, outcome, after, who):
    stack.judged("run-0")
    for call in range(1, 40):
        world = World(stack, FakeStates())
        stack.judged(f"run-{call}", UNSURE)
        world.review(f"run-{call}")
        version = Version.parse(world.told[0]["version"])
        dying, countdown = mortal(stack, call, after)
        states = Mortal(world.states, countdown, after)
        decide = {
            "link": lambda seen: seen.decider.by_link(world.token(), world.decision(outcome)),  # noqa: B023
            "command": lambda seen: seen.decider.by_name(FAMILY, MODEL, version, world.decision(outcome)),  # noqa: B023
        }[who]
        try:
            decide(world.seen_through(dying, states))
            alive = True
        except KilledError:
            alive = False
        decide(world)  # the same click again
        assert world.status(str(version)) == {"approved": "Approved", "rejected": "Rejected"}[outcome], f"call {call}"
        assert world.states.answers["task-1"]["outcome"] == outcome
        assert world.reviews.of(FAMILY, MODEL, version).state == "decided"
        assert len(decisions_of(stack.table.version(FAMILY, MODEL, version))) == 1
        assert world.disagreements() == []
        if alive and countdown[0] > 0:
            assert call > 8
            return
    pytest.fail("deciding made more calls than were tried")


def test_what_was_begun_is_finished_and_not_what_the_next_one_says(world):
    dying, _ = mortal(world.stack, 99, False)
    packages = dying.clients["sagemaker"]
    packages.update_model_package = lambda **_: (_ for _ in ()).throw(KilledError)
    with pytest.raises(KilledError):
        world.seen_through(dying).decider.by_link(world.token(), world.decision())
    with pytest.raises(NotOpen, match="has been decided: approved by Ann"):
        world.decider.by_link(world.token(), world.decision("rejected", by="Ben (by link)"))
    assert (world.status(), world.predicts()) == ("Approved", "1.0.1")
    assert world.states.answers["task-1"]["outcome"] == "approved" and world.disagreements() == []


def test_a_task_token_that_changes_while_it_is_decided_is_answered_too(world):
    states = Mortal(world.states, [0], False)
    answer = world.states.send_task_success

    def meanwhile(**request):
        states.send_task_success = answer
        world.states.waiting.clear()  # the Task was started again
        world.states.waiting.add("task-2")
        review = world.reviews.of(FAMILY, MODEL, VERSION)
        world.reviews.save(review, task_token="task-2", attempt=1)
        return answer(**request)

    states.send_task_success = meanwhile
    world.seen_through(world.stack, states).decider.by_link(world.token(), world.decision())
    assert world.states.answers["task-2"]["outcome"] == "approved"


def test_a_rejected_version_can_be_approved_and_an_approved_one_not_be_rejected(world):
    world.stack.judged("run-3", score=0.7)
    world.decider.by_name(FAMILY, MODEL, Version(1, 0, 2), world.decision(by="ann"))
    assert (world.status("1.0.2"), world.predicts()) == ("Approved", "1.0.2")
    with pytest.raises(NotPossible, match="approved already: approved by ann"):
        world.decider.by_name(FAMILY, MODEL, Version(1, 0, 2), world.decision("rejected", by="ben"))
    with pytest.raises(UnknownVersion, match="no version 9"):
        world.decider.by_name(FAMILY, MODEL, Version(9, 0, 0), world.decision())
    assert world.disagreements() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_rollback_killed_anywhere_is_finished_by_the_same_command(stack: Stack, after):
    for call in range(1, 40):
        one = World(stack.fresh(f"packaging{call}"), FakeStates())
        for run in ("run-1", "run-2", "run-3"):
            one.stack.judged(run)
        family, target, decision = one.stack.family, Version(1, 0, 0), one.decision(by="ann")
        dying, countdown = mortal(one.stack, call, after)
        try:
            one.seen_through(dying).decisions.roll_back(family, MODEL, target, decision)
            alive = True
        except KilledError:
            alive = False
        one.decisions.roll_back(family, MODEL, target, decision)
        table = one.stack.table
        assert table.approved(family, MODEL)["version"] == "1.0.0"
        assert [item["status"] for item in table.history(family, MODEL)] == ["Approved", "Rejected", "Rejected"]
        assert decisions_of(table.history(family, MODEL)[1])[-1].sentence == "rolled back by ann: the shift is real"
        assert one.disagreements(family) == []
        if alive and countdown[0] > 0:
            return
    pytest.fail("a rollback made more calls than were tried")


def test_after_a_rollback_the_next_approval_moves_on_and_the_version_may_come_back(world):
    world.decider.by_link(world.token(), world.decision())
    assert before(world.stack.table.approved(FAMILY, MODEL), world.stack.table.history(FAMILY, MODEL)) == Version(
        1, 0, 0
    )
    world.decisions.roll_back(FAMILY, MODEL, Version(1, 0, 0), world.decision(by="ann"))
    assert (world.predicts(), world.status()) == ("1.0.0", "Rejected")
    with pytest.raises(NotPossible, match="nothing was approved before"):
        before(world.stack.table.approved(FAMILY, MODEL), world.stack.table.history(FAMILY, MODEL))
    world.decider.by_name(FAMILY, MODEL, VERSION, world.decision(why="it was the data", by="ann"))
    assert world.predicts() == "1.0.1" and world.disagreements() == []
    world.stack.judged("run-3")
    assert world.predicts() == "1.0.2"


def test_a_rollback_goes_back_to_what_was_approved(world):
    with pytest.raises(NotPossible, match=r"1\.0\.1 is PendingManualApproval"):
        world.decisions.roll_back(FAMILY, MODEL, VERSION, world.decision())
    unchanged(world)


def test_a_reason_is_one_line_of_what_sagemaker_takes():
    assert plain(" a\n\tb\x00c​d \u2028 ", 99) == "a b c d"
    assert plain("x" * 700, 600) == "x" * 600
