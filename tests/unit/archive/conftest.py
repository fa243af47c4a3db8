"""Expired jobs as DynamoDB's stream tells of them, and a bucket and a queue that fail when told to."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boxcar.archive import Archive
from boxcar.attributes import encode

DAY = "2026-01-31"
CREATED = datetime(2026, 1, 31, 22, 30, 0, 250_000, tzinfo=UTC).timestamp()


def item(job: str = "one", **attributes: Any) -> dict[str, Any]:
    """A job's item with values as they are; None leaves an attribute out."""
    values = {
        "pk": f"job#{job}",
        "job": job,
        "run": f"ann-{job}",
        "step": "train",
        "kind": "training",
        "owner": "ann",
        "sweep": "depths",
        "tags": {"team": "größe", "week": "5"},
        "status": "Failed",
        "failure": "AlgorithmError",
        "reason": "the loss is not a number\nno, it is not",
        "priority": 50,
        "instance_type": "ml.m5.large",
        "units": 2,
        "created_at": CREATED,
        "created": "2026-01-31T22:30:00.250Z",
        "day": DAY,
        "started": CREATED + 60,
        "ended": CREATED + 3660.5,
        "seconds": 3600.5,
        "billable_seconds": 7201.0,
        "attempt": 2,
        "attempts": [{"number": 1, "name": "one-1"}, {"number": 2, "name": "one-2", "ended": CREATED + 3660.5}],
        "outputs": {},
        "document": '{"kind": "training"}',
        "version": 7,
        "expires": int(CREATED) + 90 * 86400,
        **attributes,
    }
    return {name: encode(value) for name, value in values.items() if value is not None}


def record(sequence: str, image: dict[str, Any] | None) -> dict[str, Any]:
    """A stream record of an item that expired."""
    change: dict[str, Any] = {"SequenceNumber": sequence, "ApproximateCreationDateTime": 1_777_000_000}
    if image is not None:
        change |= {"OldImage": image, "Keys": {"pk": image["pk"]}}
    return {"eventName": "REMOVE", "dynamodb": change}


class Bucket:
    """S3 with one bucket; what matches `broken` cannot be written."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken = ""
        self.puts = 0

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        self.puts += 1
        if self.broken and re.search(self.broken, Key):
            raise ClientError(
                {"Error": {"Code": "SlowDown", "Message": "Please reduce your request rate"}}, "PutObject"
            )
        self.objects[Key] = Body

    def files(self, day: str = "") -> list[str]:
        return sorted(key for key in self.objects if key.startswith(f"history/jobs/day={day}"))

    def download_file(self, bucket: str, key: str, file: str) -> None:
        Path(file).write_bytes(self.objects[key])

    def get_paginator(self, action: str) -> Any:
        bucket = self

        class Pages:
            def paginate(self, Bucket: str, Prefix: str, StartAfter: str) -> Any:  # noqa: N803
                found = sorted(key for key in bucket.objects if key.startswith(Prefix) and key > StartAfter)
                for start in range(0, len(found) or 1, 2):
                    yield {"Contents": [{"Key": key} for key in found[start : start + 2]]} if found else {}

        return Pages()


class Queue:
    """SQS with one queue."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.is_broken = False

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        if self.is_broken:
            raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "later"}}, "SendMessage")
        self.letters.append(MessageBody)


class Session:
    """What `cli.session.Session` gives to whoever reads history."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.outputs = {"BucketName": "data"}

    def client(self, service: str) -> Any:
        return self._bucket


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def archive(bucket: Bucket, queue: Queue) -> Archive:
    return Archive(bucket, queue, "data", "https://sqs/dead")


@pytest.fixture
def session(bucket: Bucket) -> Session:
    return Session(bucket)
