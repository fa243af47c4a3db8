"""The function as Lambda calls it, on moto's DynamoDB and SQS."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from boxcar import aws, settings
from tests.unit.jobs_api.conftest import ANN, Api, request

APP = Path(__file__).parents[3] / "functions/serve_jobs/app.py"


class Context:
    aws_request_id = "request-1"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("functions_serve_jobs", APP)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def event(method: str, resource: str, body: Any = None, **path: str) -> dict[str, Any]:
    return {
        "resource": resource, "path": resource, "httpMethod": method, "pathParameters": path or None,
        "multiValueQueryStringParameters": None, "body": json.dumps(body) if body is not None else None,
        "requestContext": {"stage": "v1", "identity": {"userArn": ANN}}, "isBase64Encoded": False,
    }  # fmt: skip


@pytest.fixture
def queues(moto_api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    sqs = boto3.client("sqs")
    urls = {
        "LAUNCH_QUEUE_URL": sqs.create_queue(QueueName="launch.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"],
        "EVENTS_QUEUE_URL": sqs.create_queue(QueueName="events")["QueueUrl"],
    }
    names = {"STACK": "boxcar", "JOBS_TABLE": "jobs", "MODELS_TABLE": "models", "IMAGES": '{"xgboost": "image"}'}
    for name, value in (names | urls).items():
        monkeypatch.setenv(f"BOXCAR_{name}", value)
    for cached in (settings.settings, aws.client, aws.prompt_client):
        cached.cache_clear()
    yield urls
    for cached in (settings.settings, aws.client, aws.prompt_client):
        cached.cache_clear()


def messages(url: str) -> list[dict[str, Any]]:
    found = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def test_a_submission_wakes_the_launcher_and_a_stop_tells_the_monitor(queues: dict[str, str]) -> None:
    handler = load().handler
    stored = handler(event("POST", "/jobs", request("depth-6")), Context())
    job = json.loads(stored["body"])["job"]
    assert stored["statusCode"] == 201
    (wake,) = messages(queues["LAUNCH_QUEUE_URL"])
    assert wake == {"wake": "submitted", "pools": {"training/ml.m5.large": 1}, "new": {"training/ml.m5.large": [job]}}
    assert handler(event("DELETE", "/jobs/{id}", id=job), Context())["statusCode"] == 202
    assert messages(queues["EVENTS_QUEUE_URL"]) == [{"stop": job}]
    listed = json.loads(handler(event("GET", "/jobs"), Context())["body"])
    assert [(found["job"], found["status"]) for found in listed["jobs"]] == [(job, "Stopped")]


def test_a_queue_that_is_gone_is_told_and_a_repeat_wakes(
    queues: dict[str, str], monkeypatch: pytest.MonkeyPatch, moto_api: Api
) -> None:
    handler = load().handler
    monkeypatch.setenv("BOXCAR_LAUNCH_QUEUE_URL", queues["LAUNCH_QUEUE_URL"].replace("launch", "gone"))
    settings.settings.cache_clear()
    failed = handler(event("POST", "/jobs", request("depth-6")), Context())
    assert failed["statusCode"] == 500
    assert "request-1" in failed["body"]
    assert len(moto_api.jobs()) == 1
    monkeypatch.setenv("BOXCAR_LAUNCH_QUEUE_URL", queues["LAUNCH_QUEUE_URL"])
    settings.settings.cache_clear()
    assert handler(event("POST", "/jobs", request("depth-6")), Context())["statusCode"] == 200
    assert len(messages(queues["LAUNCH_QUEUE_URL"])) == 1


def test_whoever_waits_for_an_answer_is_not_kept_for_a_minute(queues: dict[str, str]) -> None:
    retries = aws.prompt_client("dynamodb").meta.config.retries
    assert (retries["mode"], retries["total_max_attempts"]) == ("standard", 3)
