"""Pictures of a benchmark: latency over throughput, and cost over latency."""

import math
from typing import Any

import pygal
from markupsafe import Markup

from boxcar.benchmarks.rows import Row
from boxcar.reports.charts import chart_options, inline
from boxcar.reports.page import three_figures

COLOURS = ("var(--accent)", "var(--good)", "var(--warn)", "var(--bad)", "var(--idle)", "var(--ink)")
MOST_STEPS = 7
MOST_CURVES = len(COLOURS)  # those that meet the target at the least cost first, as rows are sorted


def label(row: Row) -> str:
    """What a row is called in a legend: `inf2.xlarge neuronx b1`."""
    return f"{row['instance_type']} {row['backend']} {row['options']}".rstrip() + f" b{row['batch_size']}"


def curves(rows: list[Row]) -> list[tuple[str, list[tuple[float, float]]]]:
    """Name and points (queries a second, P99 in ms) of each curve; a row without a curve is one point."""
    found = []
    for row in rows:
        points = [(one["throughput"], one["p99"]) for one in row["curve"] if one.get("throughput") and one.get("p99")]
        if not points and row["throughput_avg"] and row["latency_ms_p99"]:
            points = [(row["throughput_avg"], row["latency_ms_p99"])]
        if points:
            found.append((label(row), sorted(points)))
    return found[:MOST_CURVES]


def curves_chart(rows: list[Row], p99_ms: float) -> Markup | None:
    """P99 over throughput, one line a cell, and the target as a line across; both axes are logarithms."""
    shown = curves(rows)
    if not shown:
        return None
    colours = (*COLOURS[: len(shown)], "var(--soft)")
    across = _range([x for _, points in shown for x, _ in points])
    upwards = _range([y for _, points in shown for _, y in points] + [p99_ms])
    chart = pygal.XY(
        **chart_options(
            colours,
            logarithmic=True,
            xrange=across,
            range=upwards,
            x_labels=_steps(*across),
            y_labels=_steps(*upwards),
            value_formatter=three_figures,
            x_value_formatter=three_figures,
            truncate_label=-1,
            dots_size=4,
            stroke_style={"width": 2},
        )
    )
    for name, points in shown:
        chart.add(name, points)
    chart.add("target", [(across[0], p99_ms), (across[1], p99_ms)], show_dots=False)
    return inline(chart)


def cost_chart(rows: list[Row]) -> Markup | None:
    """Cost per million over P99: those on the Pareto front as a line, the others as points."""
    known = [row for row in rows if row["meets"] and row["latency_ms_p99"] and row["cost_per_1m_inf"]]
    if not known:
        return None
    points = {row["cell"]: (row["latency_ms_p99"], row["cost_per_1m_inf"]) for row in known}
    front = sorted(points[row["cell"]] for row in known if row["pareto"])
    others = [points[row["cell"]] for row in known if not row["pareto"]]
    chart = pygal.XY(
        **chart_options(
            ("var(--accent)", "var(--faded)"),
            xrange=_range([x for x, _ in points.values()]),
            range=_range([y for _, y in points.values()]),
            value_formatter=lambda cost: f"${cost:.3g}",
            x_value_formatter=three_figures,
            truncate_label=-1,
            dots_size=5,
            stroke_style={"width": 2},
            show_minor_x_labels=False,
            x_labels_major_count=4,
            show_minor_y_labels=False,
            y_labels_major_count=4,
        )
    )
    chart.add("Pareto front", front)
    chart.add("others", others, stroke=False)
    return inline(chart)


def legend(rows: list[Row]) -> list[dict[str, Any]]:
    """Name and colour of each curve, for the page."""
    return [{"name": name, "colour": colour} for (name, _), colour in zip(curves(rows), COLOURS, strict=False)]


def _steps(low: float, high: float) -> list[float]:
    """What stands along an axis of logarithms: 1, 2, 5 of each power of ten, or the powers alone if those are many."""
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    fine = [step * power for power in powers for step in (1, 2, 5)]
    found = [value for value in fine if low <= value <= high]
    return found if len(found) <= MOST_STEPS else [value for value in powers if low <= value <= high]


def _range(values: list[float]) -> tuple[float, float]:
    return min(values) * 0.8, max(values) * 1.25
