"""Makes the calls of Tasks, in threads, with the credentials of the execution's role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from local.clock import Clock
from local.stepfunctions import completion, errors, sdk
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.history import dumps
from local.stepfunctions.integrations import Resource
from local.stepfunctions.strand import Run

Client = Callable[..., Any]  # client(service, role_arn=None, session=…) → a boto3 client
LAMBDAS = 16  # at once: each is a process of its own in an embedded cloud
CALLS = 32


class RoleRefusedError(StateFailure):
    """A role that cannot be assumed."""

    def __init__(self, role: str) -> None:
        super().__init__(
            errors.TASK_FAILED,
            f"The principal states.amazonaws.com is not authorized to assume the provided role. (role: {role})",
        )


class Runner:
    """Runs the calls of Tasks; an object with `call` and `completion` can stand in for it in tests."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._clients: dict[tuple[str, str], Any] = {}
        self._lambdas = ThreadPoolExecutor(LAMBDAS, "lambda")
        self._calls = ThreadPoolExecutor(CALLS, "call")

    def close(self) -> None:
        """Let the threads end; calls under way are not waited for."""
        for pool in (self._lambdas, self._calls):
            pool.shutdown(wait=False, cancel_futures=True)

    def client(self, service: str, role: str) -> Any:
        """A client that acts as the role; made once.

        Raises:
            StateFailure: States.TaskFailed, the role cannot be assumed.
        """
        key = (service, role)
        if key not in self._clients:
            try:
                self._clients[key] = self._client(service, role_arn=role or None, session="stepfunctions")
            except Exception as error:
                if not isinstance(error, ClientError):
                    raise sdk.failure(service, service, error) from error
                raise RoleRefusedError(role) from error
        return self._clients[key]

    async def threaded(self, function: Callable[[], Any], pool: ThreadPoolExecutor | None = None) -> Any:
        """Run blocking work beside the loop; virtual time stands still meanwhile."""
        with self._clock.hold():
            return await asyncio.get_running_loop().run_in_executor(pool or self._calls, function)

    async def call(self, run: Run, resource: Resource, arguments: Any, role: str) -> Any:
        """Make the call of a Task and return its result.

        Raises:
            StateFailure: the call was refused, or the function raised.
        """
        try:
            return await self._call(run, resource, arguments, role)
        except RoleRefusedError as refused:
            if role == run.role:
                raise
            cause = f"The role {run.role} is not authorized to assume the task state's role, {role}."
            raise StateFailure(errors.TASK_FAILED, cause) from refused

    async def _call(self, run: Run, resource: Resource, arguments: Any, role: str) -> Any:
        if resource.function is not None:
            arguments = {"FunctionName": resource.function, "Payload": arguments}
        if resource.service == "lambda" and not resource.sdk:
            answer = await self.threaded(lambda: self.invoke(resource, arguments, role), self._lambdas)
            return answer["Payload"] if resource.function is not None else answer
        if resource.service == "events" and not resource.sdk:
            arguments = with_origin(arguments, run)
        answer = await self.threaded(lambda: self.request(resource, arguments, role))
        if resource.service == "events" and not resource.sdk and answer.get("FailedEntryCount"):
            raise StateFailure(
                "EventBridge.FailedEntry", dumps({k: v for k, v in answer.items() if not k.startswith("Sdk")})
            )
        return answer

    def request(self, resource: Resource, arguments: Any, role: str) -> Any:
        """One AWS call, by its botocore model."""
        name = resource.client
        prefix = sdk.service_id(name) if resource.sdk else sdk.ERROR_PREFIX[resource.service]
        model = sdk.operation(name, resource.action)
        parameters = sdk.request(model.input_shape, arguments)
        client = self.client(name, role)
        try:
            answer = getattr(client, snake(model.name))(**parameters)
        except Exception as error:
            raise sdk.failure(prefix, name, error) from error
        result = sdk.response(model.output_shape, answer, java=resource.sdk)
        return result if resource.sdk else dict(sorted((result | sdk.metadata(answer)).items()))

    def invoke(self, resource: Resource, arguments: Any, role: str) -> dict[str, Any]:
        """Call a function; an error that it raised is the Task's error, by its own name."""
        model = sdk.operation("lambda", "invoke")
        parameters = sdk.request(model.input_shape, arguments)
        if "Payload" in parameters:
            parameters["Payload"] = dumps(arguments["Payload"]).encode()  # JSON, even where it is a string
        client = self.client("lambda", role)
        try:
            answer = client.invoke(**parameters)
            payload = answer["Payload"].read().decode()
        except Exception as error:
            raise sdk.failure("Lambda", "lambda", error) from error
        value = sdk.json_or_text(payload) if payload else None
        if answer.get("FunctionError"):
            kind = value.get("errorType") if isinstance(value, dict) else None
            raise StateFailure(kind or "Lambda.Unknown", dumps(value) if isinstance(value, dict | list) else payload)
        result = {k: v for k, v in answer.items() if k in ("ExecutedVersion", "LogResult", "StatusCode")}
        return dict(sorted({**result, "Payload": value if payload else "", **sdk.metadata(answer)}.items()))

    async def completion(self, run: Run, resource: Resource, arguments: Any, answer: Any, role: str) -> Any:
        """Wait for the job that a .sync Task started and return its description."""
        return await completion.wait(self, run, resource, arguments, answer, role)


def snake(name: str) -> str:
    """The boto3 method of an operation."""
    from botocore import xform_name

    return xform_name(name)


def with_origin(arguments: Any, run: Run) -> Any:
    """PutEvents entries name the execution and its machine among their resources, as on AWS."""
    if not isinstance(arguments, dict) or not isinstance(arguments.get("Entries"), list):
        raise StateFailure(errors.RUNTIME, "The field 'Entries' must be an array of entries")
    origin = [run.arn, run.machine_arn]
    entries = [{**entry, "Resources": [*entry.get("Resources", []), *origin]} for entry in arguments["Entries"]]
    return {**arguments, "Entries": entries}
