"""The four handlers, one after the other, as the state machine calls them."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from boxcar.aws import client
from boxcar.errors import AccessDenied, EvaluationError, StepError
from boxcar.settings import settings
from tests.unit.judging.conftest import BUCKET, JOBS, MODEL, MODELS, Stack

ROOT = Path(__file__).parents[3]
Handler = Callable[[dict[str, Any]], dict[str, Any]]


def load(function: str) -> Handler:
    spec = importlib.util.spec_from_file_location(f"app_{function}", ROOT / "functions" / function / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda event: module.handler(event, None)


@pytest.fixture
def functions(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Handler]]:
    """Handlers in an environment as template.yaml makes it."""
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    inbox_arn = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="boxcar-notifications")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox_arn)
    for name, value in {
        "STACK": "boxcar",
        "BUCKET": BUCKET,
        "JOBS_TABLE": JOBS,
        "MODELS_TABLE": MODELS,
        "ALARM_QUEUE_URL": sqs.create_queue(QueueName="alarms")["QueueUrl"],
        "TOPIC_ARN": topic,
        "IMAGES": json.dumps({"xgboost": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/xgboost:3.0-5"}),
        "CONSOLE_URL": "https://console.test",
    }.items():
        monkeypatch.setenv(f"BOXCAR_{name}", value)
    settings.cache_clear()
    client.cache_clear()
    yield {name: load(name) for name in ("compare_versions", "register_version", "report_run", "send_alarms")}
    settings.cache_clear()
    client.cache_clear()


def records(*bodies: Any) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{n}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"SentTimestamp": "1767582000000"},
            }
            for n, body in enumerate(bodies)
        ]
    }


def received(queue: str) -> list[dict[str, Any]]:
    sqs = boxcar_sqs()
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def boxcar_sqs() -> Any:
    return boto3.client("sqs")


def test_from_compare_to_mail(stack, functions):
    stack.trained("run-1")
    event = {"run": "run-1", "model": MODEL}
    verdict = functions["compare_versions"](event)
    assert verdict == {
        "model": MODEL,
        "outcome": "approve",
        "version": "1.0.0",
        "reasons": ["first version, nothing to compare with; roc_auc is 0.9000; the gate sets no floor"],
        "metric": "roc_auc",
        "score": 0.9,
        "score_before": None,
        "label_shift": None,
        "row_change": None,
        "review_hours": 72,
    }
    registered = functions["register_version"](event)
    assert registered["status"] == "Approved" and registered["version"] == "1.0.0"
    assert functions["register_version"](event) == registered
    results = [[{"model": MODEL, "status": "approved", "version": "1.0.0"}]]
    report = functions["report_run"]({"run": "run-1", "results": results})
    assert report == {"run": "run-1", "status": "succeeded", "report": f"s3://{BUCKET}/reports/run-1/index.html"}
    page = stack.world["s3"].get_object(Bucket=BUCKET, Key="reports/run-1/index.html")
    assert page["ContentType"].startswith("text/html") and b"<!doctype html>" in page["Body"].read()
    document = json.loads(stack.world["s3"].get_object(Bucket=BUCKET, Key="reports/run-1/report.json")["Body"].read())
    assert document["models"][0]["history"][0]["version"] == "1.0.0"
    assert [step["status"] for step in document["steps"] if step["step"] == "train"] == ["Completed"]
    (message,) = received("alarms")
    assert functions["send_alarms"](records(message)) == {"batchItemFailures": []}
    assert received("inbox") == [], "nothing in it asks for anybody: it waits for the digest"
    assert functions["send_alarms"](records({"kind": "routine_due"})) == {"batchItemFailures": []}
    mails = received("inbox")
    assert [json.loads(mail["MessageAttributes"]["audience"]["Value"]) for mail in mails] == [["business", "science"]]
    assert mails[0]["Subject"] == "[Boxcar digest] 1 report without anything to decide"
    assert "packaging: 1 approved (run-1)" in mails[0]["Message"]
    assert "mailer" in mails[0]["Message"] and "0.9000" in mails[0]["Message"]


def test_a_run_that_failed_before_its_plan_is_reported(stack, functions):
    failure = {
        "error": "TriggerError",
        "cause": json.dumps({"errorMessage": "x.json: is not JSON", "errorType": "TriggerError"}),
    }
    report = functions["report_run"]({"run": "run-9", "results": [], "error": failure})
    assert report["status"] == "failed"
    page = stack.world["s3"].get_object(Bucket=BUCKET, Key="reports/run-9/index.html")["Body"].read().decode()
    assert "x.json: is not JSON" in page and "errorMessage" not in page


def test_a_bad_message_does_not_hold_up_the_others(functions):
    good = {"kind": "run_failed", "machine": "training", "run": "r", "error": "NoRows", "cause": "0 rows"}
    answer = functions["send_alarms"](records("not json", good, {"kind": "surprise"}, good))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}
    (mail,) = received("inbox")
    assert mail["Subject"] == "[Boxcar alarm] training run r failed: NoRows"
    assert "2026-01-05T03:00:00+00:00" in mail["Message"]


def test_compare_without_figures_names_what_is_missing(stack, functions):
    stack.trained("run-1")
    key = f"runs/run-1/{MODEL}/evaluate/1/evaluation/evaluation.json"
    stack.world["s3"].delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(EvaluationError, match=rf"s3://{BUCKET}/{key}: does not exist"):
        functions["compare_versions"]({"run": "run-1", "model": MODEL})


def test_register_before_compare_is_refused(stack, functions):
    stack.trained("run-1")
    with pytest.raises(EvaluationError, match="has no verdict"):
        functions["register_version"]({"run": "run-1", "model": MODEL})


def test_an_image_that_the_stack_does_not_know_is_named(stack, functions, monkeypatch):
    stack.trained("run-1")
    functions["compare_versions"]({"run": "run-1", "model": MODEL})
    monkeypatch.setenv("BOXCAR_IMAGES", '{"sklearn": "x"}')
    settings.cache_clear()
    with pytest.raises(StepError, match="'xgboost' is not in BOXCAR_IMAGES; write one of sklearn"):
        functions["register_version"]({"run": "run-1", "model": MODEL})


def test_a_missing_permission_is_called_by_its_name(stack, functions):
    stack.trained("run-1")
    s3 = client("s3")
    from botocore.exceptions import ClientError

    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "s3:GetObject"}}, "GetObject")

    s3.get_object = denied
    with pytest.raises(AccessDenied, match="s3:GetObject"):
        functions["compare_versions"]({"run": "run-1", "model": MODEL})


@pytest.mark.parametrize(
    ("function", "unwanted"),
    [
        ("send_alarms", ["pydantic", "jinja2", "pygal", "sqlglot"]),
        ("compare_versions", ["jinja2", "pygal", "sqlglot"]),
        ("register_version", ["jinja2", "pygal", "sqlglot"]),
        ("report_run", ["sqlglot"]),
    ],
)
def test_a_function_loads_only_what_it_uses(function, unwanted):
    code = f"import runpy, sys; runpy.run_path('functions/{function}/app.py'); print([m for m in {[*unwanted, 'boto3']} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
