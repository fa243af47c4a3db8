"""Task: schedule, start, submit, wait, with timeouts and heartbeats; what is called lies in `integrations`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import uuid
from collections.abc import Coroutine
from typing import Any

from local.clock import Clock
from local.stepfunctions import definition as asl
from local.stepfunctions import errors
from local.stepfunctions.definition import MISSING
from local.stepfunctions.errors import StateFailure, TimedOut
from local.stepfunctions.history import COMPLETE, MAX_DATA, data_size, dumps, failure
from local.stepfunctions.integrations import Resource
from local.stepfunctions.jsonata import Expression
from local.stepfunctions.strand import Outcome, RuntimeFailure, Strand, finish, integer

TOKEN = "AQCEAAAAKgAAAAMAAAAAAAAAA"  # noqa: S105, how every token of this engine begins


class Waiter:
    """A task that waits for its token to be answered."""

    def __init__(self, token: str, machine_arn: str) -> None:
        self.token = token
        self.machine_arn = machine_arn
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.beat = asyncio.Event()


def new_token() -> str:
    """A task token: opaque, unique, and long like AWS's."""
    return TOKEN + base64.b64encode(uuid.uuid4().bytes * 6).decode()


async def task_state(strand: Strand, state: asl.Task, value: Any, text: str) -> Outcome:
    """One attempt at a Task."""
    resource = Resource.of(state.resource)
    run = strand.run
    with contextlib.ExitStack() as held:
        waiter = None
        if resource.mode == "waitForTaskToken":
            waiter = Waiter(new_token(), run.machine_arn)
            run.engine.waiters[waiter.token] = waiter
            held.callback(run.engine.waiters.pop, waiter.token, None)
            strand.context = {**strand.context, "Task": {"Token": waiter.token}}
        arguments = value if state.arguments is MISSING else strand.evaluate(state.arguments, value)
        timeout = seconds(strand, state.timeout, value, "TimeoutSeconds")
        heartbeat = seconds(strand, state.heartbeat, value, "HeartbeatSeconds")
        if (
            heartbeat is not None
            and timeout is not None
            and heartbeat >= timeout
            and isinstance(state.heartbeat, Expression)
        ):
            raise RuntimeFailure("HeartbeatSeconds must be smaller than TimeoutSeconds")
        role, credentials = run.role, None
        if state.credentials is not MISSING:
            credentials = strand.evaluate(state.credentials, value)
            role = str(credentials.get("RoleArn", "")) if isinstance(credentials, dict) else ""
        record = Events(strand, resource)
        record.scheduled(arguments, timeout, heartbeat, credentials)
        try:
            work = attempt(strand, resource, arguments, role, waiter, heartbeat, record)
            result = await within(run.clock, timeout, work)
            if data_size(dumps(result)) > MAX_DATA:
                raise StateFailure(
                    errors.DATA_LIMIT,
                    f"The state/task '{resource.service_name}' returned a result with a size exceeding the maximum "
                    "number of bytes service limit.",
                )
        except StateFailure as error:
            record.failed(error)
            raise
        record.succeeded(result)
    outcome = finish(strand, state, state.next, value, result, result=result)
    if state.output is MISSING and record.said:
        outcome.text = record.said
    return outcome


def seconds(strand: Strand, template: Any, value: Any, field: str) -> int | None:
    """A timeout in seconds."""
    found = integer(strand, template, value)
    if found is not None and found < 1:
        raise RuntimeFailure(f"The value of the field '{field}' must be a positive integer but was {found}")
    return found


async def attempt(
    strand: Strand,
    resource: Resource,
    arguments: Any,
    role: str,
    waiter: Waiter | None,
    heartbeat: int | None,
    record: Events,
) -> Any:
    """Call the integration and wait for what it waits for."""
    run = strand.run
    await asyncio.sleep(0)  # what runs beside this task is scheduled before this one starts, as on AWS
    record.started()
    answer = await run.engine.runner.call(run, resource, arguments, role)
    if waiter is not None:
        record.submitted(answer)
        record.said = await answered(run.clock, waiter, heartbeat)
        return json.loads(record.said)
    if resource.mode:
        record.submitted(answer)
        return await run.engine.runner.completion(run, resource, arguments, answer, role)
    return answer


async def answered(clock: Clock, waiter: Waiter, heartbeat: int | None) -> str:
    """Wait until the token is answered, with JSON text; with a heartbeat, no longer than that between two beats."""
    while not waiter.answer.done():
        waiter.beat.clear()
        beat = asyncio.ensure_future(waiter.beat.wait())
        try:
            both = asyncio.wait((waiter.answer, beat), return_when=asyncio.FIRST_COMPLETED)
            await within(clock, heartbeat, both, heartbeat=True)
        finally:
            beat.cancel()
    return str(waiter.answer.result())


async def within(clock: Clock, limit: float | None, work: Coroutine[Any, Any, Any], heartbeat: bool = False) -> Any:
    """The result of `work`, unless `limit` seconds of the clock pass first.

    Raises:
        TimedOut: they passed.
    """
    if limit is None:
        return await work
    task = asyncio.ensure_future(work)
    bell = asyncio.ensure_future(clock.sleep(limit))
    try:
        await asyncio.wait((task, bell), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimedOut(heartbeat)
    finally:
        for each in (task, bell):
            if not each.done():
                each.cancel()


class Events:
    """The history events of one attempt: LambdaFunction* for a function's ARN, Task* for everything else."""

    def __init__(self, strand: Strand, resource: Resource) -> None:
        self.said = ""  # the JSON text with which a token was answered
        self._strand = strand
        self._resource = resource
        self._lambda = resource.function is not None
        self._common = {} if self._lambda else {"resourceType": resource.type, "resource": resource.event_name}

    def _add(self, kind: str, details: dict[str, Any] | None) -> None:
        self._strand.previous = self._strand.run.history.add(kind, self._strand.previous, details)

    def scheduled(self, arguments: Any, timeout: int | None, heartbeat: int | None, credentials: Any) -> None:
        """The task was handed over, with its evaluated arguments."""
        details: dict[str, Any] = {}
        if timeout is not None:
            details["timeoutInSeconds"] = timeout
        if heartbeat is not None and not self._lambda:
            details["heartbeatInSeconds"] = heartbeat
        if credentials is not None:
            details["taskCredentials"] = {"roleArn": credentials.get("RoleArn", "")}
        if self._lambda:
            details |= {"resource": self._resource.function, "input": dumps(arguments), "inputDetails": COMPLETE}
            self._add("LambdaFunctionScheduled", details)
            return
        region = self._strand.run.engine.region
        self._add("TaskScheduled", {**self._common, "region": region, "parameters": dumps(arguments), **details})

    def started(self) -> None:
        """The call began."""
        self._add("LambdaFunctionStarted", None) if self._lambda else self._add("TaskStarted", dict(self._common))

    def submitted(self, answer: Any) -> None:
        """The call was answered; the work goes on."""
        self._add("TaskSubmitted", {**self._common, "output": dumps(answer), "outputDetails": COMPLETE})

    def succeeded(self, result: Any) -> None:
        """The work is done."""
        kind = "LambdaFunctionSucceeded" if self._lambda else "TaskSucceeded"
        self._add(kind, {**self._common, "output": self.said or dumps(result), "outputDetails": COMPLETE})

    def failed(self, error: StateFailure) -> None:
        """The work failed, or took too long."""
        kind = "TimedOut" if isinstance(error, TimedOut) else "Failed"
        prefix = "LambdaFunction" if self._lambda else "Task"
        self._add(f"{prefix}{kind}", {**self._common, **failure(error.error, error.cause)})
