"""The three functions as Lambda calls them, on moto's S3, DynamoDB and SQS."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from boxcar import aws as boxcar_aws
from boxcar import settings as boxcar_settings
from boxcar.errors import AccessDenied, StepError
from tests.unit.jobs.conftest import World, make_plan, make_step
from tests.unit.jobs.fakes import client_error

FUNCTIONS = Path(__file__).parents[3] / "functions"


class Context:
    function_name = function_version = invoked_function_arn = memory_limit_in_mb = aws_request_id = "x"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Functions:
    def __init__(self, world: World) -> None:
        self.world = world
        self.sqs = boto3.client("sqs")

    def call(self, name: str, event: dict[str, Any]) -> Any:
        return load(name).handler(event, Context())

    def messages(self, queue: str) -> list[dict[str, Any]]:
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found = []
        while batch := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in batch:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"functions_{name}", FUNCTIONS / name / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def functions(moto_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    functions = Functions(moto_world)
    launch = functions.sqs.create_queue(QueueName="launch.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    events = functions.sqs.create_queue(QueueName="events")["QueueUrl"]
    for name, value in {
        "STACK": "boxcar", "BUCKET": "data", "JOBS_TABLE": "jobs", "MODELS_TABLE": "models", "LAUNCH_QUEUE_URL": launch,
        "EVENTS_QUEUE_URL": events, "IMAGES": json.dumps({"xgboost": "image"}), "REDSHIFT_WORKGROUP": "w",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"BOXCAR_{name}", value)
    boxcar_settings.settings.cache_clear()
    boxcar_aws.client.cache_clear()
    real = boxcar_aws.client
    fakes = {
        "sagemaker": moto_world.sagemaker,
        "redshift-data": moto_world.redshift,
        "stepfunctions": moto_world.states,
    }

    def client(service: str, attempts: int = 8) -> Any:
        return fakes.get(service) or real(service, attempts)

    monkeypatch.setattr(boxcar_aws, "client", client)
    yield functions
    boxcar_settings.settings.cache_clear()
    real.cache_clear()


REQUEST = {"run": "run-1", "model": "mailer", "step": "train", "task_token": "token"}


def _store(functions: Functions) -> None:
    body = make_plan([make_step("train")]).model_dump_json().encode()
    functions.world.s3.put_object(Bucket="data", Key="runs/run-1/plan.json", Body=body)


def _records(*bodies: dict[str, Any] | str) -> dict[str, Any]:
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {"Records": [{"messageId": f"m{number}", "body": text} for number, text in enumerate(texts)]}


def aborted(redrives: int = 0) -> dict[str, Any]:
    """What EventBridge tells of a run that somebody stopped."""
    arn = "arn:aws:states:us-east-1:123456789012:execution:boxcar-training:run-1"
    detail = {"name": "run-1", "status": "ABORTED", "executionArn": arn, "redriveCount": redrives}
    return {"detail-type": "Step Functions Execution Status Change", "detail": detail}


def test_from_submission_to_answer(functions: Functions) -> None:
    _store(functions)
    answer = functions.call("submit_job", REQUEST)
    assert answer["status"] == "New"
    told = {"wake": "submitted", "pools": {"training/ml.m5.large": 1}, "new": {"training/ml.m5.large": [answer["job"]]}}
    assert functions.messages("launch.fifo") == [told]
    assert functions.call("launch_jobs", _records({"wake": "x"}))["launched"] == 1
    (job,) = functions.world.sagemaker.jobs.values()
    event = functions.world.sagemaker.event(job, job.ends)
    assert functions.call("monitor_jobs", _records(event)) == {"batchItemFailures": []}
    assert functions.world.answer()["output"]["job"] == answer["job"]
    assert functions.messages("launch.fifo") == [
        {"wake": "jobs ended", "pools": {"training/ml.m5.large": 1}, "jobs": []}
    ]


def test_a_full_pool_is_not_worth_a_wake(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXCAR_INSTANCE_LIMITS", json.dumps({"training/ml.m5.large": 1}))
    _store(functions)
    functions.call("submit_job", REQUEST)
    functions.call("launch_jobs", _records({"wake": "x"}))
    functions.messages("launch.fifo")
    functions.world.submit_own("other", make_step("train"))
    body = make_plan([make_step("train")], run="run-9").model_dump_json().encode()
    functions.world.s3.put_object(Bucket="data", Key="runs/run-9/plan.json", Body=body)
    functions.call("submit_job", REQUEST | {"run": "run-9"})
    assert functions.messages("launch.fifo") == [], "whoever frees the pool wakes the launcher"


def test_the_end_of_a_run_stops_its_jobs(functions: Functions) -> None:
    _store(functions)
    functions.call("submit_job", REQUEST)
    functions.call("launch_jobs", _records({"wake": "x"}))
    for _ in range(2):
        assert functions.call("monitor_jobs", _records(aborted())) == {"batchItemFailures": []}
    (job,) = functions.world.sagemaker.jobs.values()
    assert set(functions.world.sagemaker.stops) == {job.name}
    functions.call("monitor_jobs", _records(functions.world.sagemaker.event(job, job.ends)))
    (item,) = functions.world.items()
    assert (item["status"]["S"], item["failure"]["S"]) == ("Stopped", "Stopped")


@pytest.mark.parametrize(
    ("heard", "known", "stops"),
    [
        (0, {"status": "RUNNING", "redriveCount": 1}, False),  # the event comes after the redrive
        (1, {"status": "RUNNING", "redriveCount": 1}, True),  # what is known is a moment behind the event
        (0, {"status": "RUNNING"}, True),  # likewise, of a run that nobody redrove
        (0, {"status": "FAILED", "redriveCount": 1}, True),
    ],
)
def test_a_late_end_of_a_run_that_was_redriven_since_stops_none_of_its_jobs(
    functions: Functions, heard: int, known: dict[str, Any], stops: bool
) -> None:
    _store(functions)
    functions.call("submit_job", REQUEST)
    functions.call("launch_jobs", _records({"wake": "x"}))
    functions.world.states.execution = known
    assert functions.call("monitor_jobs", _records(aborted(heard))) == {"batchItemFailures": []}
    assert bool(functions.world.sagemaker.stops) == stops


def test_a_backoff_wakes_the_launcher_through_the_monitor(functions: Functions) -> None:
    _store(functions)
    functions.call("submit_job", REQUEST)
    functions.messages("launch.fifo")
    functions.world.sagemaker.faults["create_training_job"] = [client_error("ThrottlingException")]
    functions.call("launch_jobs", _records({"wake": "x"}))
    url = functions.sqs.get_queue_url(QueueName="events")["QueueUrl"]
    waiting = functions.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert waiting["ApproximateNumberOfMessagesDelayed"] == "1"
    functions.call("monitor_jobs", _records({"wake": "a backoff has ended", "once": "at-1"}))
    functions.call("monitor_jobs", _records({"wake": "a backoff has ended", "once": "at-1"}))
    assert len(functions.messages("launch.fifo")) == 1, "wakes for one moment are one"


def test_the_schedule_sweeps_and_now_and_then_has_every_line_looked_at(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_767_225_661.0)
    assert functions.call("monitor_jobs", _records({"sweep": True})) == {"batchItemFailures": []}
    assert functions.messages("launch.fifo") == []
    monkeypatch.setattr("time.time", lambda: 1_767_225_600.0)
    for _ in range(2):
        functions.call("monitor_jobs", _records({"sweep": True}))
    assert functions.messages("launch.fifo") == [{"wake": "schedule", "everything": True, "old": True}]


def test_one_bad_message_does_not_take_the_others_with_it(functions: Functions) -> None:
    _store(functions)
    functions.call("submit_job", REQUEST)
    functions.call("launch_jobs", _records({"wake": "x"}))
    (job,) = functions.world.sagemaker.jobs.values()
    good = functions.world.sagemaker.event(job, job.ends)
    bad = {"detail-type": "SageMaker Training Job State Change", "detail": {}}
    answer = functions.call("monitor_jobs", _records("not JSON", bad, good))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}
    assert "output" in functions.world.answer()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (REQUEST | {"run": "run-2"}, "runs/run-2/plan.json: is missing"),
        (REQUEST | {"step": "tran"}, "there is no 'tran'; it has train"),
        ({"run": "run-1"}, "step"),
        (REQUEST | {"tokn": "x"}, "tokn"),
    ],
)
def test_a_submission_that_cannot_be_read(functions: Functions, event: dict[str, Any], words: str) -> None:
    _store(functions)
    with pytest.raises(StepError, match=words):
        functions.call("submit_job", event)


def test_access_denied_has_its_own_name(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    _store(functions)
    functions.call("submit_job", REQUEST)
    functions.call("launch_jobs", _records({"wake": "x"}))
    (job,) = functions.world.sagemaker.jobs.values()
    functions.call("monitor_jobs", _records(functions.world.sagemaker.event(job, job.ends)))
    functions.world.states.faults["send_task_success"] = [
        client_error("AccessDeniedException", "states:SendTaskSuccess")
    ]
    with pytest.raises(AccessDenied, match="states:SendTaskSuccess"):
        functions.call("submit_job", REQUEST | {"task_token": "another"})
