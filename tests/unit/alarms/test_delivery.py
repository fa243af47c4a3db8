"""Each alarm once: doubled, out of order, killed in between, refused by SNS."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from boxcar.alarms.delivery import LEASE_S, StillBeingSentError, deliver
from boxcar.mails import Mail, publish
from tests.unit.alarms.conftest import Killed
from tests.unit.tables import make_table

TABLE = "boxcar-jobs"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:boxcar-notifications"
ALARM = Mail("run:r-1", ("science",), "[Boxcar alarm] x", "text", {"kind": "alarm", "severity": "error"})
REPORT = Mail("report:r-1", ("business", "science"), "[Boxcar report] x", "text", {"kind": "report"})


class Outbox:
    """SNS that remembers, and fails when told to."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.failing: list[Exception | None] = []

    def publish(self, **message: Any) -> None:
        failure = self.failing.pop(0) if self.failing else None
        if failure:
            raise failure
        self.sent.append(message)

    @property
    def audiences(self) -> list[list[str]]:
        return [json.loads(message["MessageAttributes"]["audience"]["StringValue"]) for message in self.sent]


class Sender:
    def __init__(self, dynamodb: Any) -> None:
        self.dynamodb, self.outbox, self.now = dynamodb, Outbox(), 1000.0
        self.others: dict[str, Any] = {}

    def __call__(self, mail: Mail = ALARM, dynamodb: Any = None) -> str:
        return deliver(
            mail,
            dynamodb=dynamodb or self.dynamodb,
            table=TABLE,
            channels={"mail": lambda mail: publish(self.outbox, TOPIC, mail), **self.others},
            clock=lambda: self.now,
        )


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        dynamodb = boto3.client("dynamodb", "eu-west-1")
        make_table(dynamodb, "JobsTable", TABLE)
        yield Sender(dynamodb)


def test_a_mail_is_sent_once_however_often_it_is_told(send):
    assert send() == "sent"
    assert send() == "known"
    send.now += 10 * LEASE_S
    assert send() == "known"
    assert send.outbox.audiences == [["science"]]
    message = send.outbox.sent[0]
    assert message["Subject"] == "[Boxcar alarm] x"
    assert message["MessageAttributes"]["severity"] == {"DataType": "String", "StringValue": "error"}


def test_two_audiences_are_one_message_so_that_a_reader_of_both_gets_one(send):
    send(REPORT)
    assert send.outbox.audiences == [["business", "science"]]
    assert send.outbox.sent[0]["MessageAttributes"]["audience"]["DataType"] == "String.Array"


def test_what_sns_refuses_is_sent_when_the_message_comes_back(send):
    send.outbox.failing = [ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "Publish")]
    with pytest.raises(ClientError):
        send()
    send.now += LEASE_S
    assert send() == "sent"
    assert send.outbox.audiences == [["science"]]


def test_two_functions_with_the_same_alarm_send_it_once(send):
    with pytest.raises(SystemExit):
        send(dynamodb=Killed(send.dynamodb, at=2))  # published, and then it takes its time
    with pytest.raises(StillBeingSentError):
        send()
    assert send.outbox.audiences == [["science"]]


@pytest.mark.parametrize("at", [1, 2])
def test_killed_at_any_write_repeats_rather_than_loses(send, at):
    with pytest.raises(SystemExit):
        send(dynamodb=Killed(send.dynamodb, at))
    send.now += LEASE_S
    send()
    assert send.outbox.audiences == {1: [["science"]], 2: [["science"], ["science"]]}[at]
    assert send() == "known"


def test_the_item_says_when_it_may_be_forgotten(send):
    send()
    item = send.dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "alarm#run:r-1"}})["Item"]
    assert int(item["expires"]["N"]) > 1000 + 30 * 86400
    assert item["sent"] == {"N": "1000"}
