"""A small cloud around the service: moto's S3 and logs, events in a list, this interpreter as an image."""

import io
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local.clock import RealClock
from local.sagemaker.containers import Image
from local.sagemaker.service import SageMaker

ROLE = "arn:aws:iam::123456789012:role/boxcar-jobs"
DENIED = "arn:aws:iam::123456789012:role/boxcar-denied"
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/plain:1"
BUCKET = "boxcar-data"


class FakeCloud:
    """As much of a cloud as SageMaker needs."""

    region = "eu-west-1"
    account = "123456789012"

    endpoint = "http://127.0.0.1:9"  # nobody: the scripts of these tests call no API

    def __init__(self, state: Path) -> None:
        self.state = state
        self.clock = RealClock()
        self.events: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        self.failing_emits = 0

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        client = boto3.client(service, region_name=self.region, aws_access_key_id="test", aws_secret_access_key="test")
        if role_arn == DENIED:
            client.meta.events.register("before-call.s3.*", self._deny)
        return client

    def _deny(self, model: Any, **_: Any) -> None:
        answer = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
        raise ClientError(answer, model.name)

    def credentials(self, role_arn: str, session: str) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "ROLE": role_arn}

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        if self.failing_emits:
            self.failing_emits -= 1
            raise ConnectionError("the bus does not listen yet")
        with self.arrived:
            self.events.append(
                {
                    "source": source,
                    "detail-type": detail_type,
                    "detail": detail,
                    "resources": resources,
                    "at": time.time(),
                }
            )
            self.arrived.notify_all()

    def environment(self, name: str) -> Path:
        if name != "plain":
            raise KeyError(name)
        return Path(sys.executable)

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 60) -> dict[str, Any]:
        """The first event that is wanted, once it has come."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [event for event in self.events if wanted(event)]
            return bool(found)

        with self.arrived:
            assert self.arrived.wait_for(look, timeout), [e["detail"] for e in self.events]
        return found[0]

    def ended(self, name: str, timeout: float = 60) -> dict[str, Any]:
        """The detail of a job's last event."""

        def last(event: dict[str, Any]) -> bool:
            detail = event["detail"]
            names = [detail.get(f"{kind}JobName") for kind in ("Training", "Processing", "Transform")]
            statuses = [detail.get(f"{kind}JobStatus") for kind in ("Training", "Processing", "Transform")]
            return name in names and bool({"Completed", "Failed", "Stopped"} & set(statuses))

        return self.wait(last, timeout)["detail"]

    def statuses(self, name: str) -> list[str]:
        """Secondary statuses of a training job in the order of its events."""
        return [e["detail"]["SecondaryStatus"] for e in self.events if e["detail"].get("TrainingJobName") == name]


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="eu-west-1")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield client


@pytest.fixture
def cloud(s3: Any, tmp_path: Path) -> FakeCloud:
    return FakeCloud(tmp_path)


@pytest.fixture
def sagemaker(cloud: FakeCloud) -> Iterator[SageMaker]:
    service = SageMaker(cloud, images={"plain:1": Image("plain", (), "plain.training:main")})
    yield service
    service.close()


class Api:
    """Calls by attribute: api.CreateModel(ModelName=…)."""

    def __init__(self, service: SageMaker) -> None:
        self.service = service

    def __getattr__(self, action: str) -> Callable[..., dict[str, Any]]:
        return lambda **request: self.service.handle(action, request, "arn:aws:iam::123456789012:user/anna")


@pytest.fixture
def api(sagemaker: SageMaker) -> Api:
    return Api(sagemaker)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    """A prefix of the bucket for this test alone."""
    return f"s3://{BUCKET}/{request.node.name}"


@pytest.fixture
def put(s3: Any) -> Callable[[str, str | bytes], str]:
    def write(uri: str, body: str | bytes) -> str:
        s3.put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=body)
        return uri

    return write


@pytest.fixture
def get(s3: Any) -> Callable[[str], bytes]:
    return lambda uri: s3.get_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))["Body"].read()


def archive(**files: str) -> bytes:
    """A tar.gz of `name__py="text"` → name.py."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def unpack(body: bytes) -> dict[str, str]:
    """Names and texts in a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {m.name: tar.extractfile(m).read().decode() for m in tar.getmembers() if m.isfile()}
