"""Versions as pages that need nothing but themselves, in the look of the report of a run."""

from pathlib import Path
from typing import Any

import pygal
from markupsafe import Markup

from boxcar.reports.charts import chart_options, history_chart, inline, label_chart
from boxcar.reports.standalone import standalone
from cli.models.words import decisions, figure, name_of, score_of, verdict_of

_FOLDER = Path(__file__).parent / "page"
_A, _B = "var(--faded)", "var(--accent)"
_MOST_BARS = 8


def history_page(named: str, versions: list[dict[str, Any]], approved: str | None) -> str:
    """Every version of a model, oldest first, with the score and the rows over time."""
    metric = versions[-1]["verdict"]["metric"]
    shown = [
        {
            "version": one["version"],
            "change": one["change"],
            "status": one["status"],
            "score": score_of(one),
            "rows": sum(one["rows"].values()),
            "verdict": verdict_of(one),
            "created": str(one["created"])[:19],
            "run": one["run"],
            "decisions": decisions(one),
        }
        for one in versions
    ]
    return _page(
        "history.html.j2", named=named, versions=shown, approved=approved, metric=metric,
        scores=history_chart(shown, metric), rows=_rows(shown),
    )  # fmt: skip


def comparison_page(document: dict[str, Any]) -> str:
    """Two versions side by side (see `cli.models.differences.compared`)."""
    names = [name_of(document[side]) for side in ("a", "b")]
    before, now = document["labels"]
    pictures: list[dict[str, Any]] = [
        {
            "caption": "Labels",
            "about": f"shift {figure(document['label_shift'], '.3f')}",
            "picture": label_chart(now, before),
        },
        {"caption": "Scores", "about": "", "bars": _bars(document["scores"])},
        {"caption": "What each leans on", "about": "share of gain", "bars": _importances(*document["importances"])},
        {
            "caption": "Calibration",
            "about": "share of yes among rows of about one score",
            "picture": _calibration(document["calibration"]),
        },
        {
            "caption": "Features that moved most",
            "about": "population stability index",
            "bars": _bars({name: [None, value] for name, value in list(document["drift"].items())[:_MOST_BARS]}),
        },
    ]
    shown = [{"picture": None, "bars": [], **one} for one in pictures if one.get("picture") or one.get("bars")]
    return _page("comparison.html.j2", document=document, names=names, pictures=shown)


def _page(template: str, **given: Any) -> str:
    filters = {
        "score": lambda value: figure(value, ".4f"),
        "shift": lambda value: figure(value, ".3f"),
        "count": lambda value: figure(value, ",.0f"),
    }
    return standalone(_FOLDER, template, filters, sheet="versions.css", **given)


def _rows(versions: list[dict[str, Any]]) -> Markup:
    """Rows that each version was trained and judged on."""
    options: dict[str, Any] = {"value_formatter": "{:,.0f}".format, "rounded_bars": 2, "truncate_label": -1}
    chart = pygal.Bar(**chart_options((_A,), y_labels_major_count=3, show_minor_y_labels=False, **options))
    chart.x_labels = [version["version"] for version in versions]
    chart.add("rows", [version["rows"] for version in versions])
    return inline(chart)


def _bars(pairs: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    """Bars of both versions, by name; widths are in per cent of the longest."""
    longest = max((value for pair in pairs.values() for value in pair if value is not None), default=0.0)
    return [
        {
            "name": name,
            "sides": [
                {"value": value, "width": 100 * value / longest if longest > 0 else 0, "tone": tone}
                for value, tone in zip(pair, ("faded", "accent"), strict=True)
                if value is not None
            ],
        }
        for name, pair in pairs.items()
        if any(value is not None for value in pair)
    ]


def _importances(a: dict[str, float], b: dict[str, float]) -> list[dict[str, Any]]:
    top = sorted({*a, *b}, key=lambda name: -max(a.get(name, 0.0), b.get(name, 0.0)))[:_MOST_BARS]
    return _bars({name: [a.get(name), b.get(name)] for name in top})


def _calibration(both: list[dict[str, Any]]) -> Markup | None:
    """Both versions against the diagonal, on which scores are what they say."""
    points = [[(one["score"], one["ones"]) for one in each.get("bins", [])] for each in both]
    if not any(points):
        return None
    ticks = [0, 0.25, 0.5, 0.75, 1]
    chart = pygal.XY(
        **chart_options(
            ("var(--line)", _A, _B),
            range=(0, 1),
            xrange=(0, 1),
            x_labels=ticks,
            y_labels=ticks,
            x_value_formatter="{:g}".format,
            value_formatter="{:g}".format,
            dots_size=4,
            stroke_style={"width": 2},
        )
    )
    chart.add("perfect", [(0, 0), (1, 1)], show_dots=False)
    for name, each in zip(("A", "B"), points, strict=True):
        chart.add(name, each)
    return inline(chart)
