"""The report of a training run as a page, and what the templates of reports have in common."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from boxcar.reports.charts import history_chart, label_chart
from boxcar.reports.standalone import FOLDER, standalone
from boxcar.reports.steps import duration
from boxcar.reports.timeline import timeline

_TONES = {
    "succeeded": "good",
    "approved": "good",
    "loaded": "good",
    "partial": "warn",
    "review": "warn",
    "rejected": "warn",
    "skipped": "warn",
    "failed": "bad",
}


def render(report: dict[str, Any]) -> str:
    """The page of a training run (see `boxcar.reports.story.tell`). Everything that was data is escaped."""
    charts = {
        model["model"]: {
            "labels": label_chart(model["labels"], model["labels_before"]),
            "history": history_chart(model["history"], model["metric"]),
        }
        for model in report["models"]
    }
    return rendered("run.html.j2", report=report, timeline=timeline(report), charts=charts)


def rendered(template: str, **data: Any) -> str:
    """A page from a template of this folder, with its style inside. Everything that was data is escaped."""
    filters: dict[str, Callable[..., str]] = {
        "duration": duration,
        "moment": _moment,
        "score": lambda value: _figure(value, "{:.4f}"),
        "shift": lambda value: _figure(value, "{:.3f}"),
        "change": lambda value: _figure(value, "{:+.1%}"),
        "count": lambda value: _figure(value, "{:,}"),
        "figures": three_figures,
        "tone": lambda status: _TONES.get(status, "idle"),
        "limit": _limit,
        "interval": _interval,
        "tone_of": _tone_of,
        "said": _said,
    }
    return standalone(FOLDER, template, filters, {"top_features": _top_features}, **data)


def _top_features(importances: dict[str, float], most: int = 8) -> list[dict[str, Any]]:
    """The features with the largest share, or shift; `width` is in per cent of the largest one's bar."""
    strongest = sorted(importances.items(), key=lambda pair: -pair[1])[:most]
    top = strongest[0][1] if strongest else 0
    return [{"name": name, "share": share, "width": 100 * share / top if top > 0 else 0} for name, share in strongest]


def three_figures(value: float | None) -> str:
    """A number of any size to three figures or the unit: 16,000, 284.7 as 285, 0.0264."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _moment(seconds: float | None) -> str:
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%-d %B %Y, %H:%M:%S UTC")


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _limit(criterion: dict[str, Any], which: str) -> str:
    """A figure or a limit of a criterion, in its own unit."""
    value, name = criterion[which], criterion["name"]
    if value is None:
        return "not set" if which == "limit" else "missing"
    if name == "row_change":
        return f"{value:+.1%}" if which == "figure" else f"{value:.0%}"
    if name == "latency":
        return f"{value:.2f} times"
    return f"{value:,.0f}" if name == "rows" else f"{value:.4f}"


def _interval(criterion: dict[str, Any]) -> str:
    """The 95 % interval of a figure that has one."""
    low, high = criterion.get("low"), criterion.get("high")
    return "" if low is None or high is None else f"95 % interval {low:.4f} to {high:.4f}"


def _said(criterion: dict[str, Any]) -> str:
    """What a criterion says: that it is fine, or what its breach leads to."""
    if not criterion["breached"]:
        return "passed"
    return {"approve": "noted", "review": "review"}.get(criterion.get("causes", "reject"), "breached")


def _tone_of(criterion: dict[str, Any]) -> str:
    """The colour of a criterion: a breach that asks a person is not as bad as one that rejects."""
    if not criterion["breached"]:
        return "good"
    return "bad" if criterion.get("causes", "reject") == "reject" else "warn"
