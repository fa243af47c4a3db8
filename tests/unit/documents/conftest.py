"""Documents on moto: a bucket, the jobs table, a queue of alarms; and an endpoint that remembers and refuses on purpose."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.documents.collecting import Collecting
from boxcar.documents.endings import Endings
from boxcar.documents.record import Document, Documents
from boxcar.documents.sending import Endpoint, Sending
from boxcar.mails import Mail
from boxcar.settings import Settings
from tests.unit.tables import make_table

BUCKET = "data"
NUMBERS = itertools.count()
Clients = tuple[Any, Any, Any]  # S3, SQS, DynamoDB


class Runtime:
    """The endpoint's door."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.refusals: list[str] = []  # codes of the next answers

    def invoke_endpoint_async(self, **request: Any) -> dict[str, str]:
        if self.refusals:
            raise ClientError({"Error": {"Code": self.refusals.pop(0), "Message": "no"}}, "InvokeEndpointAsync")
        self.requests.append(request)
        number = f"s3://{BUCKET}/async/answers/{len(self.requests)}"
        return {"OutputLocation": f"{number}.out", "FailureLocation": f"{number}-error.out"}


class World:
    """One bucket and one endpoint, at a time of its own."""

    def __init__(self, aws: Clients) -> None:
        self.s3, self.sqs, dynamodb = aws
        self.queue = self.sqs.create_queue(QueueName=f"alarms-{next(NUMBERS)}")["QueueUrl"]
        for key in self.keys(""):
            self.s3.delete_object(Bucket=BUCKET, Key=key)
        make_table(dynamodb, "JobsTable", "jobs")
        self.now = 1_800_000_000.0
        self.runtime = Runtime()
        self.documents = Documents(dynamodb, "jobs", lambda: self.now)
        self.endings = Endings(self.s3, self.sqs, self.documents, BUCKET, self.queue)
        endpoint = Endpoint("live", BUCKET, most_bytes=1000)
        self.sending = Sending(self.s3, self.runtime, self.documents, self.endings, endpoint)

    def upload(self, name: str, body: bytes = b"A text.", kind: str = "text/plain") -> str:
        """Upload a document; its key."""
        key = f"async/input/{name}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=kind)
        return key

    def send(self, name: str, sequencer: str = "1", **more: Any) -> str:
        return self.sending.send(self.upload(name, **more), sequencer)

    def put(self, address: str, body: bytes) -> None:
        """What SageMaker would write."""
        self.s3.put_object(Bucket=BUCKET, Key=address.removeprefix(f"s3://{BUCKET}/"), Body=body)

    def notice(self, number: int, why: str | None = None, body: bytes = b'{"summary": "S."}') -> dict[str, Any]:
        """Answer the request of that number as SageMaker does; the notice."""
        request = self.runtime.requests[number - 1]
        place = f"s3://{BUCKET}/async/answers/{number}"
        told = {"inferenceId": request["InferenceId"], "requestParameters": {"inputLocation": request["InputLocation"]}}
        if why is not None:
            if body:
                self.put(f"{place}-error.out", body)
            return {**told, "invocationStatus": "Failed", "failureReason": why}
        self.put(f"{place}.out", body)
        return {**told, "invocationStatus": "Completed", "responseParameters": {"outputLocation": f"{place}.out"}}

    def collect(self, *notices: dict[str, Any]) -> list[str]:
        collecting = Collecting(self.documents, self.endings)
        outcomes = [collecting.take(notice) for notice in notices]
        collecting.flush()
        return outcomes

    def status(self, number: int = 1) -> str:
        found: Document | None = self.documents.find(self.runtime.requests[number - 1]["InferenceId"])
        assert found is not None
        return found.status

    def read(self, key: str) -> Any:
        return json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]

    def mails(self) -> list[Mail]:
        """What was told since the last look, as the mails that it becomes."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                mail = read_message(json.loads(message["Body"]), Links.of(Settings(bucket=BUCKET)), "2027-01-15")
                assert mail is not None
                found.append(mail)
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def aws() -> Iterator[Clients]:
    """Clients of moto, made once: that takes longer than all the tests."""
    known = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    with mock_aws():
        s3, sqs, dynamodb = (boto3.client(service, **known) for service in ("s3", "sqs", "dynamodb"))
        s3.create_bucket(Bucket=BUCKET)
        yield s3, sqs, dynamodb


@pytest.fixture
def world(aws: Clients) -> World:
    return World(aws)
