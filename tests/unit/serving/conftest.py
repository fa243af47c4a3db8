"""One model with an endpoint: the models table on moto, SageMaker and Step Functions in memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.serving.cleaning import Cleaner
from boxcar.serving.deploying import Deployer
from boxcar.serving.finishing import Finisher
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.records import Endpoint, Endpoints, Turn
from boxcar.serving.spec import Serving
from boxcar.serving.targets import Target
from boxcar.serving.turns import Turns
from boxcar.serving.watching import Watcher
from tests.unit.serving.fakes import ROLE, FakeCloudWatch, FakeSageMaker, FakeScaling, refusal
from tests.unit.tables import make_table

NAME = "boxcar-packaging-box"


class FakeStates:
    """Executions, and what their task tokens were answered."""

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.answers: dict[str, Any] = {}

    def describe_execution(self, *, executionArn: str) -> dict[str, str]:  # noqa: N803
        return {"status": "ABORTED" if executionArn in self.ended else "RUNNING"}

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        self._answer(taskToken, json.loads(output))

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        self._answer(taskToken, (error, cause))

    def _answer(self, token: str, told: Any) -> None:
        if token in self.answers:
            raise refusal("Task timed out", "TaskTimedOut", "SendTask")
        self.answers[token] = told


@dataclass
class World:
    """Everything a release touches."""

    endpoints: Endpoints
    sagemaker: FakeSageMaker = field(default_factory=FakeSageMaker)
    cloudwatch: FakeCloudWatch = field(default_factory=FakeCloudWatch)
    scaling: FakeScaling = field(default_factory=FakeScaling)
    states: FakeStates = field(default_factory=FakeStates)
    told: list[dict[str, Any]] = field(default_factory=list)
    serving: Serving = field(default_factory=Serving)
    clock: float = 0.0  # seconds since the epoch

    @property
    def turns(self) -> Turns:
        return Turns(self.endpoints, self.states)

    @property
    def cleaner(self) -> Cleaner:
        return Cleaner(self.endpoints, self.sagemaker, self.cloudwatch, self.scaling)

    @property
    def deployer(self) -> Deployer:
        clients = self.sagemaker, self.cloudwatch, self.scaling, self.states
        return Deployer(self.endpoints, *clients, "boxcar", lambda: self.clock)

    @property
    def watcher(self) -> Watcher:
        return Watcher(self.endpoints, self.turns, self.cleaner, self.sagemaker, self.states)

    @property
    def finisher(self) -> Finisher:
        return Finisher(
            self.endpoints, self.turns, self.cleaner, self.scaling, self.sagemaker, self.cloudwatch, "boxcar",
            "eu-west-1", self.told.append, lambda: self.clock,
        )  # fmt: skip

    @property
    def record(self) -> Endpoint:
        found = self.endpoints.get(NAME)
        assert found
        return found

    def target(self, version: str) -> Target:
        container = {"Image": "image:1", "ModelDataUrl": f"s3://data/{version}.tar.gz"}
        return Target(NAME, "packaging", "box", version, container, self.serving, ROLE, "data")

    def plan(self, version: str) -> ReleasePlan:
        return ReleasePlan(
            run=f"run-{version}", family="packaging", owner="science", model="box", version=version, endpoint=NAME,
            serving=self.serving, source="api", requested_by="Ann", deploy_timeout_s=4500,
        )  # fmt: skip

    def take(self, version: str) -> str:
        turn = Turn(execution=f"arn-{version}", run=f"run-{version}", version=version, token=f"turn-{version}")
        return self.turns.take(Endpoint(endpoint=NAME, family="packaging", model="box"), turn)

    def deploy(self, version: str) -> str:
        return self.deployer.deploy(self.target(version), f"arn-{version}", f"deploy-{version}")

    def settle(self, failure: str = "") -> None:
        """What is under way comes to its end, and its event is heard."""
        self.sagemaker.settle(NAME, failure)
        self.watcher.hear(NAME)

    def release(self, version: str) -> None:
        """A release that goes well."""
        assert self.take(version) == "has it"
        self.deploy(version)
        self.settle()
        assert self.states.answers[f"deploy-{version}"] == {"status": "deployed"}
        self.finisher.released(self.plan(version), self.target(version), f"arn-{version}", {})


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account of moto."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield


@pytest.fixture
def world(account: None) -> World:
    dynamodb = boto3.client("dynamodb", region_name="us-east-1")
    make_table(dynamodb, "ModelsTable", "models")
    return World(Endpoints(dynamodb, "models"))


@pytest.fixture
def s3(account: None) -> Any:
    """An empty bucket, `data`."""
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="data")
    for item in client.list_objects_v2(Bucket="data").get("Contents", []):  # a worker may hold one moto for files
        client.delete_object(Bucket="data", Key=item["Key"])
    return client
