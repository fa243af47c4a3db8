"""One probe of one engine, in a process of its own: python -m tests.bench.engine_probe ENGINE PROBE SIZE.

Every engine is asked through boto3. Ours is served over HTTP like MiniStack's; moto runs inside this process, and gets
JSONPath where the others get JSONata, for which it needs Java.
"""

import contextlib
import functools
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.ports import free_port

ROLE = "arn:aws:iam::000000000000:role/bench"
CONFIG = Config(retries={"max_attempts": 2}, max_pool_connections=64, read_timeout=300)
KEYS = {"aws_access_key_id": "000000000000", "aws_secret_access_key": "test", "region_name": "us-east-1"}
HANDLER = "def handler(event, context):\n    return event\n"


@contextlib.contextmanager
def ministack() -> Iterator[str]:
    """MiniStack in a process of its own; its endpoint."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GATEWAY_PORT": str(port), "PERSIST_STATE": "0", "HOME": folder}
        quiet = subprocess.DEVNULL
        command = [str(Path(sys.executable).with_name("ministack"))]
        server = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(10)


class Local:
    """Lambda and S3 as Python, for what an engine costs by itself."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    def invoke(self, Payload: bytes = b"{}", **_: Any) -> dict[str, Any]:  # noqa: N803
        """A function that answers with its event."""
        meta = {"HTTPStatusCode": 200, "RequestId": "r", "HTTPHeaders": {}}
        return {
            "StatusCode": 200,
            "ExecutedVersion": "$LATEST",
            "Payload": io.BytesIO(Payload),
            "ResponseMetadata": meta,
        }

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """An object."""
        return {"Body": io.BytesIO(self._objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: Any) -> dict[str, Any]:  # noqa: N803
        """Results, which nobody reads here."""
        return {}


@contextlib.contextmanager
def engine(name: str, objects: dict[str, bytes], lambdas: str = "") -> Iterator[Any]:
    """A stepfunctions client of the engine; with `lambdas`, our engine calls the functions at that endpoint."""
    if name == "moto":
        from moto import mock_aws

        with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
            yield boto3.client("stepfunctions", **KEYS)
        return
    if name == "ministack":
        with ministack() as endpoint:
            s3 = boto3.client("s3", endpoint_url=endpoint, config=CONFIG, **KEYS)
            s3.create_bucket(Bucket="bench")
            for key, body in objects.items():
                s3.put_object(Bucket="bench", Key=key, Body=body)
            deploy(endpoint)
            yield boto3.client("stepfunctions", endpoint_url=endpoint, config=CONFIG, **KEYS)
        return
    from local.clock import RealClock
    from local.stepfunctions.server import Server
    from local.stepfunctions.service import StepFunctions

    calls = Local(objects)

    def client(service: str, role_arn: str | None = None, session: str = "") -> Any:
        return boto3.client(service, endpoint_url=lambdas, config=CONFIG, **KEYS) if lambdas else calls

    with tempfile.TemporaryDirectory() as folder:
        service = StepFunctions("us-east-1", "000000000000", RealClock(), client, lambda *_: None, Path(folder))
        server = Server(0, service)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield boto3.client(
            "stepfunctions", endpoint_url=f"http://127.0.0.1:{server.server_port}", config=CONFIG, **KEYS
        )
        server.shutdown()
        service.close()


def deploy(endpoint: str) -> None:
    """A function that answers with its event, called once so that it is warm."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("app.py", HANDLER)
    client = boto3.client("lambda", endpoint_url=endpoint, config=CONFIG, **KEYS)
    version = f"python3.{sys.version_info.minor}"
    client.create_function(
        FunctionName="echo",
        Runtime=version,
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=30,
    )
    client.invoke(FunctionName="echo", Payload=b"{}")


def machine(states: dict[str, Any]) -> dict[str, Any]:
    """A JSONata machine."""
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}


def jsonpath(definition: dict[str, Any]) -> dict[str, Any]:
    """The same machine for moto."""
    text = json.dumps(definition).replace(json.dumps(PASS["Output"]), '{"n.$": "States.MathAdd($.n, 1)"}')
    text = text.replace('"Output": {"n.$"', '"Parameters": {"n.$"').replace(
        '"Output": "{% $states.input.id %}"', '"OutputPath": "$.id"'
    )
    changed: dict[str, Any] = json.loads(text)
    del changed["QueryLanguage"]
    for state in changed["States"].values():
        if "Items" in state:
            changed["States"] = {"I": {"Type": "Pass", "Result": state.pop("Items"), "Next": "M"}, **changed["States"]}
            changed["StartAt"] = "I"
            break
    return changed


def chain(count: int, state: dict[str, Any]) -> dict[str, Any]:
    """The same state, many times over."""
    states = {f"S{n}": {**state, "Next": f"S{n + 1}"} for n in range(count)}
    states[f"S{count}"] = {"Type": "Succeed"}
    return machine(states)


PASS = {"Type": "Pass", "Output": {"n": "{% $states.input.n + 1 %}"}}
TASK = {
    "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Output": "{% $states.result.Payload %}",
    "Arguments": {"FunctionName": "echo", "Payload": {"n": "{% $states.input.n %}"}},
}  # fmt: skip


def run(client: Any, definition: dict[str, Any], count: int = 1) -> float:
    """Seconds from the first start to the last end."""
    name = f"m{time.monotonic_ns()}"
    if "moto" in sys.modules:
        definition = jsonpath(definition)
    arn = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    begun = time.monotonic()
    with ThreadPoolExecutor(4) as starters:
        start = functools.partial(client.start_execution, stateMachineArn=arn, input='{"n": 0}')
        answers = list(starters.map(lambda number: start(name=f"e{number}"), range(count)))
    while listed(client, arn, "RUNNING"):
        time.sleep(max(0.005, 0.05 * (time.monotonic() - begun)))  # a look costs as much as many states
    seconds = time.monotonic() - begun
    if listed(client, arn, "FAILED") or listed(client, arn, "TIMED_OUT"):
        described = client.describe_execution(executionArn=answers[-1]["executionArn"])
        raise SystemExit(f"{described['status']}: {described.get('error')}: {described.get('cause')}")
    return seconds


def listed(client: Any, arn: str, status: str) -> bool:
    """Whether a machine has executions with a status."""
    return bool(client.list_executions(stateMachineArn=arn, statusFilter=status, maxResults=1)["executions"])


def probe(name: str, kind: str, size: int) -> float:
    """Seconds that the probe took."""
    objects: dict[str, bytes] = {}
    if kind == "distributed_map":
        objects["items.jsonl"] = b"".join(b'{"id": %d}\n' % n for n in range(size))
    if kind == "lambdas" and name == "boxcar":
        with ministack() as endpoint:
            deploy(endpoint)
            with engine(name, objects, endpoint) as client:
                run(client, chain(2, TASK))
                return run(client, chain(size, TASK))
    with engine(name, objects) as client:
        run(client, chain(1, PASS))
        if kind == "passes":
            return run(client, chain(size, PASS))
        if kind in ("tasks", "lambdas"):
            if name == "moto" or (kind == "tasks" and name != "boxcar"):
                raise SystemExit("its functions are processes or containers")
            return run(client, chain(size, TASK))
        if kind == "executions":
            return run(client, chain(5, PASS), size)
        processor: dict[str, Any] = {
            "StartAt": "P",
            "States": {"P": {"Type": "Pass", "Output": "{% $states.input.id %}", "End": True}},
        }
        state: dict[str, Any] = {"Type": "Map", "ItemProcessor": processor, "End": True}
        if name == "moto" and kind == "distributed_map":
            raise SystemExit("its S3 is in the same process and the state's ItemReader is JSONata")
        if kind == "inline_map":
            state["Items"] = [{"id": n} for n in range(size)]
            return run(client, machine({"M": state}))
        processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        state["ItemReader"] = {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Arguments": {"Bucket": "bench", "Key": "items.jsonl"},
        }
        state["ResultWriter"] = {
            "Resource": "arn:aws:states:::s3:putObject",
            "Arguments": {"Bucket": "bench", "Prefix": "out"},
        }
        return run(client, machine({"M": state}))


if __name__ == "__main__":
    seconds = probe(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    who = resource.RUSAGE_CHILDREN if sys.argv[1] == "ministack" else resource.RUSAGE_SELF
    print(json.dumps({"seconds": seconds, "peak_mb": round(resource.getrusage(who).ru_maxrss / 1024, 1)}))
