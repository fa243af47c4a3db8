"""`boxcar models compare`: two versions side by side."""

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from boxcar.errors import EvaluationError
from boxcar.evaluations import Evaluation, load_evaluation
from cli.models.differences import compared
from cli.models.names import VERSION, Named, find
from cli.models.pages import comparison_page
from cli.models.words import figure, name_of
from cli.session import Session
from cli.terminal import terminal


@click.command()
@click.argument("a", metavar="A", type=VERSION)
@click.argument("b", metavar="B", type=VERSION)
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def compare(session: Session, a: Named, b: Named, page: Path | None, as_json: bool) -> None:
    """Compare two versions, such as packaging/box@1.0.0 packaging/box@1.0.1, or two models' approved ones.

    Scores that were measured on the same rows are compared with their interval; others were each measured on rows of
    their own, and the command says so.
    """
    first, second = find(session, a), find(session, b)
    document = compared(first, second, _evaluation(session, first), _evaluation(session, second))
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        _print(document)
    if page:
        page.write_text(comparison_page(document), encoding="utf-8")
        click.echo(f"page: {page.resolve()}", err=as_json)


def _evaluation(session: Session, version: dict[str, Any]) -> Evaluation | None:
    try:
        return load_evaluation(session.client("s3"), version["evaluation"])
    except EvaluationError as error:
        click.echo(f"note: {error}; some figures are left out", err=True)
        return None


def _print(document: dict[str, Any]) -> None:
    a, b = document["a"], document["b"]
    console = terminal()
    shown = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("", style="dim", no_wrap=True)
    for head in (a, b):
        shown.add_column(name_of(head) + (" *" if head["in_production"] else ""), overflow="fold")
    shown.add_row("status", a["status"], b["status"])
    shown.add_row("registered", str(a["created"])[:19], str(b["created"])[:19])
    shown.add_row("run", a["run"], b["run"])
    for name, (left, right) in document["scores"].items():
        shown.add_row(name, figure(left, ".4f"), figure(right, ".4f"))
    shown.add_row("rows", *(f"{sum(rows.values()):,}" for rows in document["rows"]))
    for label in sorted({*document["labels"][0], *document["labels"][1]}):
        shown.add_row(f"label {label}", *(_share(labels, label) for labels in document["labels"]))
    errors = [figure(one.get("error"), ".4f") for one in document["calibration"]]
    shown.add_row("calibration error", *errors)
    for name, pair in document["made_of"].items():
        shown.add_row(name, *(Text(value) for value in pair))
    console.print(shown)
    difference = document["difference"]
    if difference:
        console.print(Text(f"On the same rows: {difference['reason']}"), soft_wrap=True)
    else:
        console.print("The scores are each on rows of their own: B was not weighed against A.", soft_wrap=True)
    if document["label_shift"] is not None:
        console.print(f"Label shift {document['label_shift']:.3f} (population stability index).")
    if document["drift"]:
        moved = ", ".join(f"{name} {value:.3f}" for name, value in list(document["drift"].items())[:5])
        console.print(f"Features that moved most: {moved}.", soft_wrap=True)
    if document["same"]:
        console.print(Text(f"The same: {', '.join(document['same'])}."), style="dim", soft_wrap=True)


def _share(labels: dict[str, int], label: str) -> str:
    total = sum(labels.values())
    count = labels.get(label, 0)
    return f"{count:,} ({count / total:.1%})" if total else "–"
