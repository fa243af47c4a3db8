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
    sides = [("candidate", now, _NOW)] + ([("approved", before, _BEFORE)] if before else [])
    chart = pygal.Bar(
        **chart_options(
            tuple(colour for _, _, colour in sides),
            range=(0, 100),
            y_labels=[0, 25, 50, 75, 100],
            value_formatter=lambda share: f"{share:.0f} %",
            formatter=lambda share: f"{share:.1f} %",
            print_values=True,
            print_values_position="top",
            rounded_bars=2,
        )
    )
    chart.x_labels = [str(label) for label in labels]
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


def inline(chart: Any) -> Markup:
    """The chart as an element of the page: no scripts, no links, no fixed size."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in _DROPPED:
                parent.remove(child)
    text = ElementTree.tostring(root, encoding="unicode", method="xml")
    return Markup(text)  # noqa: S704 - pygal builds a tree, which escapes what it holds
