"""Load-test one cell: python -m neuron.loadtest --cell ADDRESS --compiled ADDRESS --output ADDRESS.

Addresses are paths or s3://bucket/key; the second is the document that the compile job wrote. The output says how it
went:

    {"cell", "schema": 1, "status": "ok|failed", "why", "how": "measured|simulated", "scenario", "rate", "throughput",
     "queries", "queries_needed", "indicative", "latency_ms": {p0 … p100, low, high}, "service_ms": {p50, p99},
     "texts_per_row", "workers", "warm", "quality", "curve": [{"rate", "throughput", "p50", "p99", "queries", "met"}],
     "missed_by"}

`rate` is the highest that meets the target (server), or what was answered (offline, single_stream); 0 where no rate
meets it, and then `missed_by` is p99 over the target at the rate that came closest. The document is written after each
measurement, as one that failed, with the figures so far. A cell that cannot be tested is a result, with its reason: the
exit code is 0 once the document is written.
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuron.backends.protocol import Cores
from neuron.cells import Cell, CellError, read_cell
from neuron.loadtest.harness import Artifact, Harness, LoadTestError, Measurement
from neuron.loadtest.packing import invented
from neuron.loadtest.percentiles import queries_needed
from neuron.loadtest.scenarios import SCENARIOS
from neuron.loadtest.search import highest, meets
from neuron.quality import FILE, of_unit
from neuron.storage import Storage

SCHEMA = 1
DEFAULTS = {"scenario": "server", "p99_ms": 10.0, "seconds": 4.0, "workers": 1, "unit": "queries"}  # of a target
TEXTS = 2048
ONE_CORE = ("neuron", "neuronx")  # backends whose workers have one NeuronCore each
log = logging.getLogger("neuron.loadtest")


def main(arguments: list[str] | None = None, storage: Storage | None = None) -> int:
    """Read the cell and what was compiled, test it, write the document."""
    parser = argparse.ArgumentParser(description="Load-test one cell of a benchmark.")
    parser.add_argument("--cell", required=True, help="address of the cell's document")
    parser.add_argument("--compiled", required=True, help="address of the compile job's document")
    parser.add_argument("--output", required=True, help="address of the document to write")
    addresses = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    storage = storage or Storage()
    document = storage.read(addresses.cell)
    so_far: dict[str, Any] = {}

    def write(said: dict[str, Any]) -> None:
        said = {"cell": document.get("cell", ""), "schema": SCHEMA, "why": "", **so_far, **said}
        log.info("loadtest: %s", json.dumps(said))
        storage.write(said, addresses.output)

    def keep(figures: dict[str, Any]) -> None:
        so_far.update(figures)
        write(
            {"status": "failed", "why": f"it ended before its search did, after {len(figures['curve'])} measurements"}
        )

    try:
        said = test(read_cell(document), storage.read(addresses.compiled), storage, keep)
    except (CellError, LoadTestError, FileNotFoundError) as error:
        said = {"status": "failed", "why": str(error)}
    write(said)
    return 0


def test(
    cell: Cell, compiled: dict[str, Any], storage: Storage, keep: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Test a compiled cell; return what the document says of it.

    Args:
        cell: what to test.
        compiled: the document of the compile job.
        storage: where the artifact lies.
        keep: is told the figures so far after each measurement, since whoever kills this job gives no notice.

    Raises:
        CellError: the target says something that cannot be.
        FileNotFoundError: the artifact is gone.
        LoadTestError: it was not compiled, does not load, or a worker died or hung.
    """
    target = checked(cell)
    if compiled.get("status") != "ok":
        raise LoadTestError(f"it was not compiled: {compiled.get('why') or 'the compile job says nothing'}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = storage.fetch_folder(compiled["artifact"], Path(scratch) / "artifact")
        gated = (folder / FILE).is_file()
        texts = of_unit(folder, target["unit"]) if gated else invented(TEXTS, cell.sequence, cell.seed)
        artifacts = [Artifact(folder, cell.fed)]
        for bucket in compiled.get("buckets", []):
            beside = storage.fetch_folder(bucket["artifact"], Path(scratch) / str(bucket["sequence"]))
            artifacts.append(Artifact(beside, cell.fed._replace(sequence=bucket["sequence"])))
        harness = Harness(cell.backend, artifacts, shares(cell), texts, gate=gated)
        with harness:
            quality: dict[str, Any] = harness.ready[0].get("quality", {})
            if gated and not quality.get("ok"):
                raise LoadTestError(f"not tested for speed, for it answers wrongly: {quality.get('why', quality)}")
            warm = [ready["warm"][0] for ready in harness.ready]
            found = measured(cell, target, harness, capacity(cell, warm), keep)
        rows = sum(ended["rows"] for ended in harness.ended)
        answered = sum(ended["answered"] for ended in harness.ended)
        service = harness.service() if answered else {}
    return {
        "status": "ok",
        "how": "simulated" if cell.backend == "simulated" else "measured",
        **found,
        "service_ms": {name: service[name] for name in ("p50", "p99") if name in service},
        "texts_per_row": round(answered / rows, 3) if rows else None,
        "workers": len(harness.ready),
        "warm": {"steady": all(each["steady"] for each in warm), "batch_ms": max(each["batch_ms"] for each in warm)},
        "quality": quality,
    }


def checked(cell: Cell) -> dict[str, Any]:
    """Return the target with what is missing filled in.

    Raises:
        CellError: an unknown scenario, or a number that is not above 0.
    """
    target = {**DEFAULTS, **cell.target}
    if target["scenario"] not in SCENARIOS:
        raise CellError(
            f"target.scenario: there is no {target['scenario']!r}; write one of {', '.join(sorted(SCENARIOS))}"
        )
    for name in ("p99_ms", "seconds", "workers"):
        value = target[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise CellError(f"target.{name}: {value!r} is not a number above 0")
    return target


def shares(cell: Cell) -> list[Cores]:
    """Return what each worker has to itself: a NeuronCore, as many as a pipeline spans, or a share of the threads."""
    if cell.backend in ONE_CORE:
        each = 1 if cell.options.get("data_parallel") else int(cell.options.get("pipeline_cores", 1))
        count = 1 if cell.options.get("data_parallel") else max(1, cell.cores // each)
        each = cell.cores if cell.options.get("data_parallel") else each
    else:
        count = int(cell.target.get("workers", 1))
        each = max(1, cell.cores // count)
    return [Cores(number * each, each) for number in range(count)]


def capacity(cell: Cell, warm: list[dict[str, Any]]) -> float:
    """Return how many texts a second all workers answer when no batch waits, as warming up showed."""
    return sum(cell.fed.batch / max(each["batch_ms"], 0.001) * 1000 for each in warm)


def measured(
    cell: Cell, target: dict[str, Any], harness: Harness, most: float, keep: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Return the figures of the cell's scenario; tell those so far after each measurement."""
    p99_ms, seconds = float(target["p99_ms"]), float(target["seconds"])
    points: list[Measurement] = []

    def at(rate: float) -> Measurement:
        points.append(harness.measure(target["scenario"], seconds=seconds, rate=rate, p99_ms=p99_ms, seed=cell.seed))
        keep(figures(target, points))
        return points[-1]

    if SCENARIOS[target["scenario"]].offers_rate:
        highest(at, p99_ms, most)
    else:
        at(most)
    return figures(target, points)


def figures(target: dict[str, Any], points: list[Measurement]) -> dict[str, Any]:
    """Return what measurements come to: those at the highest rate that meets the target, else of the one closest."""
    p99_ms = float(target["p99_ms"])
    met = [point for point in points if meets(point, p99_ms)]
    closest = min(points, key=lambda point: float(point.latency["p99"]))
    best, rate, missed_by = closest, closest.throughput, None
    if SCENARIOS[target["scenario"]].offers_rate:
        best = max(met, key=lambda point: point.rate) if met else closest
        rate = best.rate if met else 0.0
        missed_by = None if met else round(closest.latency["p99"] / p99_ms, 3)
    needed = queries_needed(0.99)
    return {
        "scenario": target["scenario"],
        "rate": round(rate, 2),
        "throughput": round(best.throughput, 2),
        "queries": best.queries,
        "queries_needed": needed,
        "indicative": best.queries < needed,
        "latency_ms": best.latency,
        "curve": [_point(point, p99_ms) for point in sorted(points, key=lambda point: point.rate)],
        "missed_by": missed_by,
    }


def _point(point: Measurement, p99_ms: float) -> dict[str, Any]:
    return {
        "rate": round(point.rate, 2),
        "throughput": round(point.throughput, 2),
        "p50": point.latency["p50"],
        "p99": point.latency["p99"],
        "queries": point.queries,
        "met": meets(point, p99_ms),
    }


if __name__ == "__main__":
    sys.exit(main())
