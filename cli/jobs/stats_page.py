"""The statistics of jobs as one page that needs nothing but itself, in the look of the report of a run."""

import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pygal

from boxcar.reports.charts import chart_options, inline
from boxcar.reports.standalone import standalone
from boxcar.reports.steps import duration
from cli.jobs.figures import (
    OUTCOMES,
    Statistics,
    failures_by_day,
    hours_by_day,
    hours_text,
    quantile,
    sentence,
)

_FOLDER = Path(__file__).parent / "page"
_OUTCOME_COLOURS = {"Completed": "good", "Failed": "bad", "Stopped": "idle", "open": "busy"}
_SERIES = 8  # colours that the page has for what has no colour of its own; the rest is added up
_MOST_LABELS = 10  # along an axis
_UNITS = ((3 * 3600.0, 3600.0, "h"), (3 * 60.0, 60.0, "min"), (0.0, 1.0, "s"))


def render(statistics: Statistics, prices: dict[str, float], about: dict[str, str], now: datetime) -> str:
    """The page.

    Args:
        statistics: what to show.
        prices: US dollars an hour by instance type; {} leaves money out.
        about: what the jobs were chosen by, as words to be shown.
        now: when it is made.
    """
    whole = statistics.whole
    return standalone(
        _FOLDER,
        "stats.html.j2",
        {"duration": duration, "count": lambda value: f"{value:,}", "hours": hours_text},
        {"quantile": quantile},
        sheet="stats.css",
        statistics=statistics,
        sentence=sentence(whole),
        charts=_charts(statistics, prices),
        prices=prices,
        unpriced=sorted(name for name, hours in whole.hours.items() if hours and name not in prices),
        about=about,
        span=f"{_day(statistics.first)} to {_day(statistics.last)}",
        made=f"{now.astimezone(UTC):%-d %B %Y, %H:%M UTC}",
        outcomes=[(name, _OUTCOME_COLOURS[name]) for name in OUTCOMES],
    )


def _charts(statistics: Statistics, prices: dict[str, float]) -> list[dict[str, Any]]:
    """Pictures with their captions and legends; what there is nothing to show of is left out."""
    trend, per = statistics.trend, "by week of submission" if statistics.weekly else "by day of submission"
    days = [date.fromisoformat(figures.name) for figures in trend]
    outcomes = {name: [float(figures.outcomes[name]) for figures in trend] for name in OUTCOMES}
    colours = {name: f"var(--{_OUTCOME_COLOURS[name]})" for name in OUTCOMES}
    shown = []
    for caption, values in (("Waiting", "waits"), ("Running", "runs")):
        series = {
            name: [quantile(getattr(figures, values), share) for figures in trend]
            for name, share in (("median", 0.5), ("95th percentile", 0.95))
        }
        shown.append(_lines(caption, per, days, series))
    classes, counts = failures_by_day(trend)
    failures = _most({name: [float(count) for count in counts[name]] for name in classes})
    shown.append(_bars("Failures by class", per, days, failures, _palette(failures), "{:,.0f}"))
    hours = hours_by_day(trend)
    named = _palette(_most(hours))
    shown.append(_bars("Instance hours", per, days, _most(hours), named, "{:,.2f} h"))
    money = {name: [value * prices[name] for value in values] for name, values in hours.items() if name in prices}
    shown.append(_bars("Cost in US dollars", per, days, _most(money), {**_palette(_most(money)), **named}, "${:,.2f}"))
    below = [chart for chart in shown if chart is not None]
    # They stand in two columns: the first fills a row of its own when that leaves no gap below.
    first = _bars("Outcomes", per, days, outcomes, colours, "{:,.0f}", wide=len(below) % 2 == 0)
    return [first, *below] if first else below


def _bars(
    caption: str,
    per: str,
    days: list[date],
    series: dict[str, list[float]],
    colours: dict[str, str],
    form: str,
    wide: bool = False,
) -> dict[str, Any] | None:
    """Bars that stand on each other, one a day."""
    drawn = {name: values for name, values in series.items() if any(values)}
    if not drawn:
        return None
    options = chart_options(
        tuple(colours[name] for name in drawn), formatter=form.format, width=860 if wide else 420, **_axis()
    )
    top = max(sum(values) for values in zip(*drawn.values(), strict=True))
    chart = pygal.StackedBar(**options, value_formatter=_short, **_upwards(top))
    return _finished(chart, caption, per, days, drawn, colours, wide)


def _lines(caption: str, per: str, days: list[date], series: dict[str, list[float | None]]) -> dict[str, Any] | None:
    """Lines of times, in the unit that fits the longest."""
    longest = max((value for values in series.values() for value in values if value is not None), default=None)
    if longest is None:
        return None
    _, unit, name = next(one for one in _UNITS if longest >= one[0])
    colours = dict(zip(series, ("var(--accent)", "var(--warn)"), strict=True))
    options = chart_options(tuple(colours.values()), formatter=lambda value: duration(value * unit), **_axis())
    chart = pygal.Line(
        **options,
        **_upwards(longest / unit),
        value_formatter=lambda value: f"{_short(value)} {name}",
        dots_size=3,
        stroke_style={"width": 2},
    )
    scaled = {key: [None if value is None else value / unit for value in values] for key, values in series.items()}
    return _finished(chart, caption, per, days, scaled, colours, wide=False)


def _finished(
    chart: Any, caption: str, per: str, days: list[date], series: Any, colours: dict[str, str], wide: bool
) -> dict[str, Any]:
    chart.x_labels = [f"{day:%-d %b}" for day in days]
    every = -(-len(days) // _MOST_LABELS)
    chart.x_labels_major = [label for number, label in enumerate(chart.x_labels) if number % every == 0]
    for name, values in series.items():
        chart.add(name, values)
    legend = [{"name": name, "colour": colours[name]} for name in series]
    return {"caption": caption, "per": per, "picture": inline(chart), "legend": legend, "wide": wide}


def _axis() -> dict[str, Any]:
    return {"show_minor_x_labels": False, "truncate_label": -1}


def _upwards(top: float) -> dict[str, Any]:
    """An axis from 0 to the first round figure that is not below `top`, in at most five steps."""
    top = max(top, 1e-3)
    step = next(one for one in (1, 2, 5, 10) if top / (scale := 10.0 ** math.floor(math.log10(top / 5))) / one <= 5)
    ticks = [round(number * step * scale, 9) for number in range(math.ceil(round(top / (step * scale), 9)) + 1)]
    return {"range": (0, ticks[-1]), "y_labels": ticks, "y_labels_major": ticks}


def _palette(series: dict[str, Any]) -> dict[str, str]:
    return {name: f"var(--s{number % _SERIES + 1})" for number, name in enumerate(series)}


def _most(series: dict[str, list[float]]) -> dict[str, list[float]]:
    """The greatest series, the rest of them added up."""
    if len(series) <= _SERIES:
        return series
    names = list(series)
    rest = [sum(values) for values in zip(*(series[name] for name in names[_SERIES - 1 :]), strict=True)]
    return {**{name: series[name] for name in names[: _SERIES - 1]}, "others": rest}


def _short(value: float) -> str:
    """A label of an axis."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _day(day: date) -> str:
    return f"{day:%-d %B %Y}"
