"""The Step Functions API (awsJson1.0, AWSStepFunctions.*) over machines and executions."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from botocore import xform_name

from local.clock import Clock
from local.service import ApiError
from local.stepfunctions.engine import Emit, Engine
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.executions import Execution, present
from local.stepfunctions.history import MAX_DATA, data_size
from local.stepfunctions.machines import NAME, SETTINGS, Machines
from local.stepfunctions.map_runs import MapRun
from local.stepfunctions.paging import PAGE, offset_token, page, token_offset
from local.stepfunctions.runner import Client, Runner
from local.stepfunctions.scopes import variables
from local.stepfunctions.sdk import actions
from local.stepfunctions.store import Store
from local.stepfunctions.tasks import TOKEN, Waiter
from local.stepfunctions.test_state import test_state


class StepFunctions:
    """One account's Step Functions in one region."""

    def __init__(
        self, region: str, account: str, clock: Clock, client: Client, emit: Emit, state: Path | None = None
    ) -> None:
        self._region = region
        self._account = account
        self._clock = clock
        self._store = Store(state)
        self._runner = Runner(client, clock)
        self._machines = Machines(region, account, clock, self._store)
        self._engine = Engine(region, account, clock, self._runner, emit, self._store)
        self._engine.ask(self._give_up_the_lost())

    def handle(self, action: str, request: dict[str, Any], caller_arn: str = "") -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse, and NotImplemented for what only this service refuses.
        """
        name = xform_name(action)
        own = getattr(self, f"_{name}", None)
        kept = getattr(self._machines, name, None) or getattr(self._machines.versions, name, None)
        if action not in actions() or not (own or kept):
            raise ApiError("UnknownOperationException", f"The action {action} is not run by this Step Functions", 501)
        answer: dict[str, Any] = self._engine.ask(own(request) if own else promptly(kept, request))
        return answer

    def halt(self) -> None:
        """End what runs; it ends as failed, at the place where it stands, so that it can be redriven."""
        self._engine.halt()

    def close(self) -> None:
        """End what runs and save it."""
        self._engine.close()
        self._runner.close()
        self._store.close()

    async def _give_up_the_lost(self) -> None:
        """Executions that ran when the process died end as failed, and say so."""
        for execution in self._store.running():
            execution.status, execution.error = "FAILED", "States.Runtime"
            execution.cause = "Step Functions was killed while the execution ran."
            execution.stopped = self._clock.time()
            self._store.save(execution, [])
            self._engine.announce(execution)

    async def _describe_state_machine_for_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        return present({
            "stateMachineArn": execution.machine_arn, "name": execution.machine_arn.split(":")[6],
            "definition": execution.definition, "roleArn": execution.role,
            "updateDate": execution.updated or execution.started, "revisionId": execution.revision or None,
            "mapRunArn": execution.map_run, **SETTINGS,
            "variableReferences": variables(self._machines.program(execution.definition)) or None,
        })  # fmt: skip

    async def _test_state(self, request: dict[str, Any]) -> dict[str, Any]:
        return await test_state(self._engine, request, f"{self._region}:{self._account}")

    async def _start_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        machine, version_arn, alias_arn = self._machines.resolve(request.get("stateMachineArn", ""))
        name = request.get("name") or str(uuid.uuid4())
        if not NAME.fullmatch(name):
            raise ApiError("InvalidName", f"Invalid Name: '{name}'")
        text = execution_input(request)
        express = machine["type"] == "EXPRESS"
        arn = f"arn:aws:states:{self._region}:{self._account}:execution:{machine['name']}:{name}"
        if express:
            arn = arn.replace(":execution:", ":express:") + f":{uuid.uuid4()}"
        elif (old := self._find(arn)) is not None:
            if old.status == "RUNNING" and old.input == text:
                return {"executionArn": arn, "startDate": old.started}
            raise ApiError("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
        execution = Execution(
            arn, name, self._machines.get(machine["stateMachineArn"])["stateMachineArn"], machine["roleArn"],
            machine["definition"], text, self._clock.time(), version_arn=version_arn, alias_arn=alias_arn,
            express=express, revision=machine["revisionId"], trace=request.get("traceHeader"),
            updated=machine["updated"],
        )  # fmt: skip
        self._engine.start(execution, self._machines.program(execution.definition))
        return {"executionArn": arn, "startDate": execution.started}

    async def _start_sync_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._machines.get(request.get("stateMachineArn", ""))["type"] != "EXPRESS":
            raise ApiError(
                "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
            )
        arn = (await self._start_execution(request))["executionArn"]
        execution, _, task = self._engine.live[arn]
        await task
        spent = round((execution.stopped - execution.started) * 1000)  # type: ignore[operator]
        answer = {key: value for key, value in execution.describe(self._clock.time()).items() if "edrive" not in key}
        billing = {"billedDurationInMilliseconds": -(-max(1, spent) // 100) * 100, "billedMemoryUsedInMB": 64}
        return {**answer, "billingDetails": billing}

    async def _stop_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        if execution.map_run:
            raise ApiError("ValidationException", "A child of a map run is stopped with its parent here")
        if execution.arn in self._engine.live:
            _, _, task = self._engine.live[execution.arn]
            execution.status = "ABORTED"
            execution.error, execution.cause = request.get("error"), request.get("cause")
            task.cancel()
            await task
        return {"stopDate": execution.stopped}

    async def _describe_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._execution(request).describe(self._clock.time())

    async def _list_executions(self, request: dict[str, Any]) -> dict[str, Any]:
        owner = request.get("mapRunArn") or self._machines.get(request.get("stateMachineArn", ""))["stateMachineArn"]
        limit = min(request.get("maxResults") or PAGE, 1000)
        offset = token_offset(request.get("nextToken"))
        found = self._store.find(owner, request.get("statusFilter"), limit + 1, offset)
        answer: dict[str, Any] = {"executions": [execution.listed() for execution in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = offset_token(offset + limit)
        return answer

    async def _get_execution_history(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        live = self._engine.live.get(execution.arn)
        events = live[1].events if live else self._store.history(execution.arn)
        if request.get("reverseOrder"):
            events = events[::-1]
        answer = page(events, request, "events")
        if request.get("includeExecutionData") is False:
            answer["events"] = [without_data(event) for event in answer["events"]]
        return answer

    async def _redrive_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        if execution.map_run:
            raise ApiError("ValidationException", "Labeled Execution ARNs are not supported for this API")
        token = request.get("clientToken")
        if token in execution.redrive_tokens:
            return {"redriveDate": execution.redrive_tokens[token]}
        now = self._clock.time()
        status, reason = execution.redrive_status(now)
        if status != "REDRIVABLE":
            raise ApiError("ExecutionNotRedrivable", f"Execution {execution.arn} invalid for redrive as: {reason}")
        if token:
            kept = list(execution.redrive_tokens.items())[-9:]  # the last ten are remembered
            execution.redrive_tokens = dict([*kept, (token, now)])
        events = self._store.history(execution.arn)
        execution.status, execution.stopped = "RUNNING", None
        execution.error = execution.cause = execution.output = None
        execution.redrives += 1
        execution.redriven = now
        self._engine.start(execution, self._machines.program(execution.definition), events)
        return {"redriveDate": now}

    # Map runs

    async def _describe_map_run(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._map_run(request).describe()

    async def _list_map_runs(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = self._execution(request).arn
        stored = {row["arn"]: MapRun(**row) for row in self._store.all("map_run")} | self._engine.map_runs
        runs = sorted((run for run in stored.values() if run.execution_arn == arn), key=lambda run: -run.started)
        return page([run.listed() for run in runs], request, "mapRuns")

    async def _update_map_run(self, request: dict[str, Any]) -> dict[str, Any]:
        run = self._map_run(request)
        run.max_concurrency = request.get("maxConcurrency", run.max_concurrency)
        run.tolerated_percentage = request.get("toleratedFailurePercentage", run.tolerated_percentage)
        run.tolerated_count = request.get("toleratedFailureCount", run.tolerated_count)
        return {}

    def _map_run(self, request: dict[str, Any]) -> MapRun:
        arn = request.get("mapRunArn", "")
        row = self._store.get("map_run", arn)
        run = self._engine.map_runs.get(arn) or (MapRun(**row) if row else None)
        if run is None:
            raise ApiError("ResourceNotFound", f"Resource not found: '{arn}'")
        return run

    def _find(self, arn: str) -> Execution | None:
        live = self._engine.live.get(arn)
        return live[0] if live else self._store.load(arn)

    def _execution(self, request: dict[str, Any]) -> Execution:
        arn = request.get("executionArn", "")
        if ":execution:" not in arn:
            raise ApiError("InvalidArn", f"Invalid Arn: 'Invalid ARN prefix: {arn}'")
        found = self._find(arn)
        if found is None:
            raise ApiError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return found

    # Task tokens

    async def _send_task_success(self, request: dict[str, Any]) -> dict[str, Any]:
        output = request.get("output", "")
        try:
            json.loads(output)
        except ValueError:
            raise ApiError("InvalidOutput", "Invalid Output: 'Output is not valid JSON'") from None
        self._waiter(request).answer.set_result(output)
        return {}

    async def _send_task_failure(self, request: dict[str, Any]) -> dict[str, Any]:
        self._waiter(request).answer.set_exception(StateFailure(request.get("error"), request.get("cause")))
        return {}

    async def _send_task_heartbeat(self, request: dict[str, Any]) -> dict[str, Any]:
        self._waiter(request).beat.set()
        return {}

    def token_machine(self, token: str) -> str | None:
        """The machine that waits for a token: IAM checks SendTask* calls against its ARN."""
        waiter = self._engine.waiters.get(token)
        return waiter.machine_arn if waiter else None

    def _waiter(self, request: dict[str, Any]) -> Waiter:
        token = request.get("taskToken", "")
        if not token.startswith(TOKEN):
            raise ApiError("InvalidToken", "Invalid Token: 'Invalid token'")
        waiter = self._engine.waiters.get(token)
        if waiter is None or waiter.answer.done():
            raise ApiError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        return waiter


async def promptly(method: Any, request: dict[str, Any]) -> Any:
    """A method that does not wait, in the engine's loop: there everything has its turn."""
    return method(request)


def execution_input(request: dict[str, Any]) -> str:
    """The input of a start: JSON text of at most 256 KB."""
    text = request.get("input", "{}")
    try:
        json.loads(text)
    except (TypeError, ValueError):
        raise ApiError(
            "InvalidExecutionInput", "Invalid State Machine Execution Input: 'The input is not valid JSON'"
        ) from None
    if data_size(text) > MAX_DATA:
        raise ApiError(
            "ValidationException",
            "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less "
            "than or equal to 262144",
        )
    return str(text)


def without_data(event: dict[str, Any]) -> dict[str, Any]:
    """An event without inputs and outputs."""
    hidden = {
        "input",
        "output",
        "inputDetails",
        "outputDetails",
        "parameters",
        "assignedVariables",
        "assignedVariablesDetails",
    }
    return {k: {n: d for n, d in v.items() if n not in hidden} if isinstance(v, dict) else v for k, v in event.items()}
