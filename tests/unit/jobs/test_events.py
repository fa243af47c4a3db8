"""Events late, twice, in any order, or never."""

import itertools
import random

import pytest

from tests.unit.jobs.conftest import World, make_step
from tests.unit.jobs.fakes import Deadly, Ending, Killed, client_error


def _writes(world: World) -> int:
    count = world.calls.count()
    return count["dynamodb.put_item"] + count["dynamodb.update_item"] + count["dynamodb.transact_write_items"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_gives_one_answer(world: World, order: tuple[int, ...]) -> None:
    world.submit(make_step("train"))
    world.launch()
    (job,) = world.sagemaker.jobs.values()
    events = [world.sagemaker.event(job, moment) for moment in world.sagemaker.moments(job)]
    world.clock.time = job.ends + 1
    for number in (*order, *order):
        world.monitor().hear(events[number])
    assert world.states.sent == 1 and world.answer()["output"]["attempts"] == 1
    assert world.held() == {} and world.open_items() == []


def test_a_repeated_event_writes_nothing(world: World) -> None:
    world.submit(make_step("train"))
    world.launch()
    (job,) = world.sagemaker.jobs.values()
    running = world.sagemaker.event(job, job.created + 5)
    world.monitor().hear(running)
    (before,) = world.items()
    assert before["status"] == {"S": "InProgress"}
    for _ in range(5):
        world.monitor().hear(running)
    assert world.items() == [before]


@pytest.mark.parametrize(
    "name",
    [
        "somebody-elses-job",
        "boxcar-mailer-train",
        "boxcar-mailer-train-0123456789-1",
        "other-mailer-train-0123456789-1",
    ],
)
def test_events_about_others_write_nothing(world: World, name: str) -> None:
    detail = {"TrainingJobName": name, "TrainingJobArn": "arn", "TrainingJobStatus": "Completed"}
    world.monitor().hear({"detail-type": "SageMaker Training Job State Change", "detail": detail})
    world.monitor().hear({"detail-type": "SageMaker Endpoint State Change", "detail": {}})
    assert _writes(world) == 0


def test_a_late_event_of_an_older_attempt_changes_nothing(world: World) -> None:
    world.sagemaker.endings["train"] = [Ending("Failed", "AlgorithmError: once"), Ending(seconds=600)]
    job = world.submit(make_step("train", max_attempts=2))
    world.launch()
    while len(world.sagemaker.jobs) < 2:
        world.step()
    first = world.sagemaker.jobs[f"{job.id}-1"]
    before = world.table.get(job.id)
    world.monitor().hear(world.sagemaker.event(first, first.ends))
    assert world.table.get(job.id) == before
    world.run()
    assert world.answer()["output"]["attempts"] == 2


def test_a_lost_end_is_found_within_minutes_of_a_short_job(world: World) -> None:
    world.post.fate = lambda event: []
    world.submit(make_step("train"))
    start = world.clock()
    world.run()
    assert "output" in world.answer() and world.clock() - start < 240
    assert world.calls.count()["sagemaker.describe_training_job"] == 1


@pytest.mark.parametrize("hours", [0.1, 1, 8, 28 * 24])
def test_looks_at_a_job_do_not_grow_as_it_does(world: World, hours: float) -> None:
    """Events are lost on top: every look finds it running, but the last."""
    world.post.fate = lambda event: []
    world.sagemaker.endings["train"] = [Ending(seconds=hours * 3600 - 10)]
    world.submit(make_step("train", max_runtime_s=int(hours * 3600)))
    world.run(hours=hours * 2 + 1, seconds=60 if hours < 24 else 3600)
    assert "output" in world.answer()
    looks = world.calls.count()["sagemaker.describe_training_job"]
    assert looks <= {0.1: 3, 1: 7, 8: 10, 672: 16}[hours]


def test_nothing_is_looked_at_while_events_come(world: World) -> None:
    world.submit(make_step("train"))
    world.run()
    assert world.calls.count()["sagemaker.describe_training_job"] == 0


def test_a_sweep_reads_only_what_is_overdue(world: World) -> None:
    for number in range(30):
        world.submit_own(f"done-{number}", make_step("train"))
    world.run()
    world.dynamodb.items_read = 0
    world.monitor().sweep()
    assert world.dynamodb.items_read == 0


def test_a_job_that_cannot_be_described_does_not_hide_the_others(world: World) -> None:
    world.post.fate = lambda event: []
    world.sagemaker.faults["describe_training_job"] = [client_error("InternalFailure", status=500)]
    for number in range(3):
        world.submit_own(f"job-{number}", make_step("train"))
    world.run()
    assert world.open_items() == []


def test_a_job_that_aws_forgot_is_started_again(world: World) -> None:
    world.post.fate = lambda event: []
    job = world.submit(make_step("train"))
    world.launch()
    world.sagemaker.jobs.clear()
    world.run()
    assert list(world.sagemaker.jobs) == [f"{job.id}-2"] and world.answer()["output"]["attempts"] == 2


def test_an_answer_that_does_not_get_through_stays_owed(world: World) -> None:
    world.states.faults["send_task_success"] = [client_error("ThrottlingException")] * 3
    job = world.submit(make_step("train"))
    world.run()
    assert "output" in world.answer() and world.open_items() == []
    done = world.table.get(job.id)
    assert done is not None and done.token == ""


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_answer_that_nobody_waits_for_is_given_once(world: World, code: str) -> None:
    world.states.faults["send_task_success"] = [client_error(code)]
    world.submit(make_step("train"))
    world.run()
    assert world.open_items() == [] and world.calls.count()["stepfunctions.send_task_success"] == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_bad_day(world: World, seed: int) -> None:
    """Lost, doubled and late events, quotas, throttles, failures of all classes: everything ends, nothing twice."""
    dice = random.Random(seed)

    def fate(event: object) -> list[float]:
        return [dice.choice([0, 0, 45, 600]) for _ in range(dice.choice([0, 1, 1, 1, 2]))]

    world.post.fate = fate
    world.sagemaker.limits["ml.m5.large"] = 3
    trouble = [client_error("ThrottlingException"), client_error("InternalFailure", status=503), None, None, None, None]
    for call in ("create_training_job", "describe_training_job"):
        world.sagemaker.faults[call] = [dice.choice(trouble) for _ in range(60)]
    reasons = ["AlgorithmError: x", "CapacityError: y", "InternalServerError: z"]
    for number in range(12):
        endings = [Ending("Failed", dice.choice(reasons)) for _ in range(dice.choice([0, 0, 1, 2]))]
        world.sagemaker.endings[f"job-{number:02d}"] = [*endings, Ending(seconds=dice.uniform(20, 2000))]
        world.submit_own(f"job-{number:02d}", make_step("train", max_attempts=4))
    world.run(hours=24)
    assert world.open_items() == [] and world.held() == {}
    assert {item["status"]["S"] for item in world.items()} == {"Completed"}
    for item in world.items():
        job = world.table.get(item["job"]["S"])
        assert job is not None
        started = [name for name in world.sagemaker.jobs if name.startswith(job.id)]
        assert started == [f"{job.id}-{number}" for number in range(1, job.attempt + 1)]
    assert world.sagemaker.busiest <= 3


def test_an_answer_owed_by_a_killed_monitor_is_given_by_the_sweep(world: World) -> None:
    """Its message does not come again: the sweep alone remembers."""
    world.submit(make_step("train"))
    world.launch()
    (job,) = world.sagemaker.jobs.values()
    world.clock.time = job.ends + 1
    world.calls.services["stepfunctions"] = Deadly()
    with pytest.raises(Killed):
        world.monitor().hear(world.sagemaker.event(job, job.ends))
    world.calls.services["stepfunctions"] = world.states
    world.monitor().sweep()
    assert world.states.sent == 0, "the one who wrote it may still be about to answer"
    world.clock.time += 61
    world.monitor().sweep()
    assert "output" in world.answer() and world.open_items() == []


def test_an_event_of_another_thing_of_the_same_name_changes_nothing(world: World) -> None:
    """Names are not unique everywhere: a statement, or a batch job, may be there twice."""
    world.submit(make_step("unload", "statement"))
    world.launch()
    (job,) = world.redshift.jobs.values()
    event = world.redshift.event(job, job.ends)
    event["detail"] |= {"statementId": "id-of-another", "state": "FAILED"}
    world.monitor().hear(event)
    assert world.states.sent == 0 and world.held() == {"statement": 1}
    world.run()
    assert "output" in world.answer()
