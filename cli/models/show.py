"""`boxcar models show` and `history`: all about one version, and how a model came to be what it is."""

import json
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from boxcar.criterion import Criterion
from cli.models.names import MODEL, VERSION, Named, find, models_table
from cli.models.pages import history_page
from cli.models.words import NOT_RECORDED, decisions, figure, made_of, score_of, verdict_of
from cli.session import Session
from cli.terminal import terminal

TONES = {"approve": "green", "review": "yellow", "reject": "red"}


@click.command()
@click.argument("named", metavar="FAMILY/MODEL[@VERSION]", type=VERSION)
@click.option("--json", "as_json", is_flag=True, help="The document of the version.")
@click.pass_obj
def show(session: Session, named: Named, as_json: bool) -> None:
    """Show one version: its verdict, figures, parameters, and what it was made of. Without VERSION the approved one."""
    version = find(session, named)
    if as_json:
        click.echo(json.dumps(version, indent=1))
        return
    console = terminal()
    verdict = verdict_of(version)
    place = ", in production" if version["in_production"] else ""
    console.print(
        f"[bold]{version['family']}/{version['model']} {version['version']}[/bold]  {version['status']}{place}"
    )
    fields = {
        "registered": f"{version['created']} by run {version['run']}",
        "change": version["change"] + (f", since {verdict.compared_with}" if verdict.compared_with else ""),
        "rows": ", ".join(f"{count:,} {name}" for name, count in version["rows"].items()),
        "labels": ", ".join(f"{label}: {count:,}" for label, count in version["labels"].items()),
        "scores": ", ".join(f"{name} {figure(value, '.4f')}" for name, value in version["metrics"].items()),
        "architecture": version["config"]["architecture"],
        "parameters": ", ".join(f"{name} {value}" for name, value in version["config"]["parameters"].items()),
        "features": ", ".join(name for names in version["config"]["features"].values() for name in names),
        **made_of(version),
        "artifact": version["outputs"]["model"],
        "evaluation": version["evaluation"],
        "verdict": version.get("verdict_document", NOT_RECORDED),
        "package": version["package_arn"],
    }
    console.print(_fields(fields))
    console.print(
        f"\n[bold]Verdict[/bold]  [{TONES[verdict.outcome]}]{verdict.outcome}[/]"
        + (f", against {verdict.compared_with}" if verdict.compared_with else ", nothing to compare with")
    )
    console.print(_criteria(verdict.criteria))
    for reason in verdict.reasons:
        console.print(Text(f"  {reason}"))
    for decision in decisions(version):
        console.print(Text(f"  {decision}"))


@click.command()
@click.argument("named", metavar="FAMILY/MODEL", type=MODEL)
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures here.")
@click.option("--json", "as_json", is_flag=True, help="The documents of all versions, oldest first.")
@click.pass_obj
def history(session: Session, named: Named, page: Path | None, as_json: bool) -> None:
    """Show every version of a model, oldest first: score, rows, label shift, verdict and who decided."""
    table = models_table(session)
    versions = table.history(named.family, named.model)
    if not versions:
        raise click.ClickException(f"{named} has no version; `boxcar models list` shows what there is")
    approved = (table.approved(named.family, named.model) or {}).get("version")
    if as_json:
        click.echo(json.dumps(versions, indent=1))
        return
    metric = versions[-1]["verdict"]["metric"]
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("version", "change", metric, "rows", "label shift", "verdict", "status", "registered", "run"):
        shown.add_column(column, justify="right" if column in (metric, "rows", "label shift") else "left")
    for version in versions:
        verdict = verdict_of(version)
        shown.add_row(
            version["version"] + (" *" if version["version"] == approved else ""),
            version["change"],
            figure(score_of(version), ".4f"),
            f"{sum(version['rows'].values()):,}",
            figure(verdict.label_shift, ".3f"),
            Text(verdict.outcome, style=TONES[verdict.outcome]),
            version["status"],
            str(version["created"])[:19],
            version["run"],
        )
    console = terminal()
    console.print(shown)
    for version in versions:
        for decision in decisions(version):
            console.print(Text(f"{version['version']}: {decision}"), soft_wrap=True)
    if page:
        page.write_text(history_page(str(named), versions, approved), encoding="utf-8")
        click.echo(f"page: {page.resolve()}")


def _fields(fields: dict[str, str]) -> Table:
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in fields.items():
        shown.add_row(name, Text(value or "–"))
    return shown


def _criteria(criteria: list[Criterion]) -> Table:
    shown = Table(box=None, header_style="dim", padding=(0, 2))
    for name in ("criterion", "figure", "limit", "interval or noise", "result"):
        shown.add_column(name, justify="right" if name in ("figure", "limit") else "left")
    for one in criteria:
        interval = f"{one.low:.4f} to {one.high:.4f}" if one.low is not None and one.high is not None else ""
        noise = f"noise {one.noise:.4f}" if one.noise is not None else ""
        result = (
            Text(f"breached: {one.causes}", style=TONES[one.causes]) if one.breached else Text("within", style="green")
        )
        shown.add_row(
            one.name.replace("_", " "),
            "missing" if one.figure is None else figure(one.figure, ".4g"),
            "–" if one.limit is None else figure(one.limit, ".4g"),
            interval or noise,
            result,
        )
    return shown
