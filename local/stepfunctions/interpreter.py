"""Running states: a strand walks from state to state, with retries and catchers, writing history on its way."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

from local.stepfunctions import branches, distributed, errors, tasks
from local.stepfunctions import definition as asl
from local.stepfunctions.definition import MISSING, Program, State
from local.stepfunctions.errors import ExecutionEnded, StateFailure
from local.stepfunctions.history import dumps
from local.stepfunctions.jsonata import EvaluationError, Template
from local.stepfunctions.recovery import Retries, catcher_for
from local.stepfunctions.strand import Outcome, RuntimeFailure, Strand, VariableLimitError, finish, integer, iso


async def walk(strand: Strand, program: Program, value: Any, text: str) -> tuple[Any, str]:
    """Run a program from its start, or from where its strand stood, and return its output as a value and as JSON.

    Raises:
        StateFailure: a state failed and nothing caught it.
    """
    name: str | None = strand.place.get("state", program.start_at)
    if strand.place:  # a redrive
        value = strand.place["input"]
        text = dumps(value)
        strand.variables = strand.place["variables"]
    steps = 0
    while name is not None:
        state = program.states[name]
        if strand.place.get("state") != name or strand.place.get("input") is not value:
            strand.place.clear()
            strand.place.update(state=name, input=value, variables=strand.variables)
        outcome = await visit(strand, state, value, text)
        strand.place.clear()
        value, text, name = outcome.output, outcome.text, outcome.next
        steps += 1
        if steps % 16 == 0:
            await asyncio.sleep(0)  # let the other executions of this loop have their turn
    return value, text


async def visit(strand: Strand, state: State, value: Any, text: str) -> Outcome:
    """Enter a state, run it with its retries and catchers, and leave it."""
    run = strand.run
    place = strand.place
    strand.came_from = strand.previous
    if "entered" not in place:
        place["entered"] = strand.previous = run.history.entered(state.type, strand.previous, state.name, text)
        place["time"] = iso(run.clock.time())
    elif not isinstance(state, asl.Fail):  # a redriven state is not entered again; its events follow from its entry
        strand.previous = place["entered"]
    about: dict[str, Any] = {"Name": state.name, "EnteredTime": place["time"]}
    if isinstance(state, RETRYING):
        about["RetryCount"] = 0
    strand.context = {**strand.context, "State": about}
    strand.entered = place["entered"]
    strand.open, strand.text = state.type, text
    retries = Retries(state.retry)
    while True:
        try:
            outcome = await BEHAVIOUR[type(state)](strand, state, value, text)
            break
        except ExecutionEnded:
            raise
        except StateFailure as failure:
            failed = said(strand, state, failure)
            delay = retries.delay(failed)
            if delay is not None:
                await run.clock.sleep(delay)
                for kept in ("started", "parts", "map_run"):  # a retry starts anew; a redrive keeps what succeeded
                    place.pop(kept, None)
                strand.context = {**strand.context, "State": {**about, "RetryCount": retries.count}}
                continue
            if isinstance(state, asl.Map | asl.Parallel) and failed.error != errors.RUNTIME:
                strand.previous = run.history.add(f"{state.type}StateFailed", strand.previous)
            catcher = catcher_for(state.catch, failed)
            if catcher is None:
                raise failed from None
            outcome = catch(strand, state, catcher, failed, value)
            break
    if outcome.assigned:
        strand.variables = {**strand.variables, **outcome.assigned}
    strand.previous = run.history.exited(state.type, strand.previous, state.name, outcome.text, outcome.assigned)
    strand.open = ""
    return outcome


def said(strand: Strand, state: State, failure: StateFailure) -> StateFailure:
    """The failure as it leaves the state: faults of the state itself say where they happened."""
    if not isinstance(failure, OWN_FAULTS):
        return failure
    failed: StateFailure = failure
    if not isinstance(failure, VariableLimitError):
        where = f"An error occurred while executing the state '{state.name}' (entered at the event id"
        failed = StateFailure(failure.error, f"{where} #{strand.entered}). {failure.cause}")
    if isinstance(failure, EvaluationError):
        details = {"error": failed.error, "cause": failed.cause, "state": state.name}
        if failure.location is not None:
            details["location"] = failure.location
        # What fails on entering a state follows, for AWS, from what led to the state.
        on_entry = strand.previous == strand.entered and not isinstance(failure, VariableLimitError)
        strand.previous = strand.run.history.add(
            "EvaluationFailed", strand.came_from if on_entry else strand.previous, details
        )
    return failed


def catch(strand: Strand, state: State, catcher: asl.Catcher, failure: StateFailure, value: Any) -> Outcome:
    """The outcome of a state whose error was caught."""
    try:
        return finish(strand, catcher, catcher.next, value, failure.output(), errorOutput=failure.output())
    except EvaluationError as error:
        raise said(strand, state, error) from None


async def pass_state(strand: Strand, state: asl.Pass, value: Any, text: str) -> Outcome:
    """Pass and Succeed."""
    if state.assign is MISSING and state.output is MISSING:
        return Outcome(value, text, state.next)
    return finish(strand, state, state.next, value, value)


async def fail_state(strand: Strand, state: asl.Fail, value: Any, text: str) -> Outcome:
    """Fail: the error is the outcome."""
    error, cause = (text_of(strand, template, value) for template in (state.error, state.cause))
    raise StateFailure(error, cause)


def text_of(strand: Strand, template: Template, value: Any) -> str | None:
    """Error or Cause of a Fail state."""
    if template is MISSING:
        return None
    result = strand.evaluate(template, value)
    if not isinstance(result, str):
        raise template.expect(result, "string")
    return result


async def wait_state(strand: Strand, state: asl.Wait, value: Any, text: str) -> Outcome:
    """Wait: until a time on this engine's clock."""
    await strand.run.clock.sleep(waiting_time(strand, state, value))
    return finish(strand, state, state.next, value, value)


def waiting_time(strand: Strand, state: asl.Wait, value: Any) -> float:
    """Seconds that a Wait takes from now; 0 for a time that is past."""
    if state.seconds is not MISSING:
        seconds = integer(strand, state.seconds, value) or 0
        if seconds < 0:
            raise state.seconds.expect(seconds, "number")
        return seconds
    stamp = strand.evaluate(state.timestamp, value)
    try:
        if not asl.TIMESTAMP.fullmatch(stamp):
            raise ValueError(stamp)
        until = dt.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except (TypeError, ValueError):
        raise RuntimeFailure(
            "The Timestamp parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            f"{stamp}"
        ) from None
    return max(0.0, until - strand.run.clock.time())


async def choice_state(strand: Strand, state: asl.Choice, value: Any, text: str) -> Outcome:
    """Choice: the first rule whose condition is true."""
    for rule in state.rules:
        holds = strand.evaluate(rule.condition, value)
        if not isinstance(holds, bool):
            raise rule.condition.expect(holds, "boolean")
        if holds:
            return finish(strand, rule, rule.next, value, value)
    if state.default is None:
        # AWS reports this as States.Runtime, whatever the guide says of States.NoChoiceMatched.
        raise RuntimeFailure("Failed to transition out of the state. The state does not point to a next state.")
    return finish(strand, state, state.default, value, value)


OWN_FAULTS = (EvaluationError, RuntimeFailure)
RETRYING = (asl.Task, asl.Parallel, asl.Map)
BEHAVIOUR: dict[type, Callable[[Strand, Any, Any, str], Awaitable[Outcome]]] = {
    asl.Pass: pass_state,
    asl.Succeed: pass_state,
    asl.Fail: fail_state,
    asl.Wait: wait_state,
    asl.Choice: choice_state,
    asl.Task: tasks.task_state,
    asl.Parallel: branches.parallel_state,
    asl.Map: distributed.map_state,
}
