"""Whoever is killed between any two calls, the next one goes on: one job an attempt, one answer, nothing held."""

import contextlib
import itertools

import pytest

from boxcar.jobs.table import Conflict
from tests.unit.jobs.conftest import World, make_step
from tests.unit.jobs.fake_dynamodb import FakeDynamoDB
from tests.unit.jobs.fakes import Deadly, Ending, FakeS3, Killed, client_error


def _life(world: World, kind: str, token: str = "token") -> None:
    """One job from submission to its end; whoever is killed is run again, as Lambda and the schedule would."""

    def surviving(act: object) -> None:
        for _ in range(2):
            try:
                act()  # type: ignore[operator]
                return
            except (Killed, Conflict):
                world.clock.time += 130  # visibility of its message

    surviving(lambda: world.submit(make_step("work", kind), token=token))
    surviving(world.launch)
    for _ in range(40):
        if not world.open_items():
            break
        world.clock.time += 30
        for service in (world.sagemaker, world.redshift):
            world.post.collect(service, world.clock())
        for event in world.post.due(world.clock()):
            surviving(lambda event=event: world.monitor().hear(event))
        surviving(world.sweep)
        surviving(world.launch)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("kind", "refusals", "algorithm_errors"),
    [("training", 0, 0), ("transform", 0, 0), ("statement", 0, 0), ("processing", 1, 1)],
)
def test_killed_at_every_call(kind: str, refusals: int, algorithm_errors: int, after: bool) -> None:
    reached = 0
    for kill_at in itertools.count(1):
        world = World(FakeDynamoDB(), FakeS3())
        world.calls.kill_at, world.calls.kill_after = kill_at, after
        endings = [Ending("Failed", "AlgorithmError: x")] * algorithm_errors + [Ending()]
        world.sagemaker.endings["work"] = endings
        world.redshift.endings["work"] = [Ending()]
        world.sagemaker.faults[f"create_{kind}_job"] = [client_error("ResourceLimitExceeded")] * refusals
        _life(world, kind)
        world.calls.kill_at = None
        _check(world, kind, attempts=1 + algorithm_errors, kill_at=kill_at)
        if len(world.calls.log) < kill_at:
            break
        reached = kill_at
    assert reached > 12, "the kill never came near the end of a life"


def _check(world: World, kind: str, attempts: int, kill_at: int) -> None:
    where = f"killed at call {kill_at}: {world.calls.log[max(0, kill_at - 3) : kill_at]}"
    (item,) = world.items()
    job = world.table.get(item["job"]["S"])
    assert job is not None and job.status == "Completed", where
    started = list(world.sagemaker.jobs) + [job.name for job in world.redshift.jobs.values()]
    assert started == [f"{job.id}-{number}" for number in range(1, attempts + 1)], where
    assert [attempt.number for attempt in job.attempts] == list(range(1, attempts + 1)), where
    assert world.answer()["output"]["attempts"] == attempts, where
    assert world.held() == {}, where
    assert world.open_items() == [], where


def test_a_job_that_kills_its_launcher_is_given_up(world: World) -> None:
    world.submit(make_step("train"))
    world.submit(make_step("other", "statement"), token="other", run="run-2")
    world.calls.services["sagemaker"] = Deadly()
    for _ in range(8):
        with contextlib.suppress(Killed):
            world.launch()
        with contextlib.suppress(Killed):
            world.sweep()
        world.clock.time += 130
        world.deliver()
    assert world.answer()["error"] == "Quarantined" and "died 5 times" in world.answer()["cause"]
    assert world.queue.messages == [], "the run that waits for it gives the alarm"
    world.run()
    assert "output" in world.answer("other")
    assert world.held() == {}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_step_from_the_cache_killed_at_every_call_is_answered_once_and_starts_nothing(after: bool) -> None:
    for kill_at in itertools.count(1):
        world = World(FakeDynamoDB(), FakeS3())
        step = make_step("work")
        done = world.submit(step, run="run-1", token="first")
        world.run()
        key = world.table.get(done.id).outputs["model"].removeprefix("s3://data/")
        world.s3.put_object(Bucket="data", Key=key, Body=b"model")
        world.calls.log.clear()
        world.calls.kill_at, world.calls.kill_after = kill_at, after
        with contextlib.suppress(Killed):
            world.submit(step, run="run-2", token="second")
        reached, world.calls.kill_at = len(world.calls.log) >= kill_at, None
        world.clock.time += 130
        if "second" not in world.states.answers:
            world.submit(step, run="run-2", token="again")  # Lambda failed: the Task is tried again, with a new token
        world.sweep()
        answers = {"second", "again"} & set(world.states.answers)
        assert answers and all(world.answer(token)["output"]["attempts"] == 0 for token in answers)
        assert len(world.sagemaker.jobs) == 1 and world.open_items() == [] and world.held() == {}
        if not reached:
            break
    assert kill_at > 6, "the kill never came near the end"
