"""Runs executions: one event loop in a thread of its own, from start to stop, with history and status events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.clock import Clock
from local.stepfunctions import errors, interpreter
from local.stepfunctions.definition import Program
from local.stepfunctions.errors import StateFailure, TimedOut
from local.stepfunctions.executions import Execution
from local.stepfunctions.history import History, failure
from local.stepfunctions.map_runs import MapRun
from local.stepfunctions.store import Store
from local.stepfunctions.strand import Run, Strand
from local.stepfunctions.tasks import Waiter, within

Emit = Callable[[str, str, dict[str, Any], list[str]], None]


class Engine:
    """Executions that run, and what they share. Everything but `ask` happens in the loop's thread."""

    def __init__(self, region: str, account: str, clock: Clock, runner: Any, emit: Emit, store: Store) -> None:
        self.region = region
        self.account = account
        self.clock = clock
        self.runner = runner
        self.store = store
        self.waiters: dict[str, Waiter] = {}
        self.map_runs: dict[str, MapRun] = {}
        self.live: dict[str, tuple[Execution, History, asyncio.Task[None]]] = {}
        self._emit = emit
        self._emitter = ThreadPoolExecutor(1, "emit")
        self._loop = clock.new_loop()
        self._thread = threading.Thread(target=self._serve, name="stepfunctions", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the loop, from any other thread, and return its result."""
        with self.clock.hold():
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def halt(self) -> None:
        """Stop what runs; it ends as failed, at the place where it stands, so that it can be redriven."""
        self.ask(self._stop_all())

    def close(self) -> None:
        """Stop what runs, as `halt` does, and the engine."""
        self.halt()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._emitter.shutdown(wait=True)

    async def _stop_all(self) -> None:
        for execution, _, _ in self.live.values():
            execution.error, execution.cause = errors.RUNTIME, "Step Functions was shut down while the execution ran."
            execution.status = "FAILED"
        tasks = [task for execution, _, task in self.live.values() if not execution.map_run]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def start(
        self, execution: Execution, program: Program, events: list[dict[str, Any]] | None = None
    ) -> asyncio.Task[None]:
        """Start an execution, or take one up again from where it stands."""
        history = History(self.clock, events)
        task = self._loop.create_task(self._run(execution, program, history))
        self.live[execution.arn] = (execution, history, task)
        if not execution.express:
            self.store.save(execution, None)
            self.announce(execution)
        return task

    async def run_child(self, execution: Execution, program: Program) -> None:
        """Run a child of a map run to its end, inside the task that asks; cancelling that task aborts the child."""
        history = History(self.clock, self.store.history(execution.arn) if execution.redrives else None)
        task = asyncio.current_task()
        assert task is not None
        self.live[execution.arn] = (execution, history, task)
        await self._run(execution, program, history)

    async def _run(self, execution: Execution, program: Program, history: History) -> None:
        value = json.loads(execution.input)
        name = execution.machine_arn.split(":")[6].split("/")[0]
        context = execution.context(name, value)
        run = Run(self, self.clock, history, execution.role, execution.arn, execution.machine_arn, context)
        if execution.redrives:
            previous = history.add("ExecutionRedriven", len(history.events), {"redriveCount": execution.redrives})
        else:
            previous = 0
            details = {"input": execution.input, "inputDetails": {"truncated": False}, "roleArn": execution.role}
            history.add("ExecutionStarted", 0, details)
        strand = Strand(run, {}, previous, context, execution.place)
        try:
            try:
                work = interpreter.walk(strand, program, value, execution.input)
                _, text = await within(self.clock, program.timeout, named(work))
            except TimedOut as error:
                execution.status = "TIMED_OUT"
                self._fail(execution, strand, error)
            except StateFailure as error:
                execution.status = "FAILED"
                self._fail(execution, strand, error)
            except asyncio.CancelledError:
                self._cancelled(execution, strand)
                if execution.map_run:
                    raise
            except Exception as error:
                # A fault of this engine ends the execution, and says so; it must not leave it running for ever.
                execution.status = "FAILED"
                self._fail(execution, strand, StateFailure(errors.RUNTIME, f"Internal fault: {error!r}"))
            else:
                execution.status, execution.output = "SUCCEEDED", text
                details = {"output": text, "outputDetails": {"truncated": False}}
                history.add("ExecutionSucceeded", strand.previous, details)
        finally:
            self._ended(execution, history)

    def _fail(self, execution: Execution, strand: Strand, error: StateFailure) -> None:
        """End an execution with an error."""
        execution.error, execution.cause = error.error, error.cause
        if execution.status == "TIMED_OUT":  # by its own TimeoutSeconds: only the event names the error
            execution.error = None
            strand.run.history.add("ExecutionTimedOut", 0, {"error": errors.TIMEOUT})
            return
        strand.run.history.add("ExecutionFailed", strand.previous, failure(error.error, error.cause))

    def _cancelled(self, execution: Execution, strand: Strand) -> None:
        """End an execution that was stopped: by StopExecution, or because the service closes."""
        if execution.status == "RUNNING":
            execution.status = "ABORTED"
        history = strand.run.history
        kind, previous = "ExecutionAborted", 0  # it comes from outside, so nothing in the history led to it
        if execution.status != "ABORTED":
            kind, previous = "ExecutionFailed", len(history.events)
        history.add(kind, previous, failure(execution.error, execution.cause))

    def _ended(self, execution: Execution, history: History) -> None:
        execution.stopped = self.clock.time()
        if execution.status == "SUCCEEDED":
            execution.place = {}
        self.live.pop(execution.arn, None)
        if not execution.express:
            self.store.save(execution, history.events)
            self.announce(execution)

    def announce(self, execution: Execution) -> None:
        """Tell the event bus of an execution's status, in order, beside the loop."""
        if execution.map_run:
            return
        detail = execution.event(self.clock.time())
        held = contextlib.ExitStack()
        held.enter_context(self.clock.hold())

        def emit() -> None:
            with held:
                self._emit("aws.states", "Step Functions Execution Status Change", detail, [execution.arn])

        self._emitter.submit(emit)


async def named(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`; a Task's timeout that nothing caught is a failure like any other, not the machine's own."""
    try:
        return await work
    except TimedOut as error:
        raise StateFailure(error.error, error.cause) from error
