"""One mail about many jobs: exact, and never a thousand."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from boxcar.errors import NotPossible, UnknownJob
from boxcar.jobs.monitor import Monitor
from boxcar.jobs.stop import stop
from boxcar.jobs.table import Conflict
from tests.unit.jobs.conftest import SETTINGS, World, make_step
from tests.unit.jobs.fake_dynamodb import FakeDynamoDB
from tests.unit.jobs.fakes import Deadly, Ending, FakeS3, Killed, client_error


def _told(world: World) -> Counter[str]:
    """What all mails say together; a message that came twice counts once, as its number does."""
    numbered = {(message["owner"], message["number"]): message for message in world.digests()}
    told: Counter[str] = Counter()
    for message in numbered.values():
        for counts in message["sweeps"].values():
            told.update(counts)
    return told


def test_one_job_is_one_mail_a_minute_later(world: World) -> None:
    job = world.submit_own("only", make_step("train"))
    world.run()
    assert world.digests() == []
    world.step(90)
    (message,) = world.digests()
    assert message["sweeps"] == {"": {"Completed": 1}} and message["owner"] == "ann"
    (example,) = message["examples"]
    assert example["job"] == job.id and example["outputs"]["model"].startswith("s3://")
    for _ in range(100):
        world.step(60)
    assert len(world.digests()) == 1 and world.items("digest#") != []
    assert all("queue" not in item for item in world.items("digest#"))


def test_a_sweep_is_a_few_mails_that_add_up(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 4})
    world.sagemaker.endings["bad"] = [Ending("Failed", "AlgorithmError: no"), Ending("Failed", "AlgorithmError: no")]
    for number in range(200):
        name = f"bad{number}" if number % 20 == 0 else f"good{number}"
        world.submit_own(name, make_step("train", max_attempts=1), sweep="depth")
    world.run(hours=100)
    for _ in range(6 * 60):
        world.step(60)
    assert _told(world) == {"Completed": 190, "AlgorithmError": 10}
    assert len(world.digests()) <= 9
    assert {sweep for message in world.digests() for sweep in message["sweeps"]} == {"depth"}


def test_each_owner_has_mails_of_her_own_with_every_sweep_counted(world: World) -> None:
    world.submit_own("a", make_step("train"), owner="ann", sweep="one")
    world.submit_own("b", make_step("train"), owner="ann")
    world.submit_own("c", make_step("train"), owner="bob")
    world.run()
    world.step(90)
    assert {message["owner"]: message["sweeps"] for message in world.digests()} == {
        "ann": {"one": {"Completed": 1}, "": {"Completed": 1}}, "bob": {"": {"Completed": 1}},
    }  # fmt: skip


def test_a_step_that_a_run_waits_for_is_in_no_digest(world: World) -> None:
    world.submit(make_step("train"))
    world.run()
    world.step(600)
    assert world.queue.messages == [] and world.items("digest#") == []


def test_a_digest_that_cannot_be_sent_is_sent_later(world: World) -> None:
    world.submit_own("only", make_step("train"))
    world.run()
    world.queue.faults = [client_error("ServiceUnavailable", status=503)] * 2
    for _ in range(6):
        world.step(60)
    assert _told(world) == {"Completed": 1} and world.digests()[0]["number"] == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_call_the_mails_add_up(after: bool) -> None:
    for kill_at in itertools.count(1):
        world = World(FakeDynamoDB(), FakeS3())
        world.calls.kill_at, world.calls.kill_after = kill_at, after
        _three_jobs(world)
        assert _told(world) == {"Completed": 3}, world.calls.log[max(0, kill_at - 3) : kill_at]
        if len(world.calls.log) < kill_at:
            return


def _three_jobs(world: World) -> None:
    for number in range(3):
        _surviving(world, partial(world.submit_own, f"j{number}", make_step("train")))
    for _ in range(12):
        _surviving(world, world.launch)
        world.clock.time += 60
        world.post.collect(world.sagemaker, world.clock())
        for event in world.post.due(world.clock()):
            _surviving(world, partial(Monitor.hear, world.monitor(), event))
        _surviving(world, world.sweep)


def _surviving(world: World, act: Callable[[], object]) -> None:
    for _ in range(2):
        try:
            act()
            return
        except (Killed, Conflict):
            world.clock.time += 130


def test_a_quarantined_job_is_an_alarm_until_it_is_sent(world: World) -> None:
    world.submit_own("deadly", make_step("train"))
    sagemaker = world.calls.services["sagemaker"]
    world.calls.services["sagemaker"] = Deadly()
    for _ in range(7):
        for act in (world.launch, world.sweep):
            try:
                act()
            except Killed:
                world.clock.time += 130
    world.calls.services["sagemaker"] = sagemaker
    for _ in range(5):
        world.step(60)
    alarms = [message for message in world.queue.messages if message["kind"] == "job_quarantined"]
    assert len(alarms) == 1 and "died 5 times" in alarms[0]["reason"]
    assert _told(world) == {"Quarantined": 1} and world.held() == {}
    again = world.submitter().retry(alarms[0]["job"])
    assert again.status == "New"
    world.run()
    done = world.table.get(again.id)
    assert done is not None and done.status == "Completed" and done.failure == ""


# ── stop and retry


def test_a_waiting_job_is_stopped_at_once(world: World) -> None:
    job = world.submit_own("one", make_step("train"))
    stopped = stop(world.table, job.id, "ann", world.clock(), 86400.0)
    assert stopped is not None and stopped.status == "Stopped" and "by ann" in stopped.reason
    world.run()
    assert world.sagemaker.jobs == {}
    world.step(90)
    assert _told(world) == {"Stopped": 1}


def test_a_running_job_is_stopped_by_aws_and_is_not_tried_again(world: World) -> None:
    world.sagemaker.endings["one"] = [Ending(seconds=5000)]
    job = world.submit_own("one", make_step("train"))
    world.launch()
    world.clock.time += 10
    world.deliver()
    stop(world.table, job.id, "ann", world.clock(), 86400.0)
    world.monitor().stop(job.id)
    world.monitor().stop(job.id)
    world.run()
    stopped = world.table.get(job.id)
    assert stopped is not None and (stopped.status, stopped.attempt) == ("Stopped", 1)
    assert world.held() == {} and len(world.sagemaker.jobs) == 1
    with pytest.raises(NotPossible, match="is Stopped already"):
        stop(world.table, job.id, "ann", world.clock(), 86400.0)


def test_a_stop_while_aws_is_asked_to_create_it(world: World) -> None:
    job = world.submit_own("one", make_step("train"))
    create = world.sagemaker.create_training_job

    def stopped_meanwhile(**request: object) -> dict[str, str]:
        answer = create(**request)
        stop(world.table, job.id, "ann", world.clock(), 86400.0)
        world.monitor().stop(job.id)  # too early: nobody knows its ARN
        return answer

    world.sagemaker.create_training_job = stopped_meanwhile  # type: ignore[method-assign]
    world.launch()
    assert {"stop": job.id} in world.queue.messages
    world.monitor().stop(job.id)
    assert world.sagemaker.stops == [f"{job.id}-1"]


def test_a_lost_stop_is_made_up_for_by_the_sweep(world: World) -> None:
    world.sagemaker.endings["one"] = [Ending(seconds=50_000)]
    job = world.submit_own("one", make_step("train", max_runtime_s=86400))
    world.launch()
    world.step(10)
    stop(world.table, job.id, "ann", world.clock(), 86400.0)
    for _ in range(4):
        world.step(60)
    stopped = world.table.get(job.id)
    assert stopped is not None and stopped.status == "Stopped"


def test_only_what_failed_is_tried_again(world: World) -> None:
    world.sagemaker.endings["bad"] = [Ending("Failed", "ClientError: no"), Ending()]
    good, bad = world.submit_own("good", make_step("train")), world.submit_own("bad", make_step("train"))
    world.run()
    with pytest.raises(NotPossible, match="is Completed"):
        world.submitter().retry(good.id)
    with pytest.raises(UnknownJob):
        world.submitter().retry("boxcar-none-0123456789")
    assert world.submitter().retry(bad.id).attempts_made == 0
    world.run()
    done = world.table.get(bad.id)
    assert done is not None and done.status == "Completed" and [one.number for one in done.attempts] == [1, 2]


# ── what a job costs


@pytest.mark.parametrize("hours", [0.1, 8])
def test_calls_of_a_job_do_not_depend_on_its_time(world: World, hours: float) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 2})
    world.sagemaker.endings["ann-j"] = [Ending(seconds=hours * 3600)]
    for number in range(20):
        world.submit_own(f"j{number}", make_step("train", max_runtime_s=10 * 3600))
    world.launch()
    while world.open_items():
        ends = [job.ends for job in world.sagemaker.running()] or [world.clock() + 60]
        world.clock.time = max(world.clock() + 6, min(ends))
        monitor = world.monitor()
        world.post.collect(world.sagemaker, world.clock())
        for event in world.post.due(world.clock()):
            monitor.hear(event)
        if monitor.freed:
            world.launch(pools=dict(monitor.freed))
    assert world.calls.count()["sagemaker.describe_training_job"] == 0
    assert len(world.calls.log) / 20 <= 11
