"""The cloud's own small API: what it answers, and what it says to what it does not understand."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from local.client import CloudClient
from local.service import ApiError


def ask(cloud: CloudClient, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    request = urllib.request.Request(f"{cloud.endpoint}/_boxcar/{path}", data=body or None, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_it_says_what_runs(cloud: CloudClient) -> None:
    status, told = ask(cloud, "GET", "status")
    assert status == 200
    assert (told["endpoint"], told["account"]) == (cloud.endpoint, "000000000000")
    assert {"redshift-data", "sagemaker", "states"} <= set(told["services"])


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "words"),
    [
        ("GET", "nothing", b"", 404, "see local/control.py"),
        ("POST", "faults", b"{", 400, "the body is not JSON"),
        ("POST", "events", b'{"source": "aws.s3"}', 400, "the body lacks 'detail-type'"),
        ("POST", "schedules/gone/fire", b"", 404, "schedule 'gone' does not exist"),
    ],
)
def test_what_it_does_not_understand(
    cloud: CloudClient, method: str, path: str, body: bytes, code: int, words: str
) -> None:
    status, told = ask(cloud, method, path, body)
    assert status == code
    assert words in told["message"]


def test_a_published_message_is_a_mail(cloud: CloudClient) -> None:
    topics = cloud.client("sns")
    topic = topics.create_topic(Name="news")["TopicArn"]
    topics.subscribe(TopicArn=topic, Protocol="email", Endpoint="reader@example.com")
    topics.publish(TopicArn=topic, Subject="Ünder way", Message="1\n2")
    _, [mail] = ask(cloud, "GET", "mail?to=reader@example.com")
    assert (mail["subject"], mail["text"], mail["topic_arn"]) == ("Ünder way", "1\n2", topic)
    assert [kept.subject for kept in cloud.mails("reader@example.com")] == ["Ünder way"]


def test_an_event_of_a_service_can_be_put(cloud: CloudClient) -> None:
    rules, queues = cloud.client("events"), cloud.client("sqs")
    url = queues.create_queue(QueueName="heard")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:heard"
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    rules.put_rule(
        Name="hear", EventPattern=json.dumps({"source": ["aws.sagemaker"], "detail": {"x": [{"numeric": [">", 1]}]}})
    )
    rules.put_targets(Rule="hear", Targets=[{"Id": "queue", "Arn": arn, "InputPath": "$.detail"}])
    cloud.emit("aws.sagemaker", "SageMaker Training Job State Change", {"x": 1})
    cloud.emit("aws.sagemaker", "SageMaker Training Job State Change", {"x": 2})
    heard = queues.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"]) for message in heard] == [{"x": 2}]
    with pytest.raises(ApiError, match="lacks 'source'"):
        cloud._ask("POST", "events", {})
