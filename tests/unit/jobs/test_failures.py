"""What goes wrong, how often it is tried again, and what the one who waits is told."""

from dataclasses import replace
from typing import Any

import pytest

from boxcar.jobs.failures import Failure, Refusal, backoff, ending, refusal
from tests.unit.jobs.conftest import World, make_step
from tests.unit.jobs.fakes import Ending, FakeJob, client_error

HOUR = 3600.0


@pytest.mark.parametrize(
    ("given", "attempts", "error"),
    [
        (Ending("Failed", "AlgorithmError: ExecuteUserScriptError: x"), 3, "AlgorithmError"),
        (Ending("Failed", "AlgorithmError: AccessDenied in my own traceback"), 3, "AlgorithmError"),
        (Ending("Failed", "AlgorithmError: See job logs", message="InputError: labels are all 0"), 1, "InputError"),
        (Ending("Failed", "AlgorithmError: InputError: labels are all 0"), 1, "InputError"),
        (Ending("Failed", "ClientError: Data download failed: NoSuchKey"), 1, "ClientError"),
        (Ending("Failed", "ClientError: Data download failed: AccessDenied (403)"), 1, "AccessDenied"),
        (Ending("Failed", "InternalServerError: try again"), 6, "Quarantined"),
        (Ending("Stopped"), 1, "Stopped"),
        (Ending("Stopped", secondary="MaxRuntimeExceeded"), 1, "TimeLimitExceeded"),
        (Ending("Stopped", seconds=3600), 1, "TimeLimitExceeded"),
    ],
)
def test_how_a_failed_job_ends(world: World, given: Ending, attempts: int, error: str) -> None:
    world.sagemaker.endings["train"] = [given]
    job = world.submit(make_step("train", max_attempts=3, max_runtime_s=3600))
    world.run(hours=30, seconds=60)
    answer = world.answer()
    assert answer["error"] == error
    assert list(world.sagemaker.jobs) == [f"{job.id}-{number}" for number in range(1, attempts + 1)]
    for word in ("train", "mailer", job.id, (given.message or given.reason)):
        assert word in answer["cause"]
    done = world.table.get(job.id)
    assert (
        done is not None
        and done.failure == error
        and done.attempts[-1].failure == error.replace("Quarantined", "InternalServerError")
    )
    assert done.status == ("Stopped" if error == "Stopped" else "Failed") and world.held() == {}


def test_an_algorithm_error_that_passes(world: World) -> None:
    world.sagemaker.endings["train"] = [Ending("Failed", "AlgorithmError: once"), Ending()]
    job = world.submit(make_step("train", max_attempts=2))
    world.run()
    assert world.answer()["output"]["attempts"] == 2
    outputs = world.answer()["output"]["outputs"]
    assert outputs["model"] == f"s3://data/runs/run-1/mailer/train/2/{job.id}-2/output/model.tar.gz"


def test_no_capacity_moves_on_to_the_next_instance_type(world: World) -> None:
    world.sagemaker.endings["train"] = [Ending("Failed", "CapacityError: none in this zone"), Ending()]
    world.submit(make_step("train", resources={"instance_types": ["ml.p3.2xlarge", "ml.g5.xlarge"]}, max_attempts=1))
    world.run()
    types = [job.request["ResourceConfig"]["InstanceType"] for job in world.sagemaker.jobs.values()]
    assert types == ["ml.p3.2xlarge", "ml.g5.xlarge"] and world.answer()["output"]["attempts"] == 2


def test_no_capacity_is_bounded_by_age_not_attempts(world: World) -> None:
    world.sagemaker.endings["train"] = [Ending("Failed", "CapacityError: none", seconds=5)]
    world.submit(make_step("train", max_attempts=1, max_wait_s=2 * 3600))
    start = world.clock()
    world.run(hours=10, seconds=30)
    assert world.answer()["error"] == "CapacityTimeout" and "7200 s" in world.answer()["cause"]
    assert len(world.sagemaker.jobs) > 5
    assert 2 * HOUR <= world.clock() - start < 2.4 * HOUR


def test_a_quota_waits_then_succeeds_without_using_up_attempts(world: World) -> None:
    world.sagemaker.faults["create_training_job"] = [client_error("ResourceLimitExceeded")] * 3
    job = world.submit(make_step("train", max_attempts=1))
    world.run()
    assert world.answer()["output"]["attempts"] == 1 and list(world.sagemaker.jobs) == [f"{job.id}-1"]


def test_a_quota_falls_back_at_once(world: World) -> None:
    world.sagemaker.limits["ml.p3.2xlarge"] = 0
    world.submit(make_step("train", resources={"instance_types": ["ml.p3.2xlarge", "ml.g5.xlarge"]}))
    world.launch()
    (job,) = world.sagemaker.jobs.values()
    assert job.request["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert world.held() == {"training/ml.g5.xlarge": 1}


def test_a_quota_of_none_ends_in_capacity_timeout(world: World) -> None:
    world.sagemaker.limits["ml.m5.large"] = 0
    world.submit(make_step("train", max_wait_s=3600))
    world.run(hours=3, seconds=60)
    assert world.answer()["error"] == "CapacityTimeout" and "ml.m5.large" in world.answer()["cause"]
    assert "higher quota" in world.answer()["cause"] and world.sagemaker.jobs == {}
    assert world.calls.count()["sagemaker.create_training_job"] < 20, "it must not knock at every tick"


def test_an_untouched_max_wait_of_zero_still_tries_once(world: World) -> None:
    world.submit(make_step("train", max_wait_s=0))
    world.run()
    assert "output" in world.answer()


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (
            client_error("AccessDeniedException", "not authorized to perform: sagemaker:CreateTrainingJob"),
            "AccessDenied",
        ),
        (client_error("ValidationException", "hyperParameters is too long"), "ClientError"),
        (client_error("ResourceNotFound", "no such image"), "ClientError"),
    ],
)
def test_what_aws_will_never_create_fails_at_once(world: World, error: Exception, name: str) -> None:
    world.sagemaker.faults["create_training_job"] = [error]
    world.submit(make_step("train", max_attempts=5))
    world.launch()
    assert world.answer()["error"] == name and str(error) in world.answer()["cause"]
    assert world.held() == {} and world.open_items() == []


@pytest.mark.parametrize(
    "error", [client_error("ThrottlingException"), client_error("InternalFailure", status=500), ConnectionError()]
)
def test_what_passes_is_tried_again_under_the_same_name(world: World, error: Exception) -> None:
    world.sagemaker.faults["create_training_job"] = [error] * 4
    job = world.submit(make_step("train", max_attempts=1))
    world.run()
    assert world.answer()["output"]["attempts"] == 1 and list(world.sagemaker.jobs) == [f"{job.id}-1"]


def test_an_answer_lost_on_the_way_is_not_a_second_job(world: World) -> None:
    create = world.sagemaker.create_training_job

    def created_but_unheard(**request: object) -> None:
        create(**request)
        world.sagemaker.create_training_job = create  # type: ignore[method-assign]
        raise client_error("InternalFailure", status=500)

    world.sagemaker.create_training_job = created_but_unheard  # type: ignore[method-assign, assignment]
    job = world.submit(make_step("train"))
    world.run()
    assert list(world.sagemaker.jobs) == [f"{job.id}-1"] and world.answer()["output"]["attempts"] == 1


def test_a_name_taken_by_something_older_is_left_alone(world: World) -> None:
    world.submit(make_step("train"))
    world.run()
    old = dict(world.sagemaker.jobs)
    world.dynamodb.tables["jobs"].clear()  # its record expired
    world.clock.time += 100 * 86400
    job = world.submit(make_step("train"), token="new")
    world.run()
    assert list(world.sagemaker.jobs) == [*old, f"{job.id}-2"] and "output" in world.answer("new")


def test_throttling_stops_the_pass_for_that_service_only(world: World) -> None:
    world.sagemaker.faults["create_training_job"] = [client_error("ThrottlingException")]
    for number in range(3):
        world.submit_own(f"job-{number}", make_step("train"))
    world.submit_own("sql", make_step("unload", "statement"))
    launcher = world.launch()
    assert world.calls.count()["sagemaker.create_training_job"] == 1 and len(world.redshift.jobs) == 1
    ((at, work),) = launcher.later
    assert 0 < at - world.clock() <= 10 and work == {"everything": True}


def test_a_statement_without_rows(world: World) -> None:
    world.redshift.endings["unload"] = [Ending(rows=0)]
    world.submit(make_step("unload", "statement"))
    world.run()
    assert world.answer()["error"] == "NoRows" and "options.minimum_rows" in world.answer()["cause"]


@pytest.mark.parametrize("cluster", ["", "retail"])
def test_a_statement_goes_to_the_cluster_when_there_is_no_workgroup(world: World, cluster: str) -> None:
    world.settings = replace(world.settings, redshift_workgroup="", redshift_cluster=cluster, redshift_user="boxcar")
    world.submit(make_step("unload", "statement"))
    world.run()
    if not cluster:
        assert (
            world.answer()["error"] == "ClientError"
            and "RedshiftWorkgroup or RedshiftCluster" in world.answer()["cause"]
        )
        return
    (statement,) = world.redshift.jobs.values()
    assert "WorkgroupName" not in statement.request
    assert (statement.request["ClusterIdentifier"], statement.request["DbUser"]) == ("retail", "boxcar")


def test_an_unload_that_redshift_did_not_count_has_rows_if_it_has_files(world: World) -> None:
    """The Data API says 0 rows of statements whose rows it does not count."""
    world.redshift.endings["unload"] = [Ending(rows=0)]
    world.submit(make_step("unload", "statement"))
    world.launch()
    world.s3.put_object(Bucket="data", Key="runs/run-1/mailer/unload/1/data/0000_part_00.parquet", Body=b"PAR1")
    world.run()
    assert world.answer()["output"]["outputs"] == {"data": "s3://data/runs/run-1/mailer/unload/1/data/"}


def test_an_exit_message_that_the_event_leaves_out_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else unusable data would be taken for an error of the script, and tried again."""
    ending = Ending("Failed", "AlgorithmError: See job logs for more information", message="InputError: no label 1")
    world.sagemaker.endings["prepare"] = [ending]
    whole = world.sagemaker.event

    def event(job: FakeJob, at: float) -> dict[str, Any]:
        told = whole(job, at)
        return told | {"detail": {name: value for name, value in told["detail"].items() if name != "ExitMessage"}}

    monkeypatch.setattr(world.sagemaker, "event", event)
    world.submit(make_step("prepare", "processing", max_attempts=3))
    world.run()
    assert world.answer()["error"] == "InputError" and "no label 1" in world.answer()["cause"]
    assert len(world.sagemaker.jobs) == 1


@pytest.mark.parametrize(
    ("reason", "error", "attempts"),
    [
        ('ERROR: relation "products" does not exist', "ClientError", 1),
        ("ERROR: permission denied for relation products", "AccessDenied", 1),
        ("ERROR: 1023 Serializable isolation violation on table", "Quarantined", 6),
    ],
)
def test_why_a_statement_failed_is_asked_for(world: World, reason: str, error: str, attempts: int) -> None:
    world.redshift.endings["unload"] = [Ending("Failed", reason)]
    world.submit(make_step("unload", "statement"))
    world.run(hours=24)
    assert world.answer()["error"] == error and reason in world.answer()["cause"]
    assert len(world.redshift.jobs) == attempts


@pytest.mark.parametrize("kind", ["transform", "statement"])
def test_boxcar_stops_what_aws_would_let_run(world: World, kind: str) -> None:
    service = world.redshift if kind == "statement" else world.sagemaker
    service.endings["work"] = [Ending(seconds=9 * HOUR)]
    world.submit(make_step("work", kind, max_runtime_s=1800))
    start = world.clock()
    world.run(hours=12, seconds=60)
    assert world.answer()["error"] == "TimeLimitExceeded" and "max_runtime_s = 1800" in world.answer()["cause"]
    assert len(service.stops) == 1 and world.clock() - start < 2100


@pytest.mark.parametrize(("runs_s", "told"), [(2400.0, "output"), (9 * HOUR, "error")])
def test_a_statement_that_redshift_does_not_show_is_not_started_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, runs_s: float, told: str
) -> None:
    """AWS documents who sees a statement for its own role alone: the monitor has another than the launcher."""
    world.redshift.endings["unload"] = [Ending(seconds=runs_s)]

    def hidden(**request: Any) -> dict[str, Any]:
        raise world.redshift.exceptions.ResourceNotFoundException(
            {"Error": {"Code": "ResourceNotFoundException"}}, "DescribeStatement"
        )

    monkeypatch.setattr(world.redshift, "describe_statement", hidden)
    world.submit(make_step("unload", "statement", max_runtime_s=3600))
    world.run(hours=5, seconds=60)
    assert len(world.redshift.jobs) == 1 and told in world.answer()
    if told == "error":
        assert world.answer()["error"] == "TimeLimitExceeded" and "does not show it" in world.answer()["cause"]


def test_full_jitter_under_a_ceiling_that_doubles() -> None:
    ceilings = [backoff(10, failures, lambda low, high: high) for failures in range(9)]
    assert ceilings == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert backoff(10, 3, lambda low, high: low) == 1.0


def test_classes_of_refusals() -> None:
    assert refusal(client_error("ResourceLimitExceeded"))[0] is Refusal.LIMIT
    assert refusal(client_error("ActiveStatementsExceededException"))[0] is Refusal.LIMIT
    assert refusal(TimeoutError())[0] is Refusal.UNCERTAIN
    assert ending("Failed", "") is Failure.SERVICE


def test_time_spent_running_is_not_time_spent_waiting(world: World) -> None:
    world.sagemaker.endings["train"] = [Ending("Failed", "AlgorithmError: late", seconds=3000), Ending()]
    world.sagemaker.faults["create_training_job"] = [None, client_error("ResourceLimitExceeded")]
    world.submit(make_step("train", max_wait_s=600, max_attempts=2))
    world.run()
    assert world.answer()["output"]["attempts"] == 2
