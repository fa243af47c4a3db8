"""`boxcar demo`: a real retailer's year on this machine, trained and judged twice, a week apart, then predicted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cli import retailer
from cli.deploy import deploy
from cli.families import apply_family
from cli.infer import start
from cli.local_cloud import print_mails, restart
from cli.models.decide import decide
from cli.models.names import Named
from cli.progress import Progress
from cli.runs import follow, upload_trigger
from cli.session import Session
from cli.sql import as_table
from cli.warehouse import warehouse
from local.client import wait_for
from local.server import PORT

FAMILY = Path("families/packaging.yaml")
TRIGGER = Path("events/training.json")
TRIGGER_KEY = "triggers/training/packaging.json"
WEEKS = (13, 14)

console = Console(highlight=False)


@click.command()
@click.option("--port", default=PORT, show_default=True, help="Port of the embedded cloud.")
@click.pass_obj
def demo(session: Session, port: int) -> None:
    """Deploy the stack to an empty embedded cloud, train packaging on two weeks, predict, show what came of it.

    The cloud keeps running afterwards, so that you can look around in it.
    """
    began = time.monotonic()
    session = Session(stack="boxcar", local=True, state=session.state)
    with _step("start an empty embedded cloud"):
        restart(session.state, port)
    with _step("sam build, sam deploy --config-env local"):
        deploy(session, "local", quiet=True)
    reports = []
    for week in WEEKS:
        with _step(f"fill the warehouse as of week {week}"):
            added = retailer.load(warehouse(session), week)
        console.print(f"    new rows: {', '.join(f'{rows:,} {table}' for table, rows in added.items())}")
        if week == WEEKS[0]:
            with _step(f"apply {FAMILY}"):
                version = apply_family(session, FAMILY)
            console.print(f"    models: {', '.join(version.family.models)}")
        console.print(f"[bold]upload {TRIGGER_KEY}[/bold]")
        run = upload_trigger(session, TRIGGER, TRIGGER_KEY)
        progress = follow(session, run, partial(_decide, session))
        if progress.status != "SUCCEEDED":
            raise click.ClickException(f"run {run} {progress.status.lower()}: {progress.error}")
        reports.append(_fetch_report(session, run))
    console.print("[bold]predict for the whole catalogue[/bold] (boxcar infer packaging --scope monthly --watch)")
    request = {"family": "packaging", "scope": "monthly", "requested_by": "boxcar demo"}
    progress = follow(session, start(session, request))
    if progress.status != "SUCCEEDED":
        raise click.ClickException(f"run {progress.run} {progress.status.lower()}: {progress.error}")
    reports_of_inference = _fetch_report(session, progress.run)
    _print_verdicts([report for report, _ in reports])
    _print_recommendations(session)
    with _step("fire the schedule of the daily digest"):
        _mail_digest(session, [*(report["run"] for report, _ in reports), progress.run])
    mails = print_mails(session.state)
    _check(session, [report for report, _ in reports], mails)
    console.print(f"\nReport page: [bold]{reports[-1][1].resolve()}[/bold]", soft_wrap=True)
    console.print(f"Report of the predictions: [bold]{reports_of_inference[1].resolve()}[/bold]", soft_wrap=True)
    console.print(
        "Look around: `.venv/bin/boxcar --local models list`, `… runs list`, `… mails`, "
        "`… sql 'select * from packaging_predictions'`. "
        "Stop it: `.venv/bin/boxcar local down`."
    )
    console.print(f"Done in {time.monotonic() - began:.0f} s.")


def _mail_digest(session: Session, runs: list[str]) -> None:
    """Have the reports mailed that wait for tomorrow morning, until every run has been told of."""

    def told() -> bool:
        session.cloud.fire_schedule(f"{session.stack}-digest")  # again: the last report may still be on its way
        text = "".join(mail.text for mail in session.cloud.mails())
        return all(run in text for run in runs)

    wait_for(told, every=1, why="not every run was told of by mail")


def _decide(session: Session, progress: Progress) -> None:
    """Say yes where the gate asks a person: nobody may be there, and a run would wait for days."""
    for step in progress.steps:
        if step.state == "Asked":
            decide(session, Named("packaging", step.model), {"decision": "approve", "why": "the demo goes on"})


def _fetch_report(session: Session, run: str) -> tuple[dict[str, Any], Path]:
    """Bring the report of a run from the bucket to a folder where a browser can open it."""
    bucket, s3 = session.outputs["BucketName"], session.client("s3")
    folder = session.state.parent / "reports" / run
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_bytes(s3.get_object(Bucket=bucket, Key=f"reports/{run}/index.html")["Body"].read())
    report = session.read_json(f"reports/{run}/report.json")
    if report is None:
        raise click.ClickException(f"s3://{bucket}/reports/{run}/report.json is missing")
    return report, page


def _print_verdicts(reports: list[dict[str, Any]]) -> None:
    """A row a model, its reasons on the line below: they are sentences, and terminals are narrow."""
    row = "  {:<14} {:<8} {:>16} {:>12} {:>11}  {}"
    for week, report in zip(WEEKS, reports, strict=True):
        console.print(f"\n[bold]Verdicts of week {week}[/bold]")
        console.print(row.format("model", "version", "score", "label shift", "row change", "verdict"), style="dim")
        for model in report["models"]:
            console.print(
                row.format(
                    model["model"],
                    model["version"],
                    f"{_figure(model['score_before'], '.4f')} → {_figure(model['score'], '.4f')}",
                    _figure(model["label_shift"], ".4f"),
                    _figure(model["row_change"], "+.1%"),
                    model["status"],
                )
            )
            for reason in model["reasons"]:
                console.print(f"    {reason}", style="dim", soft_wrap=True)


PACKAGES = """SELECT COALESCE(package, '(none fits)') AS package, COUNT(*) AS products, MIN(price) AS price
FROM recommended_packages GROUP BY 1, package ORDER BY products DESC"""
SOME = """SELECT r.product_id, p.product_type, r.package, r.price, r.score, r.model_version
FROM recommended_packages r JOIN products p ON p.product_id = r.product_id
WHERE p.first_sold_week = 14 ORDER BY r.product_id LIMIT 5"""


def _print_recommendations(session: Session) -> None:
    """What is in the warehouse now, and how to ask it."""
    for title, query in (("Recommended packages", PACKAGES), ("… of products that were new this week", SOME)):
        columns, rows = retailer.table(warehouse(session), query)
        if not rows:
            raise click.ClickException(f"the warehouse has no predictions: {query}")
        console.print(f"\n[bold]{title}[/bold]")
        console.print(as_table(columns, rows))
        console.print(f'  .venv/bin/boxcar --local sql "{" ".join(query.split())}"', style="dim", soft_wrap=True)


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _check(session: Session, reports: list[dict[str, Any]], mails: int) -> None:
    """Everything that the demo promises has happened, or it says what has not."""
    expected = set(_models(session))
    for week, report in zip(WEEKS, reports, strict=True):
        judged = {model["model"] for model in report["models"] if model.get("version")}
        if judged != expected:
            raise click.ClickException(f"week {week}: no verdict for {', '.join(sorted(expected - judged))}")
    if not mails:
        raise click.ClickException("no mail was sent")


def _models(session: Session) -> list[str]:
    from boxcar.family_store import FamilyStore

    version = FamilyStore(session.client("dynamodb"), session.outputs["ModelsTableName"]).latest("packaging")
    return list(version.family.models) if version else []


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = time.monotonic()
    console.print(f"[bold]{what}[/bold] …", end=" ")
    yield
    console.print(f"{time.monotonic() - began:.1f} s")
