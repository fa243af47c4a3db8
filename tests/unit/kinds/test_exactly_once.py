"""One job an attempt, whoever is killed and whatever answer is lost, though neither service knows a client token."""

import itertools

import pytest

from boxcar import aws
from tests.unit.jobs.fakes import client_error
from tests.unit.kinds.worlds import KindWorld, some_step

KINDS = ["batch", "glue"]
CREATE = {"batch": "submit_job", "glue": "start_job_run"}
LOOK = {"batch": "batch.list_jobs", "glue": "glue.get_job_runs"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_attempt_costs_one_call_to_start(world, kind):
    world.submit(some_step(kind))
    world.live()
    calls = world.calls.count()
    assert calls[f"{kind}.{CREATE[kind]}"] == 1
    assert calls[LOOK[kind]] == 0
    # Batch's events say whose they are and why; of Glue's one end, one call finds the attempt
    assert sum(count for call, count in calls.items() if call.startswith(f"{kind}.")) == (1 if kind == "batch" else 2)
    assert world.answer()["output"]["attempts"] == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_call(kind, after):
    reached = 0
    for kill_at in itertools.count(1):
        world = KindWorld()
        failed = {"status": "FAILED", "words": {"container": {"exitCode": 1}, "ErrorMessage": "ValueError: no"}}
        world.service(kind).plan = [failed, {}]
        world.calls.kill_at, world.calls.kill_after = kill_at, after
        world.survive(lambda world=world: world.submit(some_step(kind)))
        world.live()
        world.calls.kill_at, log = None, list(world.calls.log)
        where = f"killed at call {kill_at}: {log[max(0, kill_at - 3) : kill_at]}"
        (item,) = world.items()
        job = world.table.get(item["job"]["S"])
        assert job is not None and job.status == "Completed", where
        assert len(world.service(kind).runs) == 2, where  # one for each attempt: the first failed by itself
        assert [attempt.number for attempt in job.attempts] == [1, 2], where
        assert world.held() == {}, where
        assert world.open_items() == [], where
        if len(log) < kill_at:
            break
        reached = kill_at
    assert reached > 12, "the kill never came near the end of a life"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [client_error("ServerException", status=500), ConnectionError("reset")])
def test_an_answer_that_is_lost(world, kind, error):
    """It was created, and the launcher never heard of it; nor did the monitor that it runs."""
    world.lose = lambda event: event["detail"].get("status") == "RUNNING"
    world.service(kind).faults[f"{CREATE[kind]}_answer"] = [error]
    world.submit(some_step(kind))
    world.live()
    assert len(world.service(kind).runs) == 1
    assert world.calls.count()[LOOK[kind]] == 1
    assert world.answer()["output"]["attempts"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_is_lost(world, kind):
    """It was not created: looking for it finds nothing, and it is created then."""
    world.service(kind).faults[CREATE[kind]] = [client_error("ServerException", status=500)]
    world.submit(some_step(kind))
    world.live()
    assert len(world.service(kind).runs) == 1
    assert world.calls.count()[LOOK[kind]] == 1
    assert world.answer()["output"]["attempts"] == 1


def test_a_job_of_last_weeks_table_is_not_this_one(world):
    """Names repeat when a table is made anew, and Batch lists what has ended for a week. Nor is case the same name."""
    job = world.submit(some_step("batch"))
    old = {"jobName": f"{job.id}-1", "jobQueue": "boxcar-python"}
    world.batch.add(old).created -= 86400
    world.batch.add({**old, "jobName": f"{job.id}-1".upper()})
    for run in world.batch.runs.values():
        world.batch.told |= {(run.id, moment) for moment in run.moments()}
    world.batch.faults["submit_job"] = [client_error("ServerException", status=500)]
    world.live()
    assert len(world.batch.runs) == 3
    found = world.table.get(job.id)
    assert found is not None and found.attempts[0].arn.partition("#")[0].endswith("job/run-2")


def test_runs_since_the_attempt_are_read_and_no_more(world):
    """However many runs a Glue job has had."""
    for _ in range(600):
        world.glue.add({"JobName": "boxcar-python"}).created -= 86400
    for run in world.glue.runs.values():
        world.glue.told |= {(run.id, moment) for moment in run.moments()}
    world.glue.faults["start_job_run_answer"] = [client_error("InternalServiceException", status=500)]
    world.submit(some_step("glue"))
    world.live()
    assert len(world.glue.runs) == 601
    assert world.calls.count()["glue.get_job_runs"] == 1


def test_the_launchers_client_does_not_repeat_what_would_be_a_second_job(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws.client.cache_clear()
    most = {
        name: aws.launching_client(name).meta.config.retries["total_max_attempts"] for name in (*KINDS, "sagemaker")
    }
    assert most == {"batch": 1, "glue": 1, "sagemaker": 4}
    assert aws.client("glue").meta.config.retries["total_max_attempts"] == 9  # looking may be repeated
    aws.client.cache_clear()
