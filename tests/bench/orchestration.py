"""What orchestration costs: a run's wall time while no job computes, a state; beside it Metaflow's local runner, a step."""

import json
import os
import re
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

from local.environments import environment
from tests.bench.counts import transitions
from tests.e2e.deployed import Deployed, deployed_in

HERE = Path(__file__).resolve().parent
DESCRIBE = {"training": "Training", "processing": "Processing", "transform": "Transform"}


def main() -> None:
    """Run the packaging family once warm, the same graph in Metaflow, and print both, then one line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        with deployed_in(Path(folder)) as stack:
            stack.load(13)
            family = stack.small_family("mailer", "bag", "box", "own_container")
            stack.run({"family": family}, timeout_s=300)  # Lambda's cold starts are not what is measured
            wall, computing, states = _measure(stack, family)
        metaflow_wall, tasks = _metaflow(Path(folder))
    ours, theirs = (wall - computing) / states, metaflow_wall / tasks
    print(f"{'':<24}{'wall s':>8}{'computing s':>13}{'states/steps':>14}{'s each':>9}")
    print(f"{'Boxcar, embedded cloud':<24}{wall:>8.1f}{computing:>13.1f}{states:>14}{ours:>9.3f}")
    print(f"{'Metaflow, local runner':<24}{metaflow_wall:>8.1f}{0.0:>13.1f}{tasks:>14}{theirs:>9.3f}")
    print(
        json.dumps(
            {
                "states": states,
                "seconds_per_state": round(ours, 4),
                "metaflow_seconds_per_step": round(theirs, 4),
                "ratio": round(ours / theirs, 4),
            }
        )
    )


def _measure(stack: Deployed, family: str) -> tuple[float, float, int]:
    """Wall seconds of a run, seconds in which at least one of its jobs computed, states entered."""
    run = stack.run({"family": family}, timeout_s=300)
    if run.status != "SUCCEEDED":
        raise RuntimeError(f"run {run.name} {run.status}: {run.cause}")
    seen = stack.session.client("stepfunctions").describe_execution(executionArn=stack.execution_arn(run.name))
    wall = (seen["stopDate"] - seen["startDate"]).total_seconds()
    return wall, _covered(_intervals(stack, run.name)), transitions(stack, run.name)


def _intervals(stack: Deployed, run: str) -> list[tuple[datetime, datetime]]:
    found = []
    for job in stack.jobs(run).values():
        name = job["attempts"][-1]["name"]
        if kind := DESCRIBE.get(job["kind"]):
            client = stack.session.client("sagemaker")
            seen = getattr(client, f"describe_{kind.lower()}_job")(**{f"{kind}JobName": name})
            found.append((seen[f"{kind}StartTime"], seen[f"{kind}EndTime"]))
        else:
            seen = stack.session.client("redshift-data").describe_statement(Id=job["attempts"][-1]["arn"])
            found.append((seen["CreatedAt"], seen["UpdatedAt"]))
    return found


def _covered(intervals: list[tuple[datetime, datetime]]) -> float:
    """Length of the union, in seconds."""
    total, reached = 0.0, None
    for start, end in sorted(intervals):
        begin = start if reached is None or start > reached else reached
        if end > begin:
            total += (end - begin).total_seconds()
        reached = end if reached is None or end > reached else reached
    return total


def _metaflow(folder: Path) -> tuple[float, int]:
    """Wall seconds and number of tasks of the same graph, whose steps do nothing."""
    python = environment("metaflow", locks=HERE / "environments")
    command = [str(python), str(HERE / "metaflow_flow.py"), "--quiet", "run", "--max-workers", str(os.cpu_count())]
    environ = {
        "PATH": os.environ["PATH"],
        "USERNAME": "bench",
        "METAFLOW_HOME": str(folder / "metaflow"),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder / "metaflow"),
    }
    began = time.monotonic()
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=True)
    return time.monotonic() - began, len(re.findall(r"Task finished successfully", done.stdout + done.stderr))
