"""`boxcar jobs stats`: how jobs fared, as a table and as a page; recent ones by the API, old ones from the archive."""

import csv
import json
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from boxcar.reports.steps import duration
from cli.jobs.calls import Document, Wanted, listed_at_once, today
from cli.jobs.figures import (
    BY,
    Figures,
    Statistics,
    failures_by_day,
    figures_of,
    hours_text,
    moment,
    quantile,
    sentence,
)
from cli.session import Session
from cli.terminal import terminal


@click.command("stats", short_help="Show how jobs fared; write a page.")
@click.option("--days", type=click.IntRange(1, 3660), default=7, show_default=True, help="Today and those before, UTC.")
@click.option("--owner", default="", help="Only jobs of one owner.")
@click.option("--sweep", default="", help="Only jobs of this sweep.")
@click.option("--by", type=click.Choice(BY), default="day", show_default=True, help="What the rows of the table are.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures here.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV with the columns instance_type,usd_per_hour; without it there are hours, and no money.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def stats_command(
    session: Session, days: int, owner: str, sweep: str, by: str, page: Path | None, prices: Path | None, as_json: bool
) -> None:
    """Show how jobs fared: outcomes, waiting, running, instance hours, cost, failures by class and day."""
    priced = read_prices(prices) if prices else {}
    last = today()
    first = last - timedelta(days=days - 1)
    with Console(stderr=True).status("reading jobs"):  # nothing, where there is no terminal
        statistics = figures_of(jobs_of(session, first, last, owner, sweep), first, last, by)
    if page:
        from cli.jobs.stats_page import render  # drawing takes a third of a second to load

        about = {name: value for name, value in (("Owner", owner), ("Sweep", sweep)) if value}
        page.write_text(render(statistics, priced, {"Stack": session.stack, **about}, datetime.now(UTC)), "utf-8")
    if as_json:
        click.echo(json.dumps(document(statistics, priced)))
        return
    console = terminal()
    console.print(Text(f"{first} to {last}: {sentence(statistics.whole)}"))
    if statistics.whole.jobs:
        console.print(_table(statistics, priced))
    if any(figures.failures for figures in statistics.trend):
        console.print(_failures(statistics))
    if unpriced := statistics.whole.as_json(priced)["unpriced"]:
        click.echo(f"{prices} has no price for {', '.join(unpriced)}: their cost is left out", err=True)
    if page:
        click.echo(f"page: {page.resolve()}")


def jobs_of(session: Session, first: date, last: date, owner: str = "", sweep: str = "") -> Iterable[Document]:
    """Summaries of the jobs that were submitted from one day to another, each once, wherever they are kept now.

    How long the table keeps a job is a parameter of the stack, and a job may be in the archive and still in the table.
    So both are asked for all days; days without files cost nothing.
    """
    seen = set()
    wanted = Wanted(day=last, days=(last - first).days + 1, owner=owner, sweep=sweep)
    for job in listed_at_once(session, wanted):
        seen.add(_identity(job))
        yield job
    # Reading Parquet needs DuckDB, which only those load who ask for statistics.
    from cli.job_history import read_archived

    for job in read_archived(session, first, last):
        if _identity(job) not in seen and owner in ("", job.get("owner")) and sweep in ("", job.get("sweep")):
            yield job


def _identity(job: Document) -> tuple[str, int]:
    """Id and second of submission: an id may be used again once its job is gone. Both are alike wherever it is kept."""
    return str(job["job"]), int(moment(job["created_at"]) or 0)


def read_prices(file: Path) -> dict[str, float]:
    """US dollars an hour by instance type.

    Raises:
        click.ClickException: a column is missing, or a price is none; names file and line.
    """
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        if missing := {"instance_type", "usd_per_hour"} - set(rows.fieldnames or ()):
            raise click.ClickException(
                f"{file}:1: has no column {', '.join(sorted(missing))}; write instance_type,usd_per_hour"
            )
        prices = {}
        for row in rows:
            try:
                price = float(row["usd_per_hour"])
            except (TypeError, ValueError):
                price = math.nan
            if not 0 <= price < math.inf:
                raise click.ClickException(
                    f"{file}:{rows.line_num}: usd_per_hour: {row['usd_per_hour']!r} is not a price; write 0.23"
                )
            prices[row["instance_type"].strip()] = price
    return prices


def document(statistics: Statistics, prices: dict[str, float]) -> dict[str, Any]:
    """All figures as JSON."""
    return {
        "first_day": statistics.first.isoformat(),
        "last_day": statistics.last.isoformat(),
        "all": statistics.whole.as_json(prices),
        "by": statistics.by,
        "groups": [group.as_json(prices) for group in statistics.groups],
        "trend_days": 7 if statistics.weekly else 1,
        "trend": [figures.as_json(prices) for figures in statistics.trend],
    }


def _table(statistics: Statistics, prices: dict[str, float]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(statistics.by)
    columns = ["jobs", "completed", "failed", "stopped", "open", "waited", "95 %", "ran", "95 %", "hours"]
    for column in columns + (["cost"] if prices else []):
        table.add_column(column, justify="right", no_wrap=True)
    for group in [*statistics.groups, statistics.whole] if len(statistics.groups) > 1 else statistics.groups:
        style = "bold" if group is statistics.whole else ""
        table.add_row(Text(group.name), *_cells(group, prices), style=style)
    return table


def _cells(group: Figures, prices: dict[str, float]) -> list[str]:
    usd = group.usd(prices)
    return [
        f"{group.jobs:,}",
        *(f"{group.outcomes[outcome]:,}" for outcome in ("Completed", "Failed", "Stopped", "open")),
        *(duration(quantile(group.waits, share)) for share in (0.5, 0.95)),
        *(duration(quantile(group.runs, share)) for share in (0.5, 0.95)),
        hours_text(group.hours.total()),
        *([f"${usd:,.2f}" if usd is not None else "–"] if prices else []),
    ]


def _failures(statistics: Statistics) -> Table:
    classes, counts = failures_by_day(statistics.trend)
    title = f"failures by class and {'week' if statistics.weekly else 'day'}"
    table = Table(box=None, padding=(0, 2, 0, 0), title=title, title_justify="left", title_style="dim")
    table.add_column("")
    for name in classes:
        table.add_column(name, justify="right", no_wrap=True)
    for number, figures in enumerate(statistics.trend):
        if figures.failures:
            table.add_row(figures.name, *(str(counts[name][number] or "–") for name in classes))
    return table
