"""How long a run and its steps took, as metrics: the same for every machine that reports."""

from typing import Any

from boxcar.measures import measure


def measure_seconds(machine: str, report: dict[str, Any]) -> None:
    """Write down the seconds of a run and of those of its steps that ran; nothing of a run that had no plan.

    Args:
        machine: its name.
        report: with `family`, `started`, `ended` and `steps`, as `about_run` tells them.
    """
    if not report["family"] or report["started"] is None:
        return
    measure({"RunSeconds": report["ended"] - report["started"]}, machine=machine, family=report["family"])
    for step in report["steps"]:
        if step["run_s"] is not None:
            measure({"StepSeconds": step["run_s"]}, family=report["family"], step=step["step"])
