"""What the conformance cases run on: the engine alone, virtual time, and AWS services that are Python functions.

A history is compared as text, one line an event: `id <previous type member=value …`, with every member that AWS gives
except the timestamp and the `…Details` that say nothing was truncated.
"""

import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions

from local.clock import Clock, VirtualClock
from local.stepfunctions.service import StepFunctions

ROLE = "arn:aws:iam::123456789012:role/machine"
PREFIX = "arn:aws:states:us-east-1:123456789012"
OK = {"HTTPStatusCode": 200, "RequestId": "request", "HTTPHeaders": {}}
SILENT = {"inputDetails", "outputDetails", "assignedVariablesDetails"}


def machine(states: dict[str, Any], start: str = "", **fields: Any) -> dict[str, Any]:
    """A JSONata machine that starts at its first state."""
    return {"QueryLanguage": "JSONata", "StartAt": start or next(iter(states)), "States": states, **fields}


def lambda_task(function: str, payload: Any = None, **fields: Any) -> dict[str, Any]:
    """A Task that calls a function through the optimized integration and hands on its payload."""
    arguments = {"FunctionName": function, "Payload": {} if payload is None else payload}
    fields.setdefault("Output", "{% $states.result.Payload %}")
    if "Next" not in fields:
        fields["End"] = True
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, **fields}


class FunctionError(Exception):
    """What a function of a case raises: its error's name and message."""

    def __init__(self, name: str, message: str = "") -> None:
        super().__init__(name)
        self.payload = {"errorMessage": message, "errorType": name}


def client_error(code: str, message: str, status: int = 400) -> botocore.exceptions.ClientError:
    """An error that an AWS service answers with."""
    meta = {"HTTPStatusCode": status, "RequestId": "request", "HTTPHeaders": {}}
    return botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": meta}, "Call"
    )


class Aws:
    """AWS as a case needs it: Lambda functions, and calls by `service.method`; every call is remembered."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[[Any], Any]] = {"echo": lambda payload: payload}
        self.methods: dict[str, Callable[..., Any]] = {}
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.objects: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def client(self, service: str, role_arn: str | None = None, session: str = "") -> "Client":
        """A client that acts as a role."""
        return Client(self, service, role_arn or "")


class Client:
    """Stands in for a boto3 client."""

    def __init__(self, aws: Aws, service: str, role: str) -> None:
        self._aws, self._service, self._role = aws, service, role

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            with self._aws.lock:
                self._aws.calls.append((f"{self._service}.{method}", self._role, parameters))
            if self._service == "lambda":
                return self._invoke(parameters)
            called = f"{self._service}.{method}"
            if called in ("s3.get_object", "s3.put_object") and called not in self._aws.methods:
                return self._object(method, parameters)
            answer = self._aws.methods[called](**parameters)
            return {"ResponseMetadata": OK, **answer}

        return call

    def _invoke(self, parameters: dict[str, Any]) -> dict[str, Any]:
        name = parameters["FunctionName"].rsplit(":", 1)[-1]
        if name not in self._aws.functions:
            raise client_error("ResourceNotFoundException", f"Function not found: {name}", 404)
        base = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "ResponseMetadata": OK}
        try:
            result = self._aws.functions[name](json.loads(parameters.get("Payload", b"{}")))
        except FunctionError as error:
            return {**base, "FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(error.payload).encode())}
        return {**base, "Payload": io.BytesIO(json.dumps(result).encode())}

    def _object(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        key = f"{parameters['Bucket']}/{parameters['Key']}"
        if method == "put_object":
            body = parameters["Body"]
            self._aws.objects[key] = body if isinstance(body, bytes) else body.read()
            return {"ResponseMetadata": OK}
        if key not in self._aws.objects:
            raise client_error("NoSuchKey", "The specified key does not exist.", 404)
        return {"Body": io.BytesIO(self._aws.objects[key]), "ResponseMetadata": OK}


class Engine:
    """A Step Functions of a case's own."""

    def __init__(self, clock: Clock | None = None, state: Any = None) -> None:
        self.aws = Aws()
        self.clock = clock or VirtualClock()
        self.events: list[dict[str, Any]] = []
        self.api = StepFunctions("us-east-1", "123456789012", self.clock, self.aws.client, self._emit, state)
        self._number = 0

    def _emit(self, source: str, kind: str, detail: dict[str, Any], resources: list[str]) -> None:
        self.events.append({"source": source, "detail-type": kind, "detail": detail, "resources": resources})

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: Any) -> None:
        self.api.close()

    def __call__(self, action: str, **request: Any) -> dict[str, Any]:
        """One API call."""
        return self.api.handle(action, request, "")

    def create(self, definition: dict[str, Any], name: str = "", **more: Any) -> str:
        """A machine; its ARN."""
        self._number += 1
        name = name or ("machine" if self._number == 1 else f"machine{self._number}")
        made = self("CreateStateMachine", name=name, definition=json.dumps(definition), roleArn=ROLE, **more)
        return str(made["stateMachineArn"])

    def start(self, arn: str, value: Any = None, name: str = "run") -> str:
        """An execution; its ARN."""
        text = json.dumps({} if value is None else value, separators=(",", ":"))
        return str(self("StartExecution", stateMachineArn=arn, input=text, name=name)["executionArn"])

    def wait(self, execution: str, seconds: float = 60) -> dict[str, Any]:
        """DescribeExecution, once it has ended."""
        live = self.api._engine.live.get(execution)
        if live is not None:
            done = threading.Event()
            self.api._engine._loop.call_soon_threadsafe(lambda: live[2].add_done_callback(lambda _: done.set()))
            assert done.wait(seconds), f"still running after {seconds} s: {self.history(execution)}"
        return self("DescribeExecution", executionArn=execution)

    def run(self, definition: dict[str, Any], value: Any = None) -> dict[str, Any]:
        """Run a definition to its end."""
        return self.wait(self.start(self.create(definition), value))

    def history(self, execution: str) -> str:
        """The history as text."""
        events: list[dict[str, Any]] = []
        token: dict[str, Any] = {}
        while True:
            page = self("GetExecutionHistory", executionArn=execution, maxResults=1000, **token)
            events += page["events"]
            if "nextToken" not in page:
                return "\n".join(line(event) for event in events)
            token = {"nextToken": page["nextToken"]}


def line(event: dict[str, Any]) -> str:
    """An event as one line."""
    details = next((value for key, value in event.items() if key.endswith("Details")), {})
    shown = [f"{key}={text(value)}" for key, value in sorted(details.items()) if key not in SILENT]
    return " ".join([f"{event['id']} <{event['previousEventId']} {event['type']}", *shown])


def text(value: Any) -> str:
    """A value of an event: text as it is, what differs from run to run by its kind."""
    shown = value if isinstance(value, str) else json.dumps(value)
    shown = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", shown)
    shown = re.sub(r"AQCEAAAAKgAAAAMAAAAAAAAAA[\w+/=]+", "<token>", shown)
    return shown.replace(PREFIX, "<arn>").replace(ROLE, "<role>")


@dataclass
class Case:
    """A machine, its input, and the history that AWS would write."""

    name: str
    machine: dict[str, Any]
    history: str
    input: Any = field(default_factory=dict)
    functions: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    status: str = "SUCCEEDED"


def check(case: Case) -> None:
    """Run a case and compare its whole history."""
    with Engine() as engine:
        engine.aws.functions |= case.functions
        engine.aws.methods |= METHODS
        execution = engine.start(engine.create(case.machine), case.input)
        ended = engine.wait(execution)
        assert engine.history(execution) == case.history.strip()
        assert ended["status"] == case.status


METHODS: dict[str, Callable[..., Any]] = {
    "sqs.send_message": lambda **_: {"MessageId": "m-1", "MD5OfMessageBody": "d"},
    "events.put_events": lambda **given: {
        "FailedEntryCount": 0,
        "Entries": [{"EventId": "e"} for _ in given["Entries"]],
    },
}
