"""Figures of a run above the alarm thresholds of its family, whatever the gate said of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from boxcar.plans import AlarmThreshold, Figure


def deviations(
    machine: str, report: dict[str, Any], thresholds: Mapping[Figure, AlarmThreshold]
) -> list[dict[str, Any]]:
    """Messages for the alarm queue, one a model (or run) and figure.

    A criterion of the gate that the figure has breached is not told another time: the verdict's own alarm says it.
    """
    found = []
    for model, figures, breached in _figures(report):
        for figure, threshold in thresholds.items():
            value = figures.get(figure)
            if value is None or value <= threshold.above or figure in breached:
                continue
            found.append(
                {
                    "kind": "deviation", "machine": machine, "run": report["run"], "family": report["family"],
                    "model": model, "figure": figure, "value": value, "above": threshold.above,
                    "audiences": list(threshold.audiences), "severity": threshold.severity,
                }
            )  # fmt: skip
    return found


def _figures(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, float | None], set[str]]]:
    """(model or "", its figures, those that the gate has told of)."""
    seconds = None if report["started"] is None else report["ended"] - report["started"]
    yield "", {"run_seconds": seconds}, set()
    for model in report["models"]:
        criteria = {one["name"]: one for one in model["criteria"]}
        told = model["status"] in ("review", "rejected")
        steps = [step["run_s"] for step in report["steps"] if step["model"] == model["model"] and step["run_s"]]
        change = model["row_change"]
        yield (
            model["model"],
            {
                "score_drop": (criteria.get("score_drop") or {}).get("figure"),
                "label_shift": model["label_shift"],
                "row_change": None if change is None else abs(change),
                "feature_drift": max(model["drift"].values(), default=None),
                "step_seconds": max(steps, default=None),
            },
            {name for name, one in criteria.items() if told and one.get("breached")},
        )
