"""The jobs table on moto, an SNS that remembers, and send_alarms and the sweep as they use them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.alarms import repeats, routine
from boxcar.alarms.delivery import deliver
from boxcar.alarms.repeats import Repeats
from boxcar.mails import Mail
from tests.unit.tables import make_table

TABLE = "boxcar-jobs"


class Path:
    """The alarm path, at a time of its own."""

    def __init__(self, dynamodb: Any) -> None:
        self.dynamodb, self.now, self.quiet_s = dynamodb, 1_000_000.0, 3600.0
        self.sent: list[Mail] = []
        self.others: dict[str, Any] = {}  # channels beside the mails
        self.refusals: list[BaseException] = []  # of the next publications
        self.queue: list[dict[str, Any]] = []  # what the sweep put on the alarm queue

    def deliver(self, mail: Mail, dynamodb: Any = None) -> str:
        client = dynamodb or self.dynamodb
        return deliver(
            mail,
            dynamodb=client,
            table=TABLE,
            channels={"mail": self._publish, **self.others},
            clock=lambda: self.now,
            repeats=Repeats(client, TABLE, self.quiet_s, lambda: self.now),
        )

    def _publish(self, mail: Mail) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(mail)

    def due(self) -> list[dict[str, Any]]:
        """What the sweep reads."""
        found = self.dynamodb.query(
            TableName=TABLE,
            IndexName="by_queue",
            KeyConditionExpression="queue = :due AND due <= :now",
            ExpressionAttributeValues={":due": {"S": "Due"}, ":now": {"S": repeats.iso(self.now)}},
        )
        return list(found["Items"])

    def sweep(self, send: Any = None, dynamodb: Any = None) -> None:
        for item in self.due():
            repeats.tell(dynamodb or self.dynamodb, TABLE, item, send or self.queue.append, self.now)

    def digest(self, dynamodb: Any = None) -> int:
        return routine.tell(dynamodb or self.dynamodb, TABLE, self.deliver, self.now)


class Killed:
    """DynamoDB of a function that is killed at its n-th write."""

    WRITES = ("update_item", "put_item", "delete_item", "transact_write_items")

    def __init__(self, client: Any, at: int) -> None:
        self._client, self._left, self.exceptions = client, at, client.exceptions

    def __getattr__(self, name: str) -> Any:
        if name not in self.WRITES:
            return getattr(self._client, name)

        def write(**request: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise SystemExit("killed")
            return getattr(self._client, name)(**request)

        return write


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        dynamodb = boto3.client("dynamodb", "eu-west-1")
        make_table(dynamodb, "JobsTable", TABLE)
        yield Path(dynamodb)
