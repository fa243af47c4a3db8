"""A row of the table for each cell: what its load test says, what it costs, how many instances the target needs."""

import json
import math
from typing import Any

from boxcar.benchmarks.instances import DATA, Prices, instances
from boxcar.benchmarks.requests import Target
from boxcar.benchmarks.sweep import Cell

HOURS_A_YEAR = 8760
# Columns of NeuronPerf's CSV (neuronperf/reporting.py, CSV_COLS), in its order, without those of its own harness.
NEURONPERF = (
    "model_name", "n_models", "workers_per_model", "pipeline_size", "batch_size", "throughput_avg", "throughput_peak",
    "latency_ms_p0", "latency_ms_p50", "latency_ms_p90", "latency_ms_p95", "latency_ms_p99", "latency_ms_p100",
    "total_infs", "model_filename", "device_type", "instance_type", "cost_per_1m_inf",
)  # fmt: skip
# What is ours, behind them.
OURS = (
    "cell", "target", "backend", "options", "sequence", "cores", "how", "status", "why", "meets", "rate",
    "latency_ms_p999", "indicative", "usd_per_hour", "instances", "usd_per_year", "measured_on", "source",
)  # fmt: skip
COLUMNS = NEURONPERF + OURS
Row = dict[str, Any]


def measured_row(cell: Cell, target: Target, document: dict[str, Any], machine: dict[str, Any], prices: Prices) -> Row:
    """The row of a load test that has ended.

    Args:
        cell: what was asked for.
        target: what it is held against.
        document: `loadtest.json` (neuron/loadtest/__main__.py). `rate` is the highest, in queries a second on this one
            instance, that meets the target; where the scenario offers none, what was answered.
        machine: `machine.json`: where it really ran.
        prices: on-demand prices.
    """
    product = machine.get("product")
    if product != cell.instance and product in instances() and cell.backend != "simulated":
        why = f"it ran on {product}, so its figures are not those of {cell.instance}"
        return failed_row(cell, target, why, prices)
    row = _empty(cell.backend, cell.instance, cell.batch, cell.cores, cell.sequence, cell.backbone, target, prices)
    latency = document.get("latency_ms") or {}
    row |= {
        "cell": cell.cell,
        "options": _options(cell),
        "n_models": document.get("workers") or 1,
        "workers_per_model": 1,
        "pipeline_size": cell.options.get("pipeline_cores", 1),
        "throughput_avg": document.get("throughput"),
        "throughput_peak": document.get("throughput_peak", document.get("throughput")),
        **{f"latency_ms_p{part}": latency.get(f"p{part}") for part in ("0", "50", "90", "95", "99", "999", "100")},
        "p99_low": latency.get("low"),
        "p99_high": latency.get("high"),
        "total_infs": document.get("queries"),
        "status": document["status"],
        "why": document.get("why") or "",
        "indicative": bool(document.get("indicative")),
        "measured_on": _elsewhere(cell.instance, machine),
        "curve": document.get("curve") or [],
        "quality": document.get("quality") or {},
    }
    if row["status"] != "ok":
        return row
    how = "simulated" if cell.backend == "simulated" else document.get("how", "measured")
    return _reckoned(row | {"how": how}, target, _rate(document, target))


def failed_row(cell: Cell, target: Target, why: str, prices: Prices) -> Row:
    """The row of a cell without a load test, and why there is none."""
    row = _empty(cell.backend, cell.instance, cell.batch, cell.cores, cell.sequence, cell.backbone, target, prices)
    return row | {"cell": cell.cell, "options": _options(cell), "status": "failed", "why": why}


def published_rows(target: Target, backbone: str, tokens: int, prices: Prices) -> list[Row]:
    """What others have published of the same model and length, held against a target. A single_stream has none."""
    if target.scenario == "single_stream":
        return []
    document = json.loads((DATA / "published.json").read_text())
    rows = []
    for one in document["rows"]:
        if one["backbone"] != backbone or one["sequence"] != tokens:
            continue
        shape = (one["batch"], one["cores"], one["sequence"])
        row = _empty(one["backend"], one["instance"], *shape, backbone, target, prices)
        row |= {
            "cell": f"{one['backend']}-{one['instance']}-b{one['batch']}-s{one['sequence']}-published",
            "n_models": one["cores"] // one["pipeline"],
            "pipeline_size": one["pipeline"],
            "throughput_avg": one["throughput"],
            "latency_ms_p50": one["p50_ms"],
            "latency_ms_p99": one["p99_ms"],
            "how": "published",
            "status": "ok",
            "source": one["page"],
        }
        meets = target.p99_ms is None or one["p99_ms"] <= target.p99_ms
        rows.append(_reckoned(row, target, one["throughput"] if meets else None))
    return rows


def _reckoned(row: Row, target: Target, rate: float | None) -> Row:
    """A row with what follows from the rate at which it meets its target, if it does at any."""
    if not rate or rate <= 0:
        return row | {"rate": None, "meets": False}
    count = math.ceil(target.rate / rate - 1e-9)  # a rate that divides the target's is no instance more
    price = row["usd_per_hour"]
    costs = {} if price is None else {
        "cost_per_1m_inf": price / 3600 / rate * 1e6,
        "usd_per_year": count * price * HOURS_A_YEAR,
    }  # fmt: skip
    return row | {"rate": rate, "meets": True, "instances": count, **costs}


def _rate(document: dict[str, Any], target: Target) -> float | None:
    """The rate, unless its latency misses the target: a single stream has a rate whatever its latency."""
    p99 = (document.get("latency_ms") or {}).get("p99")
    if target.p99_ms is not None and (p99 is None or p99 > target.p99_ms):
        return None
    rate = document.get("rate")
    return float(rate) if rate else None


def _empty(
    backend: str, instance: str, batch: int, cores: int, sequence: int, backbone: str, target: Target, prices: Prices
) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    return row | {
        "model_name": backbone,
        "batch_size": batch,
        "model_filename": f"{backend}_b{batch}_s{sequence}",
        "device_type": backend,
        "instance_type": instance,
        "target": target.name,
        "backend": backend,
        "options": "",
        "sequence": sequence,
        "cores": cores,
        "why": "",
        "meets": False,
        "indicative": False,
        "usd_per_hour": prices.usd_per_hour.get(instance),
        "measured_on": "",
        "source": "",
        "curve": [],
        "quality": {},
        "p99_low": None,
        "p99_high": None,
    }


def _options(cell: Cell) -> str:
    """`mode=trace precision=bf16`, and what else tells rows of one backend apart."""
    chosen = [f"{name}={value}" for name, value in sorted(cell.options.items())]
    chosen += [f"workers={workers}"] if (workers := cell.target.get("workers", 1)) > 1 else []
    chosen += [f"buckets={','.join(map(str, cell.buckets))}"] if cell.buckets else []
    return " ".join(chosen)


def _elsewhere(instance: str, machine: dict[str, Any]) -> str:
    """The machine that was measured, if it was not the instance that was asked for."""
    if machine.get("product") == instance:
        return ""
    name = machine.get("product") or machine.get("processor") or "an unknown machine"
    return f"{name}, {machine['processors']} processors" if machine.get("processors") else str(name)
