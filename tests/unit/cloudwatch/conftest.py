"""CloudWatch in this process, asked by a real boto3 client, in time that stands still until a test moves it."""

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from local.cloudwatch.service import CloudWatch

START = 1_780_000_020.0  # a whole minute: 2026-05-28T20:27:00Z
TOPIC = "arn:aws:sns:us-east-1:000000000000:engineering"


class StillClock:
    """Time that a test sets."""

    now = START

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def hold(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()


@dataclass
class QueueState:
    name: str
    visible: int = 0
    in_flight: int = 0
    delayed: int = 0
    oldest: float | None = None


class Topics:
    """SNS, which keeps what is published."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.down = False

    def publish(self, **message: Any) -> None:
        if self.down:
            raise ConnectionError("SNS does not answer")
        self.published.append(message)


@dataclass
class World:
    """The cloud around CloudWatch."""

    state: Path
    clock: StillClock = field(default_factory=StillClock)
    topics: Topics = field(default_factory=Topics)
    events: list[tuple[str, str, dict[str, Any], list[str]]] = field(default_factory=list)
    queues: list[QueueState] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)  # topics whose policy keeps CloudWatch out
    region: str = "us-east-1"
    account: str = "000000000000"
    endpoint: str = "http://127.0.0.1:1"

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.service = CloudWatch(
            self,
            lambda: self.queues,
            lambda topic, alarm: topic not in self.forbidden,  # type: ignore[arg-type]
        )
        self.api = boto3_client(self.service)

    def restart(self) -> None:
        self.service.close()
        self.start()

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        assert service == "sns"
        return self.topics

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self.events.append((source, detail_type, detail, resources))

    def put(self, value: float, minutes_ago: int = 0, name: str = "Lost", **more: Any) -> None:
        """Put a value of the namespace Test, for a minute that began so long ago."""
        datum = {"MetricName": name, "Value": value, "Timestamp": self.clock.now - 60 * minutes_ago, **more}
        self.api.put_metric_data(Namespace="Test", MetricData=[datum])

    def alarm(self, **changes: Any) -> None:
        """Put an alarm on Sum of Test/Lost > 0, with fields changed; None takes one away."""
        base = {
            "AlarmName": "lost",
            "Namespace": "Test",
            "MetricName": "Lost",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": [TOPIC],
        }
        wanted = {name: value for name, value in {**base, **changes}.items() if value is not None}
        self.api.put_metric_alarm(**wanted)

    def described(self, name: str = "lost") -> dict[str, Any]:
        [alarm] = self.api.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return alarm

    def state_of(self, name: str = "lost") -> str:
        return str(self.described(name)["StateValue"])

    def messages(self) -> list[dict[str, Any]]:
        """What subscriptions other than e-mail got."""
        return [json.loads(json.loads(each["Message"])["default"]) for each in self.topics.published]


def boto3_client(service: Any, name: str = "cloudwatch") -> Any:
    """A boto3 client whose requests end in the service's `http`, without a network."""
    client = boto3.client(
        name,
        region_name="us-east-1",
        endpoint_url=f"http://{name}.invalid",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        path = request.url.removeprefix(f"http://{name}.invalid")
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        status, answer_headers, answer = service.http(request.method, path, headers, body, {})
        raw: Any = io.BytesIO(answer)
        raw.stream = lambda **_: iter([answer])
        return AWSResponse(request.url, status, answer_headers, raw)

    client.meta.events.register("before-send", send)
    return client


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.service.close()
