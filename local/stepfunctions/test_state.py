"""TestState: one state, run alone, with a mock in place of what it would call.

Source: API reference, TestState, and the developer guide, "Testing state machines with TestState API".
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from local.service import ApiError
from local.stepfunctions import definition as asl
from local.stepfunctions import errors, interpreter, mocks
from local.stepfunctions.branches import items_of
from local.stepfunctions.definition import MISSING, State
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.history import History, dumps
from local.stepfunctions.integrations import Resource
from local.stepfunctions.map_runs import percentage
from local.stepfunctions.parse import Reader, parse
from local.stepfunctions.recovery import backoff, catcher_for
from local.stepfunctions.strand import Outcome, Run, Strand, finish, integer, iso

if TYPE_CHECKING:
    from local.stepfunctions.engine import Engine

EXCEEDED = "The specified tolerated failure threshold was exceeded"


async def test_state(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Answer TestState.

    Raises:
        ApiError: ValidationException or InvalidDefinition, where AWS refuses the request.
    """
    raw = find(request)
    mock = request.get("mock") or {}
    settings = request.get("stateConfiguration") or {}
    mocks.check(raw, request, mock)
    state = read(request, raw)
    text = request.get("input", "{}")
    value = load(text, "input")
    variables = load(request.get("variables", "{}"), "variables")
    context = mocks.context(request, value, raw, load)
    strand = Strand(
        Run(engine, engine.clock, History(engine.clock), request.get("roleArn", ""), "", "", context),
        variables, 0, context,
    )  # fmt: skip
    inspection: dict[str, Any] = {"input": text}
    if variables:
        inspection["variables"] = variables
    about: dict[str, Any] = {"Name": state.name, "EnteredTime": iso(engine.clock.time())}
    if isinstance(state, interpreter.RETRYING):
        about["RetryCount"] = settings.get("retrierRetryCount", 0)
    if "context" not in request:
        strand.context = {**context, "State": about}
    answer = await outcome(strand, state, value, text, mock, settings, inspection)
    if request.get("inspectionLevel", "INFO") != "INFO":
        if "variables" in inspection:
            inspection["variables"] = dumps(inspection["variables"])
        answer["inspectionData"] = inspection
    return answer


test_state.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test


def find(request: dict[str, Any]) -> dict[str, Any]:
    """The state to test as it is written: the definition itself, or the state named in a whole machine."""
    raw = load(request.get("definition", ""), "definition")
    name = request.get("stateName")
    if not isinstance(raw, dict):
        raise ApiError("InvalidDefinition", "Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION'")
    if "States" not in raw:
        if name is not None:
            raise ApiError("ValidationException", "State not found in definition")
        return {"QueryLanguage": "JSONPath", **raw}
    found = search(raw, name or str(raw.get("StartAt")))
    if found is None:
        raise ApiError("ValidationException", "State not found in definition")
    return {"QueryLanguage": raw.get("QueryLanguage", "JSONPath"), **found}


def search(program: dict[str, Any], name: str) -> dict[str, Any] | None:
    """A state by its name, wherever in a machine it is."""
    for key, state in program.get("States", {}).items():
        if key == name:
            return dict(state)
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor", {})):
            found = search(inner, name)
            if found is not None:
                return found
    return None


def read(request: dict[str, Any], raw: dict[str, Any]) -> State:
    """The state, typed; a whole machine must be right as a whole."""
    problems = parse(request["definition"]).problems if "stateName" in request else ()
    reader = Reader()
    state = reader.state(request.get("stateName", "StateName"), raw, "", raw["QueryLanguage"])
    problems = (*problems, *reader.problems)
    if problems or state is None:
        said = ", ".join(problem.sentence() for problem in problems)
        raise ApiError("InvalidDefinition", f"Invalid State Machine Definition: '{said}'")
    return state


def load(text: str, field: str) -> Any:
    """A JSON parameter."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        if field == "definition":
            raise ApiError(
                "InvalidDefinition", "Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION'"
            ) from None
        raise ApiError(
            "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{field} is not valid JSON'"
        ) from None


async def outcome(
    strand: Strand,
    state: State,
    value: Any,
    text: str,
    mock: dict[str, Any],
    settings: dict[str, Any],
    seen: dict[str, Any],
) -> dict[str, Any]:
    """Run the state and say how it ended."""
    try:
        result = await run(strand, state, value, text, mock, settings, seen)
    except StateFailure as failure:
        return failed(strand, state, value, failure, settings, seen)
    answer = {"status": "SUCCEEDED", "output": result.text}
    if result.next is not None:
        answer["nextState"] = result.next
    if result.assigned:
        seen["variables"] = {**seen.get("variables", {}), **result.assigned}
    return answer


async def run(
    strand: Strand,
    state: State,
    value: Any,
    text: str,
    mock: dict[str, Any],
    settings: dict[str, Any],
    seen: dict[str, Any],
) -> Outcome:
    """The outcome of the state, with the mock where it would call or run something."""
    if isinstance(state, asl.Wait):
        integer(strand, state.seconds, value)
        return finish(strand, state, state.next, value, value)
    if not isinstance(state, asl.Task | asl.Map | asl.Parallel):
        return await interpreter.BEHAVIOUR[type(state)](strand, state, value, text)
    if isinstance(state, asl.Task):
        return await task(strand, state, value, mock, seen)
    if isinstance(state, asl.Map):
        look_at_map(strand, state, value, settings, seen)
    elif state.arguments is not MISSING:
        seen["afterArguments"] = dumps(strand.evaluate(state.arguments, value))
    if "errorOutput" in mock:
        raise mocks.error(mock)
    if isinstance(state, asl.Map) and exceeded(strand, state, value, settings):
        raise StateFailure(errors.THRESHOLD, EXCEEDED)
    return mocked(strand, state, value, mock)


async def task(strand: Strand, state: asl.Task, value: Any, mock: dict[str, Any], seen: dict[str, Any]) -> Outcome:
    """A Task: mocked, or called for real."""
    resource = Resource.of(state.resource)
    arguments = value if state.arguments is MISSING else strand.evaluate(state.arguments, value)
    if state.arguments is not MISSING:
        seen["afterArguments"] = dumps(arguments)
    for template in (state.timeout, state.heartbeat):
        integer(strand, template, value)
    if "errorOutput" in mock:
        raise mocks.error(mock)
    if "result" in mock:
        seen["result"] = mock["result"]
        return mocked(strand, state, value, mock)
    result = await strand.run.engine.runner.call(strand.run, resource, arguments, strand.run.role)
    seen["result"] = dumps(result)
    return finish(strand, state, state.next, value, result, result=result)


def mocked(strand: Strand, state: State, value: Any, mock: dict[str, Any]) -> Outcome:
    """The outcome with the mocked result; without Output the mock's own text is the output."""
    result = json.loads(mock["result"])
    done = finish(strand, state, state.next, value, result, result=result)
    if state.output is MISSING:
        done.text = mock["result"]
    return done


def look_at_map(strand: Strand, state: asl.Map, value: Any, settings: dict[str, Any], seen: dict[str, Any]) -> None:
    """What TestState shows of a Map."""
    if state.reader is None:
        items = items_of(strand, state, value)
        if state.items is not MISSING:
            seen["afterItems"] = dumps(items)
        if state.selector is not MISSING:
            inner = Strand(strand.run, strand.variables, 0, strand.context)
            made = []
            for index, item in enumerate(items):
                inner.context = {**strand.context, "Map": {"Item": {"Index": index, "Value": item}}}
                made.append(inner.evaluate(state.selector, value))
            seen["afterItemSelector"] = dumps(made)
    seen.pop("afterItems", None)  # the API has no member for it
    seen["maxConcurrency"] = integer(strand, state.max_concurrency, value) or 0
    if state.tolerated_count is not MISSING:
        seen["toleratedFailureCount"] = integer(strand, state.tolerated_count, value)
    if state.tolerated_percentage is not MISSING:
        seen["toleratedFailurePercentage"] = percentage(strand, state, value)


def exceeded(strand: Strand, state: asl.Map, value: Any, settings: dict[str, Any]) -> bool:
    """Whether the failed iterations that the request tells of are more than the state tolerates."""
    bad = settings.get("mapIterationFailureCount", 0)
    tolerated = integer(strand, state.tolerated_count, value)
    if tolerated is not None and bad > tolerated:
        return True
    share = percentage(strand, state, value)
    with contextlib.suppress(StateFailure):
        return bool(share and state.reader is None and bad * 100 > share * len(items_of(strand, state, value)))
    return False


def failed(
    strand: Strand, state: State, value: Any, failure: StateFailure, settings: dict[str, Any], seen: dict[str, Any]
) -> dict[str, Any]:
    """The answer for an error: to be retried, caught, or neither."""
    answer: dict[str, Any] = {"status": "FAILED", **{k.lower(): v for k, v in failure.output().items()}}
    used = settings.get("retrierRetryCount", 0)
    for index, retrier in enumerate(state.retry):
        if failure.matches(retrier.errors):
            if used < retrier.attempts:
                seen["errorDetails"] = {
                    "retryIndex": index, "retryBackoffIntervalSeconds": int(backoff(retrier, used)),
                }  # fmt: skip
                return answer | {"status": "RETRIABLE"}
            break
    catcher = catcher_for(state.catch, failure)
    if catcher is None:
        return answer
    try:
        caught = finish(strand, catcher, catcher.next, value, failure.output(), errorOutput=failure.output())
    except StateFailure as error:
        return {"status": "FAILED", **{k.lower(): v for k, v in error.output().items()}}
    if caught.assigned:
        seen["variables"] = {**seen.get("variables", {}), **caught.assigned}
    seen["errorDetails"] = {"catchIndex": state.catch.index(catcher)}
    return answer | {"status": "CAUGHT_ERROR", "output": caught.text, "nextState": caught.next}
