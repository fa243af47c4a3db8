"""A small cloud around Glue: an S3 of a dictionary, events in a list, this interpreter as the runtime."""

import io
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.clock import RealClock
from local.glue.service import Glue
from local.service import ApiError


class FakeCloud:
    """As much of a cloud as Glue needs."""

    region = "eu-west-1"
    account = "123456789012"
    endpoint = "http://127.0.0.1:9"  # nobody: the scripts of these tests call no API

    def __init__(self, state: Path, scale: float = 1.0) -> None:
        self.state = state
        self.clock = RealClock(scale)
        self.objects: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        self.logs: list[dict[str, Any]] = []

    class exceptions:  # noqa: N801
        class ResourceAlreadyExistsException(Exception):  # noqa: N818
            pass

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        return self

    def get_object(self, **request: Any) -> dict[str, Any]:
        key = f"s3://{request['Bucket']}/{request['Key']}"
        if key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": f"no {key}"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[key].encode())}

    def create_log_group(self, **request: Any) -> None:
        return None

    create_log_stream = create_log_group

    def put_log_events(self, **request: Any) -> None:
        self.logs.append(request)

    def credentials(self, role_arn: str, session: str) -> dict[str, str]:
        if "nobody" in role_arn:
            raise PermissionError("no such role")
        return {"ROLE": role_arn}

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        with self.arrived:
            self.events.append({"source": source, "type": detail_type, "detail": detail, "resources": resources})
            self.arrived.notify_all()

    def environment(self, name: str) -> Path:
        return Path(sys.executable)

    def ended(self, run_id: str) -> dict[str, Any]:
        """The event of a run's end."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["detail"]["jobRunId"] == run_id]

        with self.arrived:
            assert self.arrived.wait_for(found, 30), self.events
        return found()[0]


class Api:
    """Calls by attribute: api.StartJobRun(JobName=…)."""

    def __init__(self, service: Any) -> None:
        self.service = service

    def __getattr__(self, action: str) -> Callable[..., dict[str, Any]]:
        return lambda **request: self.service.handle(action, request, "arn:aws:iam::123456789012:root")

    def refused(self, action: str, **request: Any) -> str:
        """Code and words of a refusal."""
        with pytest.raises(ApiError) as refusal:
            self.service.handle(action, request, "")
        return f"{refusal.value.code}: {refusal.value.message}"


@pytest.fixture
def cloud(tmp_path: Path) -> FakeCloud:
    return FakeCloud(tmp_path)


@pytest.fixture
def api(cloud: FakeCloud) -> Iterator[Api]:
    made = Api(Glue(cloud))
    define(made)
    yield made
    made.service.close()


def define(api: Api, name: str = "shell", **fields: Any) -> None:
    """A job that runs s3://code/main.py, twice at once."""
    command = {"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": "s3://code/main.py"}
    limits = {"MaxConcurrentRuns": 2}
    api.CreateJob(**{"Name": name, "Role": "boxcar", "Command": command, "ExecutionProperty": limits, **fields})
