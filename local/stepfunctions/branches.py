"""Parallel and inline Map: strands inside a state, each with variables of its own that outer strands never see."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from local.stepfunctions import definition as asl
from local.stepfunctions import errors, interpreter
from local.stepfunctions.definition import MISSING
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.history import dumps
from local.stepfunctions.jsonata import EvaluationError, Expression
from local.stepfunctions.strand import Outcome, Strand, finish, integer

MAX_CONCURRENCY = 40  # iterations of an inline Map that run at once (developer guide, "Map state")


async def parallel_state(strand: Strand, state: asl.Parallel, value: Any, text: str) -> Outcome:
    """Parallel: every branch gets the same input; the outputs come as a list in the order of the branches."""
    history = strand.run.history
    if state.arguments is not MISSING:
        value = strand.evaluate(state.arguments, original := value)
        text = dumps(value)
    else:
        original = value
    started, parts = begin(strand, len(state.branches), "ParallelStateStarted")
    strand.children = [strand.child(started, strand.context, part["place"]) for part in parts]

    async def branch(index: int) -> Any:
        inner, part = strand.children[index], parts[index]
        if "output" not in part:
            part["output"], _ = await interpreter.walk(inner, state.branches[index], value, text)
            strand.previous = inner.previous
        return part["output"]

    failure = Failure()
    work = [failure.noted(i, branch) for i in range(len(state.branches))]
    try:
        results = await together(work, len(work))
    except StateFailure as error:
        strand.previous = strand.children[failure.index].previous
        if error.error != errors.RUNTIME:
            for child in strand.children:
                aborted(child, strand.previous)
        raise
    history.add("ParallelStateSucceeded", strand.previous)
    return finish(strand, state, state.next, original, results, result=results)


async def inline_map(strand: Strand, state: asl.Map, value: Any, text: str) -> Outcome:
    """Map, inline: one iteration an item, at most MaxConcurrency at a time."""
    history = strand.run.history
    items = items_of(strand, state, value)
    limit = min(integer(strand, state.max_concurrency, value) or MAX_CONCURRENCY, MAX_CONCURRENCY)
    last, parts = begin(strand, len(items), "MapStateStarted", {"length": len(items)})
    strand.children = [strand.child(part.get("started", 0), strand.context, part["place"]) for part in parts]
    todo = [i for i, part in enumerate(parts) if "output" not in part]

    def start(index: int, previous: int) -> None:
        if not strand.children[index].previous:  # an iteration that is redriven does not start again
            started = history.add("MapIterationStarted", previous, named(index))
            strand.children[index].previous = parts[index]["started"] = started

    def named(index: int) -> dict[str, Any]:
        return {"name": state.name, "index": index}

    async def iteration(index: int) -> Any:
        nonlocal last
        inner = strand.children[index]
        start(index, last)
        inner.context = {**strand.context, "Map": map_context(items, index)}
        item = items[index] if state.selector is MISSING else inner.evaluate(state.selector, value)
        parts[index]["output"], _ = await interpreter.walk(inner, state.processor, item, dumps(item))
        last = inner.previous
        strand.previous = history.add("MapIterationSucceeded", inner.previous, named(index))

    for index in todo[:limit]:
        start(index, last)
    failure = Failure()
    try:
        await together([failure.noted(i, iteration) for i in todo], limit)
    except StateFailure as error:
        strand.previous = strand.children[failure.index].previous
        if error.error != errors.RUNTIME and not isinstance(error, EvaluationError):
            for index in (i for i in todo if strand.children[i].previous and "output" not in parts[i]):
                kind = "MapIterationFailed" if index == failure.index else "MapIterationAborted"
                history.add(kind, strand.previous, named(index))
                aborted(strand.children[index], strand.previous)
        raise
    history.add("MapStateSucceeded", strand.previous)
    results = [part["output"] for part in parts]
    return finish(strand, state, state.next, value, results, result=results)


def begin(
    strand: Strand, count: int, event: str, details: dict[str, Any] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """Start the parts of a state, or take them up again on a redrive: the id of `event`, and what is known of each.

    A part has the `place` where its strand stands and, once it succeeded, its `output`.
    """
    place = strand.place
    if "started" not in place:
        place["started"] = strand.run.history.add(event, strand.previous, details)
        place["parts"] = [{"place": {}} for _ in range(count)]
        strand.previous = place["started"]
    return place["started"], place["parts"]


class Failure:
    """Which piece of parallel work failed first."""

    def __init__(self) -> None:
        self.index = 0
        self._known = False

    def noted(self, index: int, work: Callable[[int], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """The work, with its failure noted."""

        async def run() -> Any:
            try:
                return await work(index)
            except StateFailure:
                if not self._known:
                    self.index, self._known = index, True
                raise

        return run


ABORTABLE = frozenset({"Task", "Wait", "Parallel", "Map"})  # the types that have an …StateAborted event


def aborted(strand: Strand, previous: int) -> None:
    """Say of every state that was entered and not left that it was aborted, the inner ones first."""
    for child in strand.children:
        aborted(child, previous)
    if strand.open in ABORTABLE:
        strand.run.history.add(f"{strand.open}StateAborted", previous)
    strand.open = ""


def map_context(items: Any, index: int) -> dict[str, Any]:
    """`$states.context.Map` of one iteration."""
    item: dict[str, Any] = {"Index": index, "Value": items[index]}
    if isinstance(items, Pairs):
        item = {"Index": index, "Key": items.keys[index], "Value": items[index]}
    return {"Item": item}


class Pairs(list):
    """The values of an object that a distributed Map iterates over, with their keys."""

    def __init__(self, items: dict[str, Any]) -> None:
        super().__init__(items.values())
        self.keys = list(items)


def items_of(strand: Strand, state: asl.Map, value: Any) -> list[Any]:
    """The items of a Map: an array, for a distributed Map also the pairs of an object."""
    items = value if state.items is MISSING else strand.evaluate(state.items, value)
    if isinstance(items, dict) and state.distributed:
        return Pairs(items)
    if not isinstance(items, list):
        if isinstance(state.items, Expression):
            raise state.items.expect(items, "array")
        raise EvaluationError(f"Map state input must be an array but was: {dumps(items)}", None)
    return items


async def together(work: list[Callable[[], Awaitable[Any]]], limit: int) -> list[Any]:
    """Run the coroutines, at most `limit` at once, started in order; the first failure cancels the others."""
    results: list[Any] = [None] * len(work)
    todo = iter(range(len(work)))

    async def worker() -> None:
        for index in todo:
            results[index] = await work[index]()

    workers = [asyncio.ensure_future(worker()) for _ in range(min(limit, len(work)))]
    try:
        await asyncio.gather(*workers)
    except BaseException:
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        raise
    return results
