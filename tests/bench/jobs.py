"""Ten thousand jobs in three virtual days with everything that goes wrong, what they cost, and how fair it is."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.e2e.deployed import deploy_once

JOBS = int(os.environ.get("BOXCAR_BENCH_JOBS", "10000"))  # fewer for a quick look
FINISHED = int(os.environ.get("BOXCAR_BENCH_FINISHED", "1000000"))


def main() -> dict[str, Any]:
    """Deploy the stack once, run each part in a process of its own, two at a time, and print what they found."""
    with tempfile.TemporaryDirectory() as folder:
        deployed = deploy_once(Path(folder))
        others: dict[str, dict[str, Any]] = {}

        def run_others() -> None:
            others["passes"] = part("passes", deployed, FINISHED)
            for case in ("alone", "at once", "after"):
                others[case] = part("share", deployed, case)

        beside = threading.Thread(target=run_others)
        beside.start()
        found = part("three-days", deployed, JOBS)
        beside.join()
    for each in (found, *others.values()):
        print(each["printed"], "\n")
    shares = fair_shares(others)
    return {
        "jobs": found["jobs"],
        "lost": found["lost"],
        "doubled": found["doubled"],
        "stuck": found["stuck"],
        "capacity_used": round(found["capacity_used"], 4),
        "calls_per_job": round(found["calls_per_job"], 2),
        "polling_ratio_8h": round(found["poller_calls"] / found["calls_long"], 1),
        "launch_p50_s": round(found["launch_p50_s"], 2),
        "launch_p99_s": round(found["launch_p99_s"], 2),
        "pass_calls_1000": others["passes"]["pass_calls_1000"],
        "pass_calls_1000000": others["passes"]["pass_calls_1000000"],
        "fair_share_ratio": round(shares, 3),
    }


def part(name: str, deployed: Path, argument: int | str) -> dict[str, Any]:
    """Run one part and return its figures, and what it printed.

    Raises:
        RuntimeError: it failed; its output is the message.
    """
    command = [sys.executable, "-m", "tests.bench.simulation.scenarios", name, str(deployed), str(argument)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # so that sets are in one order
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{name} {argument}: {done.stdout[-4000:]}\n{done.stderr[-8000:]}")
    printed, _, last = done.stdout.rstrip().rpartition("\n")
    figures: dict[str, Any] = json.loads(last)
    return {**figures, "printed": printed}


def fair_shares(cases: dict[str, dict[str, Any]]) -> float:
    """Print how much longer nine owners wait for their ten jobs beside a sweep of 1,000; return the worse case."""
    alone, ratios = cases["alone"], []
    print("Nine owners with ten jobs each on ten machines, beside one with a thousand: when the nine have ended")
    print(f"  {'':<28}{'minutes':>9}{'ratio':>8}{'mean of owners':>16}")
    for name in ("alone", "at once", "after"):
        ratios.append(max(cases[name]["last"] / alone["last"], cases[name]["mean"] / alone["mean"]))
        label = {"alone": "without it", "at once": "submitted with it", "after": "submitted an hour after it"}[name]
        last, mean = cases[name]["last"], cases[name]["mean"]
        print(f"  {label:<28}{last / 60:>9.1f}{last / alone['last']:>8.3f}{mean / alone['mean']:>16.3f}")
    return max(ratios)
