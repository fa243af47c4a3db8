"""Pictures of figures, by pygal: vector graphics inside the page, without scripts, in the page's own colours."""

from typing import Any
from xml.etree import ElementTree

import pygal
from markupsafe import Markup
from pygal.style import Style

_SVG = "{http://www.w3.org/2000/svg}"
# Scripts, what only scripts read, and comments with the time of day.
_DROPPED = (f"{_SVG}script", "script", f"{_SVG}desc", "desc", ElementTree.Comment)
_FONT = "inherit"
Side = tuple[str, dict[str, int]]  # what it is called, and counts by label
# Colours are variables of the page, which knows light from dark. pygal must not compute with them: every colour that it
# would derive is given.
_NOW, _BEFORE = "var(--accent)", "var(--faded)"


def _style(colors: tuple[str, ...]) -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--soft)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        guide_stroke_dasharray="1,0",
        major_guide_stroke_dasharray="1,0",
        opacity="1",
        opacity_hover="1",
        transition="0s",
        colors=colors,
        value_colors=("var(--ink)",) * len(colors),
        font_family=_FONT,
        label_font_size=12,
        major_label_font_size=12,
        value_font_size=12,
        value_label_font_size=12,
        legend_font_size=12,
        title_font_size=13,
        no_data_font_size=13,
    )


def chart_options(colors: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """What every chart of a page has in common; `colors` are CSS colours, one a series."""
    return {
        "style": _style(colors),
        "js": [],
        "width": 420,
        "height": 240,
        "margin": 8,
        "spacing": 8,
        "show_legend": False,
        "explicit_size": False,
        "disable_xml_declaration": True,
        "pretty_print": False,
        "no_data_text": "nothing to show",
        **more,
    }


def label_chart(now: dict[str, int], before: dict[str, int]) -> Markup | None:
    """Shares of the labels, candidate beside approved."""
    if not now and not before:
        return None
    labels = sorted({*now, *before}, key=lambda label: (len(label), label))
    return shares_chart(
        labels, ("candidate", now), ("approved", before), print_values=True, print_values_position="top"
    )


def shares_chart(labels: list[str], now: Side, before: Side, names: list[str] | None = None, **more: Any) -> Markup:
    """What share of each side has each label, side by side.

    Args:
        labels: keys of both sides' counts, in order.
        now: what it is called, and counts by label.
        before: likewise; without counts it is left out.
        names: what to write below each label, where that is not the label itself.
        more: options of pygal.
    """
    sides = [(*now, _NOW)] + ([(*before, _BEFORE)] if before[1] else [])
    most = max(
        (count / (sum(counts.values()) or 1) for _, counts, _ in sides for count in counts.values()), default=1.0
    )
    top = next(limit for limit in (10, 25, 50, 100) if 100 * most <= limit)
    chart = pygal.Bar(
        **chart_options(
            tuple(colour for _, _, colour in sides),
            **{
                "range": (0, top),
                "y_labels": [0, top / 2, top] if names else [0, 25, 50, 75, 100],
                "value_formatter": lambda share: f"{share:.0f} %",
                "formatter": lambda share: f"{share:.1f} %",
                "rounded_bars": 2,
                **({"x_label_rotation": 40, "truncate_label": 14} if names else {"range": (0, 100)}),
                **more,
            },
        )
    )
    chart.x_labels = names or [str(label) for label in labels]
    for name, counts, _ in sides:
        total = sum(counts.values()) or 1
        chart.add(name, [100 * counts.get(label, 0) / total for label in labels])
    return inline(chart)


def history_chart(history: list[dict[str, Any]], metric: str) -> Markup | None:
    """The score of each version, oldest first; those not approved as points of their own colour."""
    shown = [version for version in history if version["score"] is not None]
    if not shown:
        return None
    scores = [version["score"] for version in shown]
    low, high = min(scores), max(scores)
    margin = max((high - low) * 0.25, 0.005)
    chart = pygal.Line(
        **chart_options(
            ("var(--accent)", "var(--bad)"),
            range=(low - margin, high + margin),
            value_formatter=lambda score: f"{score:.3f}",
            dots_size=4,
            stroke_style={"width": 2},
            x_label_rotation=35 if len(shown) > 5 else 0,
            truncate_label=-1,
            y_labels_major_count=3,
            show_minor_y_labels=False,
        )
    )
    chart.x_labels = [version["version"] for version in shown]
    chart.add(
        metric,
        [score if v["status"] == "Approved" else None for v, score in zip(shown, scores, strict=True)],
        allow_interruptions=False,
    )
    chart.add(
        "not approved",
        [score if v["status"] != "Approved" else None for v, score in zip(shown, scores, strict=True)],
        stroke=False,
    )
    return inline(chart)


def score_chart(
    score: float | None, before: float | None, low: float | None, high: float | None, metric: str
) -> Markup | None:
    """Candidate and approved version on one axis of scores.

    Args:
        score: of the candidate.
        before: of the approved version.
        low: where the candidate's score would lie at the lower end of the 95 % interval of the difference.
        high: likewise, at the upper end.
        metric: its name.
    """
    if score is None or before is None:
        return None
    chart = pygal.XY(
        **chart_options(
            (_NOW, _NOW, "var(--soft)"),
            height=150,
            range=(0.4, 2.6),
            truncate_label=-1,
            y_labels=[{"value": 1, "label": "approved"}, {"value": 2, "label": "candidate"}],
            x_value_formatter=lambda value: f"{value:.3f}",
            x_labels_major_count=3,
            show_minor_x_labels=False,
            dots_size=5,
            show_y_guides=False,
            stroke_style={"width": 3},
        )
    )
    points = [value for value in (score, before, low, high) if value is not None]
    margin = max((max(points) - min(points)) * 0.25, 0.005)
    chart.xrange = (min(points) - margin, max(points) + margin)
    if low is not None and high is not None:
        chart.add("95 % interval", [(low, 2), (high, 2)], show_dots=False)
    chart.add(metric, [(score, 2)], stroke=False)
    chart.add("approved", [(before, 1)], stroke=False)
    return inline(chart)


def calibration_chart(bins: list[dict[str, Any]]) -> Markup | None:
    """Share of ones among rows of about the same score; on the diagonal, scores are what they say."""
    points = [(one["score"], one["ones"]) for one in bins if _number(one.get("score")) and _number(one.get("ones"))]
    if not points:
        return None
    chart = pygal.XY(
        **chart_options(
            ("var(--faded)", _NOW),
            range=(0, 1),
            xrange=(0, 1),
            x_labels=[0, 0.25, 0.5, 0.75, 1],
            y_labels=[0, 0.25, 0.5, 0.75, 1],
            x_value_formatter=lambda value: f"{value:g}",
            value_formatter=lambda value: f"{value:g}",
            dots_size=4,
            stroke_style={"width": 2},
        )
    )
    chart.add("perfect", [(0, 0), (1, 1)], show_dots=False)
    chart.add("candidate", points)
    return inline(chart)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def inline(chart: Any) -> Markup:
    """The chart as an element of the page: no scripts, no links, no fixed size."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in _DROPPED:
                parent.remove(child)
    text = ElementTree.tostring(root, encoding="unicode", method="xml")
    return Markup(text)  # noqa: S704 - pygal builds a tree, which escapes what it holds
