"""How jobs of Batch and runs of Glue end, told by events or found by the sweep, and what is done about it."""

import json
from pathlib import Path

import pytest

from boxcar.jobs.stop import stop
from boxcar.kinds import find
from tests.unit.kinds.worlds import ARN, batch_step, glue_step, some_step

KINDS = ["batch", "glue"]
EVENTS = Path(__file__).resolve().parents[3] / "events"
EXITED = "Essential container in task exited"
BAD = {"status": "FAILED", "words": {"container": {"exitCode": 1}, "ErrorMessage": "ValueError: no"}}


def failure(world):
    (item,) = world.items()
    job = world.table.get(item["job"]["S"])
    assert job is not None and job.finished
    return job


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_completes_with_its_outputs(world, kind):
    job = world.submit(some_step(kind))
    world.live()
    assert world.answer()["output"]["outputs"] == {"data": "s3://data/runs/run-1/mailer/work/1/data/"}
    done = world.table.get(job.id)
    assert done is not None and done.seconds == pytest.approx(55 if kind == "batch" else 60)


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_lost(world, kind):
    world.lose = lambda event: True
    world.submit(some_step(kind))
    world.live()
    assert world.answer()["output"]["attempts"] == 1
    describe = {"batch": "batch.describe_jobs", "glue": "glue.get_job_run"}[kind]
    assert world.calls.count()[describe] <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_events_doubled_and_late_change_nothing(world, kind):
    world.submit(some_step(kind))
    world.launch()
    world.clock.time += 200
    events = world.service(kind).events(world.clock())
    for event in [*events, *reversed(events), *events]:
        world.monitor().hear(event)
    assert world.states.sent == 1 and failure(world).status == "Completed"


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_service_forgot_is_tried_again(world, kind):
    world.submit(some_step(kind))
    world.launch()
    service = world.service(kind)
    lost = service.runs.pop("run-0")
    world.live()
    job = failure(world)
    assert (job.status, job.attempts[0].failure) == ("Completed", "InternalServerError")
    assert "does not know" in job.attempts[0].reason and lost.id in job.attempts[0].reason


@pytest.mark.parametrize("kind", KINDS)
def test_an_algorithm_error_is_tried_as_often_as_it_may(world, kind):
    world.service(kind).plan = [BAD, BAD, BAD]
    world.submit(some_step(kind, max_attempts=2))
    world.live()
    job = failure(world)
    assert (job.failure, job.attempt, len(world.service(kind).runs)) == ("AlgorithmError", 2, 2)
    assert ("exit code 1" if kind == "batch" else "ValueError: no") in job.reason


@pytest.mark.parametrize("kind", KINDS)
def test_stop(world, kind):
    world.service(kind).plan = [{"seconds": 5000.0}]
    job = world.submit_own("mine", some_step(kind))
    world.launch()
    world.clock.time += 30
    world.deliver()
    stop(world.table, job.id, "ann", world.clock(), world.settings.history_s)
    world.monitor().stop(job.id)
    world.clock.time += 10
    world.deliver()
    assert (failure(world).status, world.held()) == ("Stopped", {})


def test_a_queue_that_is_limited_in_vcpus(world):
    """An array holds the vCPUs of all of it."""
    object.__setattr__(world.settings, "instance_limits", {**world.settings.instance_limits, "batch/boxcar-python": 8})
    try:
        for number in range(3):
            world.submit_own(f"job-{number}", batch_step(options={"vcpus": 1, "array_size": 4}))
        world.launch()
        assert (len(world.batch.runs), world.held()) == (2, {"batch/boxcar-python": 8})
    finally:
        world.settings.instance_limits.pop("batch/boxcar-python")


def test_glue_has_no_more_concurrent_runs(world):
    """A refusal is a limit that is learned; the next one starts when a run has ended."""
    world.glue.most = 1
    for number in range(3):
        world.submit_own(f"job-{number}", glue_step())
    world.launch()
    assert len(world.glue.runs) == 1 and world.held() == {"glue/boxcar-python": 1}
    for _ in range(60):
        world.step()
    assert [item["status"]["S"] for item in world.items()] == ["Completed"] * 3
    assert len(world.glue.runs) == 3


def test_runs_and_jobs_of_others_are_not_ours(world):
    run = world.glue.add({"JobName": "boxcar-python", "Arguments": {}})
    other = world.batch.add({"jobName": "boxcar-something", "jobQueue": "boxcar-python"})
    world.clock.time += 100
    world.monitor().hear(world.glue.event(run, run.ends))
    world.monitor().hear(world.batch.event(other, other.ends))
    assert world.items() == []


def test_a_run_that_glue_forgot_belongs_to_nobody(world):
    world.monitor().hear(
        {
            "detail-type": "Glue Job State Change",
            "detail": {"jobName": "boxcar-python", "jobRunId": "jr_0", "state": "SUCCEEDED", "message": ""},
        }
    )
    assert world.items() == []


def test_children_of_an_array_say_nothing_of_it():
    child = {"jobName": "n", "jobArn": f"{ARN}:job/1:3", "status": "FAILED", "arrayProperties": {"index": 3}}
    assert find("batch").observe(child).status == "Starting"
    parent = {**child, "arrayProperties": {"size": 4}, "statusReason": "Array Child Job failed"}
    assert find("batch").observe(parent).reason.startswith("AlgorithmError: ")


def test_logs_are_of_the_one_job(world):
    batch, glue = find("batch"), find("glue")
    job = world.submit(batch_step())
    world.launch()
    launched = world.table.get(job.id)
    assert launched is not None
    # before it runs it has no stream, and nobody else's begins so
    assert batch.logs(job.id + "-1", launched.attempts[0].arn) == ("/aws/batch/job", f"{job.id}-1/")
    world.clock.time += 10
    world.deliver()
    running = world.table.get(job.id)
    assert running is not None
    assert batch.logs(job.id + "-1", running.attempts[0].arn) == ("/aws/batch/job", "python/default/run-0")
    assert glue.logs("x-1", "boxcar-python/jr_1") == ("/aws-glue/python-jobs/output", "jr_1")


@pytest.mark.parametrize(
    ("detail", "status", "begins"),
    [
        ({"statusReason": "Host EC2 (instance i-0123) terminated."}, "Failed", "InternalServerError: Host EC2"),
        ({"statusReason": EXITED, "container": {"exitCode": 3}}, "Failed", "AlgorithmError: exit code 3. Essential"),
        (
            {"statusReason": EXITED, "container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed"}},
            "Failed",
            "AlgorithmError: exit code 137. Essential container in task exited: OutOfMemoryError",
        ),
        ({"statusReason": EXITED, "container": {"exitCode": 65}}, "Failed", "InputError: "),
        (
            {"statusReason": "Task failed to start", "container": {"reason": "CannotPullContainerError: not found"}},
            "Failed",
            "ClientError: Task failed to start: CannotPull",
        ),
        (
            {
                "statusReason": "Task failed to start",
                "container": {"reason": "CannotPullContainerError: toomanyrequests: Rate exceeded"},
            },
            "Failed",
            "InternalServerError: ",
        ),
        (
            {"statusReason": "CannotPullContainerError: ref pull has been retried: not found"},
            "Failed",
            "ClientError: CannotPull",
        ),
        (
            {"statusReason": "Job attempt duration exceeded timeout", "container": {"exitCode": 137}},
            "Failed",
            "MaxRuntimeExceeded: ",
        ),
        ({"statusReason": "Your Spot Task was interrupted."}, "Failed", "CapacityError: "),
        (
            {"statusReason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "isCancelled": True},
            "Failed",
            "CapacityError: ",
        ),
        ({"statusReason": "Boxcar: asked to stop", "container": {"exitCode": 143}}, "Stopped", "Boxcar: "),
        ({"statusReason": "by hand", "isTerminated": True, "container": {"exitCode": 143}}, "Stopped", "by hand"),
        ({"statusReason": "not needed", "isCancelled": True}, "Stopped", "not needed"),
        (
            {"statusReason": "ECS was unable to assume the role 'arn:aws:iam::1:role/x' that was provided"},
            "Failed",
            "AccessDenied: ",
        ),
        ({"statusReason": "something new"}, "Failed", "InternalServerError: something new"),
    ],
)
def test_why_a_batch_job_failed(detail, status, begins):
    seen = find("batch").observe({"jobName": "n", "jobArn": "a", "status": "FAILED", **detail})
    assert (seen.status, seen.partial) == (status, False)
    assert seen.reason.startswith(begins)


def test_a_batch_event_without_a_reason_is_asked_about(world):
    world.batch.plan = [{"status": "FAILED", "words": {"statusReason": "", "container": {}}}]
    seen = find("batch").observe({"jobName": "n", "jobArn": "a", "status": "FAILED"})
    assert seen.partial
    world.submit(batch_step())
    world.live()
    assert world.calls.count()["batch.describe_jobs"] == 1
    assert failure(world).attempts[0].reason == "InternalServerError: no reason was given"


@pytest.mark.parametrize(
    ("state", "message", "status", "begins"),
    [
        ("FAILED", "ValueError: no", "Failed", "AlgorithmError: ValueError: no"),
        ("FAILED", "InputError: no rows", "Failed", "AlgorithmError: InputError: no rows"),
        ("FAILED", "Command failed with exit code 1", "Failed", "AlgorithmError: "),
        ("FAILED", "Internal service error : the run was lost", "Failed", "InternalServerError: "),
        ("FAILED", "", "Failed", "InternalServerError: the run is FAILED"),
        ("ERROR", "lost", "Failed", "InternalServerError: lost"),
        ("FAILED", "Exceeded maximum concurrent compute capacity for your account", "Failed", "CapacityError: "),
        (
            "FAILED",
            "JobName:a failed with exception Role x should be given assume role permissions",
            "Failed",
            "Access",
        ),
        ("FAILED", "NoSuchKey: The specified key does not exist.", "Failed", "ClientError: "),
        ("TIMEOUT", "Job run timed out", "Failed", "MaxRuntimeExceeded: "),
        ("STOPPED", "Job run stopped", "Stopped", "Job run stopped"),
        ("SUCCEEDED", "Job run succeeded", "Completed", ""),
    ],
)
def test_why_a_glue_run_failed(state, message, status, begins):
    detail = {"jobName": "boxcar-python", "jobRunId": "jr_1", "state": state, "message": message}
    seen = find("glue").observe(detail)
    assert (seen.name, seen.arn, seen.status) == ("", "boxcar-python/jr_1", status)
    assert seen.reason.startswith(begins) and bool(seen.reason) == bool(begins)


@pytest.mark.parametrize(
    ("kind", "plan", "failure_class"),
    [
        ("batch", {"status": "FAILED", "words": {"container": {"exitCode": 65}}}, "InputError"),
        ("glue", {"status": "FAILED", "words": {"ErrorMessage": "InputError: no rows"}}, "InputError"),
        (
            "batch",
            {"status": "FAILED", "words": {"statusReason": "Job attempt duration exceeded timeout"}},
            "TimeLimitExceeded",
        ),
        ("glue", {"status": "TIMEOUT", "words": {"ErrorMessage": "Job run timed out"}}, "TimeLimitExceeded"),
        ("batch", {"status": "FAILED", "words": {"statusReason": "Task failed to start"}}, "ClientError"),
        ("glue", {"status": "FAILED", "words": {"ErrorMessage": "AccessDenied: no"}}, "AccessDenied"),
    ],
)
def test_what_is_not_worth_another_attempt(world, kind, plan, failure_class):
    world.service(kind).plan = [plan]
    world.submit(some_step(kind, max_attempts=5))
    world.live()
    assert (failure(world).failure, len(world.service(kind).runs)) == (failure_class, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_goes_is_not_the_jobs_fault(world, kind):
    words = {"statusReason": "Host EC2 (instance i-1) terminated.", "ErrorMessage": "Internal service error : x"}
    world.service(kind).plan = [{"status": "FAILED", "words": words}] * 2
    world.submit(some_step(kind, max_attempts=1))
    world.live()
    assert (failure(world).status, len(world.service(kind).runs)) == ("Completed", 3)


def test_the_sample_events():
    """As AWS's documentation shows them, filled with names of ours."""
    batch, glue = (
        find(kind).observe(json.loads((EVENTS / file).read_text())["detail"])
        for kind, file in (("batch", "batch-job-failed.json"), ("glue", "glue-run-failed.json"))
    )
    assert (batch.name, batch.status) == ("boxcar-ann-count-0c4f8a61b2-1", "Failed")
    assert (batch.started, batch.ended) == (1767589360.0, 1767589399.0)
    assert (glue.status, glue.reason) == ("Failed", "AlgorithmError: ValueError: the rows are odd")
