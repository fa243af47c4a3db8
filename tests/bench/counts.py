"""State transitions, function invocations and API calls of a training run: the formula in the number of models."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from tests.e2e.deployed import MODELS, Deployed, deployed_in

FAMILIES = {1: ("mailer",), 2: ("mailer", "bag"), 3: ("mailer", "bag", "box")}
LONG_S = 40.0  # how much longer the training of the slow family takes
# What the run does by itself; root is this bench, and the ticks of the one-minute schedule come with or without a run.
OURS = ("boxcar-",)
BY_JOBS = "JobRole"


def main() -> None:
    """Run families of one to three models and one whose training is slow; print counts, then one line of JSON."""
    with tempfile.TemporaryDirectory() as folder, deployed_in(Path(folder)) as stack:
        stack.load(13)
        stack.pause_sweep()
        measured = {count: _measure(stack, stack.small_family(*models)) for count, models in FAMILIES.items()}
        slow = _measure(stack, stack.small_family("mailer", models_folder=_slow_models(Path(folder))))
    # Messages that arrive together are handled together, so a count may differ by one or two from run to run.
    per_model = {key: (measured[3][key] - measured[1][key]) / 2 for key in sorted(measured[3])}
    print(f"{'count':<44}{'M=1':>6}{'M=2':>6}{'M=3':>6}{'slow':>6}   formula")
    for key, slope in per_model.items():
        values = [measured[count][key] for count in FAMILIES]
        print(
            f"{key:<44}{values[0]:>6}{values[1]:>6}{values[2]:>6}{slow[key]:>6}   {values[0] - slope:g} + {slope:g} M"
        )
    calls, slow_calls = _calls(measured[1]), _calls(slow)
    print(f"all calls: {calls}; with a training that takes {LONG_S:.0f} s longer: {slow_calls}")
    print(
        json.dumps(
            {
                "transitions_per_model": per_model["transitions"],
                "calls_per_model": sum(slope for key, slope in per_model.items() if key.startswith("call")),
                "invocations_per_model": sum(v for k, v in per_model.items() if k.startswith("invocation")),
                # A poll every few seconds would add half as many again.
                "grows_with_duration": slow["transitions"] > measured[1]["transitions"] or slow_calls > 1.1 * calls,
            }
        )
    )


def _calls(counts: Counter[str]) -> int:
    return sum(value for key, value in counts.items() if key.startswith("call"))


def _measure(stack: Deployed, family: str) -> Counter[str]:
    stack.cloud.forget_calls()
    run = stack.run({"family": family}, timeout_s=300)
    if run.status != "SUCCEEDED":
        raise RuntimeError(f"run {run.name} {run.status}: {run.cause}")
    stack.settle()
    return count_of(stack, run.name)


def count_of(stack: Deployed, run: str) -> Counter[str]:
    """What a run did since calls were last forgotten: transitions, calls of each kind, invocations of each function."""
    counted = stack.cloud.calls()
    counts: Counter[str] = Counter(transitions=transitions(stack, run))
    for row in counted["calls"]:
        if row["caller"].startswith(OURS) and BY_JOBS not in row["caller"]:
            counts[f"call {row['service']}:{row['action']}"] += row["count"]
    for name, row in counted["functions"].items():
        counts[f"invocation {name.removeprefix('boxcar-')}"] += int(row["invocations"])
    return counts


def transitions(stack: Deployed, run: str) -> int:
    """States entered, which is what Step Functions charges for."""
    pages = stack.session.client("stepfunctions").get_paginator("get_execution_history")
    events = (e for page in pages.paginate(executionArn=stack.execution_arn(run)) for e in page["events"])
    return sum(event["type"].endswith("StateEntered") for event in events)


def _slow_models(folder: Path) -> Path:
    shutil.copytree(MODELS, folder / "models")
    script = folder / "models/boosted_trees/train.py"
    script.write_text(f"import time\ntime.sleep({LONG_S})\n" + script.read_text().replace("from __future__", "# from"))
    return folder / "models"
