"""A small cloud around Batch: events in a list, this interpreter as the image."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.batch.service import Batch
from local.clock import Clock, RealClock
from local.service import ApiError

IMAGE = "public.ecr.aws/sam/build-python3.13"


class FakeCloud:
    """As much of a cloud as Batch needs; time passes sixty times as fast."""

    region = "eu-west-1"
    account = "123456789012"
    endpoint = "http://127.0.0.1:9"  # nobody: the programs of these tests call no API

    def __init__(self, state: Path, scale: float = 1.0) -> None:
        self.state = state
        self.clock: Clock = RealClock(scale)
        self.events: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        self.logs: list[dict[str, Any]] = []

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        return self

    class exceptions:  # noqa: N801
        class ResourceAlreadyExistsException(Exception):  # noqa: N818
            pass

    def create_log_group(self, **request: Any) -> None:
        return None

    create_log_stream = create_log_group

    def put_log_events(self, **request: Any) -> None:
        self.logs.append(request)

    def credentials(self, role_arn: str, session: str) -> dict[str, str]:
        if "nobody" in role_arn:
            raise PermissionError("no such role")
        return {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "ROLE": role_arn}

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        with self.arrived:
            self.events.append({"source": source, "type": detail_type, "detail": detail, "resources": resources})
            self.arrived.notify_all()

    def environment(self, name: str) -> Path:
        return Path(sys.executable)

    def statuses(self, job_id: str) -> list[str]:
        """Of a job, in the order of its events."""
        return [event["detail"]["status"] for event in self.events if event["detail"]["jobId"] == job_id]

    def wait(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """The detail of the first event with one of the statuses; of its end if none is given."""
        wanted = statuses or ("SUCCEEDED", "FAILED")

        def found() -> dict[str, Any] | None:
            details = [event["detail"] for event in self.events if event["detail"]["jobId"] == job_id]
            return next((detail for detail in details if detail["status"] in wanted), None)

        with self.arrived:
            assert self.arrived.wait_for(lambda: found() is not None, 30), self.events
            detail = found()
            assert detail is not None
            return detail


class Api:
    """Calls by attribute: api.SubmitJob(jobName=…)."""

    def __init__(self, service: Any) -> None:
        self.service = service

    def __getattr__(self, action: str) -> Callable[..., dict[str, Any]]:
        return lambda **request: self.service.handle(action, request, "arn:aws:iam::123456789012:root")

    def refused(self, action: str, **request: Any) -> str:
        """The words of a refusal."""
        with pytest.raises(ApiError) as refusal:
            self.service.handle(action, request, "")
        return f"{refusal.value.code}: {refusal.value.message}"


def prepare(api: Api, vcpus: int = 2) -> None:
    """A queue with room for so many vCPUs, and a definition of one."""
    api.CreateComputeEnvironment(
        computeEnvironmentName="place",
        type="MANAGED",
        computeResources={"type": "FARGATE", "maxvCpus": vcpus, "subnets": ["s"], "securityGroupIds": ["g"]},
    )
    order = [{"order": 1, "computeEnvironment": "place"}]
    api.CreateJobQueue(jobQueueName="queue", priority=1, computeEnvironmentOrder=order)
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    container = {"image": IMAGE, "command": ["true"], "resourceRequirements": needs, "jobRoleArn": "arn:role/jobs"}
    api.RegisterJobDefinition(jobDefinitionName="python", type="container", containerProperties=container)


@pytest.fixture
def cloud(tmp_path: Path) -> FakeCloud:
    return FakeCloud(tmp_path)


@pytest.fixture
def api(cloud: FakeCloud) -> Iterator[Api]:
    service = Batch(cloud)
    made = Api(service)
    prepare(made)
    yield made
    service.close()


@pytest.fixture
def submit(api: Api) -> Callable[..., str]:
    """Submit a piece of Python, or a command."""

    def act(code: str | list[str], name: str = "job", **more: Any) -> str:
        command = code if isinstance(code, list) else ["python3", "-c", code]
        overrides = {"command": command, **more.pop("overrides", {})}
        request = {"jobName": name, "jobQueue": "queue", "jobDefinition": "python", "containerOverrides": overrides}
        job_id: str = api.SubmitJob(**request, **more)["jobId"]
        return job_id

    return act


def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
    """What `check` answers, once it answers something."""
    until = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)
    return found
