"""The steps of a run on one axis of time: waiting, then running, attempt by attempt.

Bars are small SVGs with positions in per cent, one a step, so that a page folds to any width and its text does not
shrink with it.
"""

from typing import Any

from markupsafe import Markup

from boxcar.reports.steps import NOT_STARTED, duration

_STATUS = {
    "Completed": ("good", "completed"),
    "Failed": ("bad", "failed"),
    "Stopped": ("bad", "stopped"),
    "New": ("idle", "waiting"),
    "Launched": ("busy", "launched"),
    "InProgress": ("busy", "running"),
    NOT_STARTED: ("idle", "not started"),
}
_BAR = Markup(
    '<rect class="bar {}" x="{:.3f}%" y="{}" width="{:.3f}%" height="{}" rx="2" style="width:max(2px,{:.3f}%)"/>'
)
_NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400)
_TICKS = 6  # at most


def timeline(report: dict[str, Any]) -> dict[str, Any]:
    """What the page draws: ticks, and groups (the run, then each model by wave) of rows."""
    steps = report["steps"]
    starts = [step["created"] for step in steps if step["created"] is not None]
    if not starts:
        return {"ticks": [], "groups": _groups(report, 0.0, 1.0)}
    begin = min(starts)
    ends = [step["ended"] for step in steps if step["ended"] is not None]
    ends += [run["ended"] or run["started"] for step in steps for run in step["runs"]]
    span = max(max(ends, default=begin) - begin, 0.001)
    return {"ticks": _ticks(span), "groups": _groups(report, begin, span)}


def _groups(report: dict[str, Any], begin: float, span: float) -> list[dict[str, Any]]:
    wave_of = {model: number for number, wave in enumerate(report["waves"], 1) for model in wave}
    outcomes = {model["model"]: model["status"] for model in report["models"]}
    groups: dict[str, dict[str, Any]] = {}
    for step in report["steps"]:
        name = step["model"]
        group = groups.setdefault(
            name, {"model": name, "wave": wave_of.get(name), "status": outcomes.get(name, ""), "rows": []}
        )
        group["rows"].append(_row(step, begin, span))
    return sorted(groups.values(), key=lambda group: (group["wave"] or 0) if group["model"] else -1)


def _row(step: dict[str, Any], begin: float, span: float) -> dict[str, Any]:
    colour, words = _STATUS.get(step["status"], ("idle", step["status"]))
    waited, ran = duration(step["wait_s"]), duration(step["run_s"])
    if step["cached"]:
        words = f"cached, {duration(step['cached']['saved_s'])} saved"
    title = f"{step['step']}: {words}"
    if step["run_s"] is not None:
        title += f", ran {ran}, waited {waited}"
    return {
        "step": step["step"],
        "kind": step["kind"],
        "status": words,
        "colour": colour,
        "ran": ran,
        "waited": waited if step["wait_s"] is not None else "",
        "attempts": step["attempts"],
        "failure": step["failure"],
        "instance_type": step["instance_type"],
        "title": title,
        "bars": Markup("").join(_bars(step, colour, begin, span)),
    }


def _bars(step: dict[str, Any], colour: str, begin: float, span: float) -> list[Markup]:
    if step["created"] is None:
        return []
    bars, waiting_since = [], step["created"]
    for run in step["runs"]:
        bars.append(_rect("wait", waiting_since, run["started"], begin, span))
        end = run["ended"] if run["ended"] is not None else begin + span
        bars.append(_rect("bad" if run["failure"] else colour, run["started"], end, begin, span))
        waiting_since = end
    if not step["runs"]:
        bars.append(_rect("wait", waiting_since, step["ended"] or begin + span, begin, span))
    return bars


def _rect(colour: str, start: float, end: float, begin: float, span: float) -> Markup:
    x = 100 * (start - begin) / span
    width = max(100 * (end - start) / span, 0.0)
    height, y = (4, 9) if colour == "wait" else (14, 4)
    # Short runs stay visible: the style overrules the width where max() is known.
    return _BAR.format(colour, x, y, width, height, width)


def _ticks(span: float) -> list[dict[str, Any]]:
    step = next((nice for nice in _NICE if span / nice <= _TICKS), 86400 * max(1, round(span / 86400 / _TICKS)))
    count = int(span / step)
    return [
        {"at": 100 * number * step / span, "text": duration(number * step) if number else "0"}
        for number in range(count + 1)
    ]
