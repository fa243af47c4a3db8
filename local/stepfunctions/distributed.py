"""Distributed Map: every item, or batch of items, is a child execution of its own, counted in a map run.

Memory does not grow with the items: they are read as they are needed, and what the children did lies in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

from local.stepfunctions import branches, errors, reader, writer
from local.stepfunctions import definition as asl
from local.stepfunctions.definition import MISSING
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.executions import Execution
from local.stepfunctions.history import MAX_DATA, data_size, dumps, failure
from local.stepfunctions.jsonata import EvaluationError
from local.stepfunctions.map_runs import MapRun
from local.stepfunctions.strand import Outcome, Strand, finish, integer

BREATH = 8  # children after which others have their turn
MAX_CHILDREN = 1000  # that run at once, whatever MaxConcurrency allows
EXCEEDED = "The specified tolerated failure threshold was exceeded"


async def map_state(strand: Strand, state: asl.Map, value: Any, text: str) -> Outcome:
    """Map, in the mode its processor asks for."""
    if not state.distributed:
        return await branches.inline_map(strand, state, value, text)
    items = None if state.reader else branches.items_of(strand, state, value)
    engine, history = strand.run.engine, strand.run.history
    run = resume(strand) or MapRun.start(strand, state, value)
    if run.redrives:
        details = {"mapRunArn": run.arn, "redriveCount": run.redrives}
        strand.previous = history.add("MapRunRedriven", strand.place["started"], details)
    else:
        length = len(items) if items is not None else 0
        strand.place["started"] = history.add("MapStateStarted", strand.previous, {"length": length})
        strand.previous = history.add("MapRunStarted", strand.place["started"], {"mapRunArn": run.arn})
    strand.place["map_run"] = run.arn
    engine.map_runs[run.arn] = run
    started = strand.previous
    try:
        await children(strand, state, value, items, run)
        result = await writer.results(strand, state, value, run)
        run.status = "SUCCEEDED"
        strand.previous = history.add("MapRunSucceeded", strand.previous)
    except EvaluationError:
        run.status = "FAILED"
        raise
    except StateFailure as error:
        run.status = "FAILED"
        if (
            error.error == errors.THRESHOLD and state.writer and state.writer.resource
        ):  # what there is, is written all the same
            with contextlib.suppress(StateFailure):
                await writer.results(strand, state, value, run)
        strand.previous = history.add("MapRunFailed", strand.previous, failure(error.error, error.cause))
        raise
    except asyncio.CancelledError:
        run.status = "ABORTED"
        raise
    finally:
        run.stopped = engine.clock.time()
        engine.store.put("map_run", run.arn, run.row())
        engine.map_runs.pop(run.arn, None)
    history.add("MapStateSucceeded", strand.previous)
    strand.previous = started
    strand.place.pop("map_run", None)
    return finish(strand, state, state.next, value, result, result=result)


def resume(strand: Strand) -> MapRun | None:
    """The map run of a redriven state, which goes on where it stood."""
    arn = strand.place.get("map_run")
    row = strand.run.engine.store.get("map_run", arn) if arn else None
    if row is None:
        return None
    run = MapRun(**row)
    run.redrives, run.redriven = run.redrives + 1, strand.run.clock.time()
    run.status, run.stopped = "RUNNING", None
    return run


async def children(strand: Strand, state: asl.Map, value: Any, items: list[Any] | None, run: MapRun) -> None:
    """Run the children: first those of an earlier attempt that failed, then the items not yet taken.

    Raises:
        StateFailure: more failed than is tolerated, or the items could not be read.
    """
    work = pending(strand, state, value, items, run)
    lock = asyncio.Lock()
    failed: StateFailure | None = None

    async def worker() -> None:
        nonlocal failed
        while failed is None:
            async with lock:
                child = await anext(work, None)
            if child is None:
                return
            await attend(strand, state, run, child)
            if run.intolerable():
                failed = StateFailure(errors.THRESHOLD, EXCEEDED)

    workers: set[asyncio.Task[None]] = set()
    limit = min(run.max_concurrency or MAX_CHILDREN, MAX_CHILDREN)
    try:
        for _ in range(min(limit, len(items) if items is not None else limit) or 1):
            workers.add(asyncio.create_task(worker()))
            if failed is not None:
                break
        done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        while len(done) < len(workers) and failed is None and not any(task.exception() for task in done):
            done, _ = await asyncio.wait(workers)
    finally:
        for task in workers:
            task.cancel()
        outcomes = await asyncio.gather(*workers, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    run.complete = True
    if failed is not None or run.intolerable():
        raise failed or StateFailure(errors.THRESHOLD, EXCEEDED)


async def attend(strand: Strand, state: asl.Map, run: MapRun, child: Execution) -> None:
    """Run one child to its end."""
    count = child.item_count or 1
    run.running += count
    try:
        await strand.run.engine.run_child(child, state.processor)
    finally:
        run.running -= count
        run.ended(child.status, count)
    if child.order % BREATH == 0:
        await asyncio.sleep(0)


async def pending(
    strand: Strand, state: asl.Map, value: Any, items: list[Any] | None, run: MapRun
) -> AsyncIterator[Execution]:
    """The children to run, made as they are asked for."""
    engine = strand.run.engine
    if run.redrives:
        for child in engine.store.unfinished(run.arn):
            run.undo(child.status, child.item_count or 1)
            child.redrives += 1
            child.redriven = engine.clock.time()
            child.status, child.stopped, child.error, child.cause = "RUNNING", None, None, None
            yield child
    taken = run.taken
    async for count, text in batches(strand, state, value, items):
        if taken > 0:
            taken -= 1
            continue
        run.taken += 1
        run.total += count
        yield child_of(strand, run, text, count)


def child_of(strand: Strand, run: MapRun, text: str, count: int) -> Execution:
    """A child execution for one item or batch."""
    name = str(uuid.UUID(int=run.taken << 96 | random.getrandbits(96)))  # in order, which spares the store's index
    machine = run.machine_arn
    return Execution(
        machine.replace(":stateMachine:", ":execution:") + f":{name}", name, machine, strand.run.role, "", text,
        strand.run.clock.time(), map_run=run.arn, item_count=count, order=run.taken,
    )  # fmt: skip


async def batches(
    strand: Strand, state: asl.Map, value: Any, items: list[Any] | None
) -> AsyncIterator[tuple[int, str]]:
    """The inputs of the children as JSON, with the number of items in each."""
    batcher = state.batcher
    if batcher is None:
        async for _, item in selected(strand, state, value, items):
            yield 1, limited(dumps(item))
        return
    most = integer(strand, batcher.max_items, value) or 0
    size = integer(strand, batcher.max_bytes, value) or MAX_DATA
    frame: dict[str, Any] = {"Items": []}
    if batcher.batch_input is not MISSING:
        frame = {"BatchInput": strand.evaluate(batcher.batch_input, value), **frame}
    empty = data_size(dumps(frame))
    texts: list[str] = []
    used = empty

    def flushed() -> str:
        return limited(dumps(frame)[:-3] + "[" + ",".join(texts) + "]}")

    async for _, item in selected(strand, state, value, items):
        text = dumps(item)
        if texts and ((most and len(texts) >= most) or used + data_size(text) + 1 > size):
            yield len(texts), flushed()
            texts, used = [], empty
        texts.append(text)
        used += data_size(text) + 1
    if texts:
        yield len(texts), flushed()


def limited(text: str) -> str:
    """The input of a child, if it is not too large for one."""
    if data_size(text) > MAX_DATA:
        raise StateFailure(errors.DATA_LIMIT, "The input of a child workflow execution exceeds 256 KiB.")
    return text


async def selected(
    strand: Strand, state: asl.Map, value: Any, items: list[Any] | None
) -> AsyncIterator[tuple[int, Any]]:
    """The items with their numbers, as ItemSelector makes them."""
    source = given(items) if items is not None else reader.read(strand, state, value)
    origin = "STATE_DATA"
    if items is None and state.selector is not MISSING and state.reader and state.reader.arguments is not MISSING:
        place = strand.evaluate(state.reader.arguments, value)
        origin = f"s3://{place.get('Bucket')}/{place.get('Key', place.get('Prefix', ''))}"
    index = 0
    keys = items.keys if isinstance(items, branches.Pairs) else None
    inner = Strand(strand.run, strand.variables, 0, strand.context)
    async for item in source:
        about = {"Index": index, "Value": item, "Source": origin}
        if keys is not None:
            about["Key"] = keys[index]
        if state.selector is not MISSING:
            inner.context = {**strand.context, "Map": {"Item": about}}
            item = inner.evaluate(state.selector, value)
        elif keys is not None:
            item = {"Key": keys[index], "Value": item}
        yield index, item
        index += 1


async def given(items: list[Any]) -> AsyncIterator[Any]:
    """Items that are there already."""
    for item in items:
        yield item
