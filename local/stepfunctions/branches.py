"""Parallel and inline Map: strands inside a state, each with variables of its own that outer strands never see."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from local.stepfunctions import definition as asl
from local.stepfunctions import interpreter
from local.stepfunctions.definition import MISSING
from local.stepfunctions.history import dumps
from local.stepfunctions.jsonata import Expression
from local.stepfunctions.strand import Outcome, RuntimeFailure, Strand, finish, integer

MAX_CONCURRENCY = 40  # iterations of an inline Map that run at once (developer guide, "Map state")


async def parallel_state(strand: Strand, state: asl.Parallel, value: Any, text: str) -> Outcome:
    """Parallel: every branch gets the same input; the outputs come as a list in the order of the branches."""
    history = strand.run.history
    if state.arguments is not MISSING:
        value_in = strand.evaluate(state.arguments, value)
        text_in = dumps(value_in)
    else:
        value_in, text_in = value, text
    strand.previous = started = history.add("ParallelStateStarted", strand.previous)
    parts = strand.place.setdefault("parts", {})

    async def branch(index: int) -> Any:
        part = parts.setdefault(str(index), {})
        if "output" in part:
            return part["output"]
        inner = Strand(strand.run, strand.variables, started, strand.context, part)
        output, _ = await interpreter.walk(inner, state.branches[index], value_in, text_in)
        part["output"] = output
        strand.previous = inner.previous
        return output

    try:
        results = await together([lambda i=i: branch(i) for i in range(len(state.branches))], len(state.branches))
    except BaseException:
        strand.previous = history.add("ParallelStateFailed", strand.previous) if not cancelled() else strand.previous
        raise
    last = strand.previous
    history.add("ParallelStateSucceeded", last)
    strand.place.pop("parts", None)
    return finish(strand, state, state.next, value, results, result=results)


async def inline_map(strand: Strand, state: asl.Map, value: Any, text: str) -> Outcome:
    """Map, inline: one iteration an item, at most MaxConcurrency at a time."""
    history = strand.run.history
    items = await items_of(strand, state, value)
    limit = integer(strand, state.max_concurrency, value) or MAX_CONCURRENCY
    strand.previous = started = history.add("MapStateStarted", strand.previous, {"length": len(items)})
    parts = strand.place.setdefault("parts", {})
    slots = {"previous": started}

    async def iteration(index: int) -> Any:
        part = parts.setdefault(str(index), {})
        if "output" in part:
            return part["output"]
        details = {"name": state.name, "index": index}
        begun = history.add("MapIterationStarted", slots["previous"], details)
        inner = Strand(strand.run, strand.variables, begun, {**strand.context, "Map": map_context(items, index)}, part)
        try:
            item = select(strand, inner, state, value, items, index)
            output, _ = await interpreter.walk(inner, state.processor, item, dumps(item))
        except asyncio.CancelledError:
            raise
        except BaseException:
            strand.previous = history.add("MapIterationFailed", inner.previous, details)
            raise
        part["output"] = output
        slots["previous"] = inner.previous
        strand.previous = history.add("MapIterationSucceeded", inner.previous, details)
        return output

    try:
        results = await together([lambda i=i: iteration(i) for i in range(len(items))], limit)
    except asyncio.CancelledError:
        raise
    except BaseException:
        strand.previous = history.add("MapStateFailed", strand.previous)
        raise
    history.add("MapStateSucceeded", strand.previous)
    strand.place.pop("parts", None)
    return finish(strand, state, state.next, value, results, result=results)


def cancelled() -> bool:
    """Whether the current task is being cancelled."""
    task = asyncio.current_task()
    return bool(task and task.cancelling())


def map_context(items: Any, index: int) -> dict[str, Any]:
    """`$states.context.Map` of one iteration."""
    item: dict[str, Any] = {"Index": index, "Value": items[index]}
    if isinstance(items, Pairs):
        item = {"Index": index, "Key": items.keys[index], "Value": items[index]}
    return {"Item": item}


def select(strand: Strand, inner: Strand, state: asl.Map, value: Any, items: Any, index: int) -> Any:
    """The input of one iteration: the item, or what ItemSelector makes of it."""
    if state.selector is MISSING:
        return {"Key": items.keys[index], "Value": items[index]} if isinstance(items, Pairs) else items[index]
    return inner.evaluate(state.selector, value)


class Pairs(list):
    """The values of an object that a Map iterates over, with their keys."""

    def __init__(self, items: dict[str, Any]) -> None:
        super().__init__(items.values())
        self.keys = list(items)


async def items_of(strand: Strand, state: asl.Map, value: Any) -> list[Any]:
    """The items of a Map: an array, or an object's key and value pairs."""
    items = value if state.items is MISSING else strand.evaluate(state.items, value)
    if isinstance(items, dict):
        return Pairs(items)
    if not isinstance(items, list):
        if isinstance(state.items, Expression):
            raise state.items.expect(items, "Array")
        raise RuntimeFailure(f"The Map state's input must be an array or an object but was: {dumps(items)}")
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
