"""The Step Functions engine: per state, per Task, Map, distributed Map, many at once; MiniStack's and moto's beside it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.environments import environment

HERE = Path(__file__).resolve().parent

PROBES = {  # name of the figure → (probe, its argument, seconds it may take)
    "us_per_pass": ("passes", 1000, 60),
    "us_per_task": ("tasks", 200, 60),
    "us_per_lambda_task": ("lambdas", 40, 90),
    "map_1000_s": ("inline_map", 1000, 60),
    "executions_1000_s": ("executions", 1000, 90),
    "dmap_10000_s": ("distributed_map", 10_000, 90),
    "dmap_100000_s": ("distributed_map", 100_000, 400),
}
ENGINES = ("boxcar", "ministack", "moto")


def main() -> dict[str, Any]:
    """Print a table, a row a probe; return our figures, and MiniStack's and moto's where they run the probe."""
    found: dict[str, dict[str, Any]] = {engine: {} for engine in ENGINES}
    print(f"{'':<22}" + "".join(f"{engine:>14}" for engine in ENGINES))
    for figure, (probe, size, limit) in PROBES.items():
        for engine in ENGINES:
            if engine != "boxcar" and figure == "dmap_100000_s" and "dmap_10000_s" not in found[engine]:
                continue  # what does not run with a tenth of the items does not run with all
            found[engine] |= measure(engine, figure, probe, size, limit)
        print(f"{figure:<22}" + "".join(f"{shown(found[engine].get(figure)):>14}" for engine in ENGINES))
    for figure in ("dmap_peak_mb_10000", "dmap_peak_mb"):
        print(f"{figure:<22}" + "".join(f"{shown(found[engine].get(figure)):>14}" for engine in ENGINES))
    for engine in ENGINES:
        for figure, why in found[engine].pop("notes", {}).items():
            print(f"  {engine} {figure}: {why}")
    return {**found["boxcar"], "ministack": found["ministack"], "moto": found["moto"]}


def measure(engine: str, figure: str, probe: str, size: int, limit: int) -> dict[str, Any]:
    """One probe in a process of its own: its time, and for the distributed Map its peak memory."""
    python = environment("moto", locks=HERE / "environments") if engine == "moto" else sys.executable
    command = [str(python), "-m", "tests.bench.engine_probe", engine, probe, str(size)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return noted(engine, figure, f"not done after {limit} s")
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return noted(engine, figure, (done.stderr.strip().splitlines() or ["no answer"])[-1][:200])
    answer = json.loads(lines[-1])
    result = {
        figure: round(answer["seconds"] * 1e6 / size, 1) if figure.startswith("us_") else round(answer["seconds"], 3)
    }
    if probe == "distributed_map":
        result["dmap_peak_mb" if size == 100_000 else "dmap_peak_mb_10000"] = answer["peak_mb"]
    return result


NOTES: dict[str, dict[str, str]] = {}


def noted(engine: str, figure: str, why: str) -> dict[str, Any]:
    """No figure, and the reason."""
    NOTES.setdefault(engine, {})[figure] = why
    return {"notes": NOTES[engine]}


def shown(value: Any) -> str:
    """A figure in the table."""
    return "-" if value is None else str(value)
