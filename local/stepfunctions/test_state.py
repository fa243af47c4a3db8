"""TestState: one state, run alone, with a mock in place of what it would call.

Source: API reference, TestState, and the developer guide, "Testing state machines with TestState API".
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from local.service import ApiError
from local.stepfunctions import definition as asl
from local.stepfunctions import distributed, errors, interpreter, mocks, reader
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


async def test_state(engine: Engine, request: dict[str, Any], owner: str) -> dict[str, Any]:
    """Answer TestState; `owner` is region and account, as ARNs have them.

    Raises:
        ApiError: ValidationException or InvalidDefinition, where AWS refuses the request.
    """
    raw = find(request)
    mock = request.get("mock")
    settings = request.get("stateConfiguration") or {}
    mocks.check(raw, request, mock)
    mock = mock or {}
    state = read(request, raw)
    text = request.get("input", "{}")
    value = load(text, "input")
    variables = load(request.get("variables", "{}"), "variables")
    context = mocks.context(request, value, raw, load, owner)
    strand = Strand(
        Run(engine, engine.clock, History(engine.clock), request.get("roleArn", ""), "", "", context),
        variables, 0, context,
    )  # fmt: skip
    inspection: dict[str, Any] = {"input": text}
    if variables:
        inspection["variables"] = variables
    about: dict[str, Any] = {"Name": "StateName", "EnteredTime": iso(engine.clock.time())}
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
    problems = parse(request["definition"], mocked=True).problems if "stateName" in request else ()
    typed = Reader(mocked="mock" in request)
    state = typed.state(request.get("stateName", "StateName"), raw, "", raw["QueryLanguage"])
    problems = (*problems, *typed.problems)
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
        interpreter.waiting_time(strand, state, value)
        return finish(strand, state, state.next, value, value)
    if not isinstance(state, asl.Task | asl.Map | asl.Parallel):
        return await interpreter.BEHAVIOUR[type(state)](strand, state, value, text)
    if isinstance(state, asl.Task):
        return await task(strand, state, value, mock, seen)
    bad = settings.get("mapIterationFailureCount", 0)
    count = 0
    if isinstance(state, asl.Map):
        count = await look_at_map(strand, state, value, settings, seen)
        if bad > count:
            raise mocks.refused(
                "Map iteration failure count must be less than or equal to the number of Map iterations"
            )
    elif state.arguments is not MISSING:
        seen["afterArguments"] = dumps(strand.evaluate(state.arguments, value))
    if "errorOutput" in mock:
        raise mocks.error(mock)
    if isinstance(state, asl.Map):
        if exceeded(strand, state, value, count, bad):
            raise StateFailure(errors.THRESHOLD, EXCEEDED)
        result = json.loads(mock["result"])
        if isinstance(result, list) and len(result) != count:
            raise mocks.refused("Input array does not equal the mocked result array's size")
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


async def look_at_map(
    strand: Strand, state: asl.Map, value: Any, settings: dict[str, Any], seen: dict[str, Any]
) -> int:
    """Show what TestState shows of a Map; returns the number of its iterations."""
    if state.reader is None:
        items = items_of(strand, state, value)
    else:
        pointer = "" if state.reader.pointer is MISSING else str(strand.evaluate(state.reader.pointer, value))
        items = list(reader.parsed(io.StringIO(settings["mapItemReaderData"]), state.reader, pointer))
        if pointer:
            seen["afterItemsPointer"] = dumps(items)
    count = len(items)
    if state.selector is not MISSING:
        made = [item async for _, item in distributed.selected(strand, state, value, items)]
        seen["afterItemSelector"] = listed(made)
    if state.batcher is not None:
        frames = [json.loads(text) async for _, text in distributed.batches(strand, state, value, items)]
        count = len(frames)
        seen["afterItemBatcher"] = listed([{**frame, "Items": [dumps(i) for i in frame["Items"]]} for frame in frames])
    seen["maxConcurrency"] = integer(strand, state.max_concurrency, value) or 0
    if state.tolerated_count is not MISSING:
        seen["toleratedFailureCount"] = integer(strand, state.tolerated_count, value)
    if state.tolerated_percentage is not MISSING:
        seen["toleratedFailurePercentage"] = percentage(strand, state, value)
    return count


def listed(values: list[Any]) -> str:
    """JSON values as TestState lists them."""
    return "[" + ", ".join(dumps(value) for value in values) + "]"


def exceeded(strand: Strand, state: asl.Map, value: Any, count: int, bad: int) -> bool:
    """Whether `bad` failed iterations of `count` are more than the state tolerates."""
    tolerated = integer(strand, state.tolerated_count, value)
    if tolerated is not None and bad > tolerated:
        return True
    share = percentage(strand, state, value)
    return bool(share and bad * 100 > share * count)


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
            seen["errorDetails"] = {"retryIndex": index}
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
    seen["errorDetails"] = {**seen.get("errorDetails", {}), "catchIndex": state.catch.index(catcher)}
    return answer | {"status": "CAUGHT_ERROR", "output": caught.text, "nextState": caught.next}
