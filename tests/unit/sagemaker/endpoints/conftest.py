"""Endpoints in a small cloud: in real time with real containers, or in virtual time with simulated ones."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.api import JSON, error_response
from local.autoscaling.service import ApplicationAutoScaling
from local.clock import VirtualClock
from local.cloudwatch.service import CloudWatch
from local.sagemaker.containers import Image
from local.sagemaker.service import SageMaker
from local.sagemaker.timers import Timers
from local.service import ApiError
from tests.unit.cloudwatch.conftest import START, Topics, boto3_client
from tests.unit.sagemaker.conftest import IMAGE, ROLE, Api, FakeCloud

SIMULATED = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/boxcar-simulated:1"
SUCCESS, FAILURE = (f"arn:aws:sns:eu-west-1:123456789012:{name}" for name in ("success", "failure"))
DATA = "s3://boxcar-data"


class Endpoints:
    """The service, asked by its API and by a real client of its runtime."""

    def __init__(self, cloud: FakeCloud, **more: Any) -> None:
        self.cloud = cloud
        self.service = SageMaker(cloud, images={"plain:1": Image("plain", (), "plain.training:main")}, **more)
        self.api = Api(self.service)
        self.runtime = boto3_client(self.service, "sagemaker-runtime")

    def model(self, name: str, **course: Any) -> str:
        """A simulated model."""
        environment = {key.upper(): str(value) for key, value in course.items()}
        container = {"Image": SIMULATED, "Environment": environment}
        self.api.CreateModel(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return name

    def config(self, name: str, *variants: dict[str, Any], **more: Any) -> str:
        """An endpoint configuration; without variants, of one instance of the model of the same name."""
        chosen = list(variants) or [variant(name)]
        self.api.CreateEndpointConfig(EndpointConfigName=name, ProductionVariants=chosen, **more)
        return name

    def create(self, name: str, config: str, status: str = "IN_SERVICE") -> dict[str, Any]:
        """Create an endpoint and wait until it is in service."""
        self.api.CreateEndpoint(EndpointName=name, EndpointConfigName=config)
        return self.reached(name, status)

    def reached(self, name: str, *statuses: str) -> dict[str, Any]:
        """The detail of the first event that says that an endpoint is so, after those that were seen before."""

        def wanted(event: dict[str, Any]) -> bool:
            detail = event["detail"]
            return detail.get("EndpointName") == name and detail.get("EndpointStatus") in statuses

        found = self.cloud.wait(wanted, 20)
        del self.cloud.events[: self.cloud.events.index(found) + 1]
        return found["detail"]

    def describe(self, name: str) -> dict[str, Any]:
        return self.api.DescribeEndpoint(EndpointName=name)

    def ask(self, name: str, body: str = "x", **more: Any) -> str:
        """Invoke an endpoint; the answer's text."""
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body.encode(), ContentType="text/csv", **more)
        return answer["Body"].read().decode()


def variant(model: str, name: str = "AllTraffic", count: int = 1, **more: Any) -> dict[str, Any]:
    chosen = {"VariantName": name, "ModelName": model, "InitialInstanceCount": count, "InstanceType": "ml.m5.large"}
    return {**chosen, **more}


class VirtualCloud(FakeCloud):
    """A cloud whose time stands still until a test lets it pass."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.clock = VirtualClock(START)
        self.topics = Topics()
        self.clients: dict[str, Any] = {"sns": self.topics}
        self._timers = Timers(self.clock)
        self._hold = self.clock.hold()
        self._hold.__enter__()

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        return self.clients[service] if service in self.clients else super().client(service, role_arn, session)

    def messages(self, topic: str) -> list[dict[str, Any]]:
        """What a topic was told."""
        return [json.loads(each["Message"]) for each in self.topics.published if each["TopicArn"] == topic]

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due meanwhile."""
        over = threading.Event()

        def stop() -> None:
            self._hold = self.clock.hold()
            self._hold.__enter__()
            over.set()

        self._timers.after(seconds, stop)
        self._hold.__exit__(None, None, None)
        assert over.wait(60)

    def until(self, what: Callable[[], Any], most: float = 3600, step: float = 1.0) -> float:
        """Let time pass until something is so; how many seconds that took."""
        begun = self.clock.time()
        while not what():
            assert self.clock.time() - begun < most, f"not within {most} s"
            self.let_pass(step)
        return self.clock.time() - begun

    def close(self) -> None:
        self._hold.__exit__(None, None, None)
        self._timers.close()


class Json:
    """A service with a JSON protocol, asked over HTTP."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def http(self, method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        try:
            action = headers["x-amz-target"].rpartition(".")[2]
            told = self._service.handle(action, json.loads(body), "arn:aws:iam::123456789012:root")
        except ApiError as error:
            return error_response("", error)
        return 200, dict(JSON), json.dumps(told).encode()


class VirtualEndpoints(Endpoints):
    """Endpoints in virtual time, with a CloudWatch that looks each minute."""

    cloud: VirtualCloud

    def __init__(self, cloud: VirtualCloud) -> None:
        self.scaler = ApplicationAutoScaling(cloud)
        self.cloudwatch = CloudWatch(cloud, gauges=lambda: self.service.gauges(), scale=self.scaler.triggered)
        super().__init__(cloud, measure=self.cloudwatch.vended.values)
        self.metrics = boto3_client(self.cloudwatch)
        self.scaling = boto3_client(Json(self.scaler), "application-autoscaling")
        cloud.clients |= {"cloudwatch": self.metrics, "sagemaker": boto3_client(Json(self.service), "sagemaker")}
        self.cloudwatch.warm()

    def total(self, metric: str, stat: str = "Sum", **dimensions: str) -> float:
        """A statistic over all that was measured."""
        now = self.cloud.clock.time()
        told = self.metrics.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=START - 60,
            EndTime=now + 86_400,
            Period=172_800,
            Statistics=[stat],
        )
        return float(sum(point[stat] for point in told["Datapoints"]))

    def close(self) -> None:
        self.service.close()
        self.cloudwatch.close()
        self.scaler.close()
        self.cloud.close()


@pytest.fixture
def virtual(s3: Any, tmp_path: Path) -> Iterator[VirtualEndpoints]:
    endpoints = VirtualEndpoints(VirtualCloud(tmp_path))
    yield endpoints
    endpoints.close()


@pytest.fixture
def real(s3: Any, tmp_path: Path) -> Iterator[Endpoints]:
    endpoints = Endpoints(FakeCloud(tmp_path))
    yield endpoints
    endpoints.service.close()


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    """A prefix of the bucket for this test alone."""
    return f"{DATA}/{request.node.name}"


def container_model(endpoints: Endpoints, name: str, data: str, code: str) -> str:
    """A model of the plain image: archive and script."""
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    container = {"Image": IMAGE, "ModelDataUrl": data, "Environment": environment}
    endpoints.api.CreateModel(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return name
