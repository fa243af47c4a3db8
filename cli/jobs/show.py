"""`boxcar jobs list`, `show` and `explain`: what there is, all about one job, and why it is where it is."""

import json
import time
from datetime import datetime
from itertools import islice
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from boxcar.reports.steps import duration
from cli.jobs.calls import OPEN, STATUSES, Document, Wanted, find, listed, name_of, why_ended
from cli.jobs.figures import moment
from cli.jobs.files import assignments
from cli.jobs.watch import times
from cli.progress import COLOURS
from cli.session import Session
from cli.terminal import terminal

WORDS = {status.lower(): (status,) for status in STATUSES} | {"open": OPEN}


WIDE = 140  # columns of a terminal that has room for ids


class Status(click.ParamType):
    """A status in any case, or `open` for all that have not ended."""

    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, ...]:
        """The statuses that a word means."""
        if str(value).lower() not in WORDS:
            self.fail(f"{value!r} is not a status; write one of {', '.join((*STATUSES, 'open'))}", param, context)
        return WORDS[str(value).lower()]


@click.command("list", short_help="List jobs by status, day, owner, tag, sweep.")
@click.option("--status", "statuses", type=Status(), multiple=True, help="New, Failed, …, or open; may be given again.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Submitted on this day, UTC; otherwise today.")
@click.option("--days", type=click.IntRange(1, 366), help="That day and those before it, so many. [7, or 1 with --day]")
@click.option("--owner", default="", help="Only jobs of one owner; otherwise everybody's.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Only jobs with this tag; may be given again.")
@click.option("--sweep", default="", help="Only jobs of this sweep.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document for each job.")
@click.pass_obj
def list_jobs(
    session: Session,
    statuses: tuple[tuple[str, ...], ...],
    day: datetime | None,
    days: int | None,
    owner: str,
    tags: tuple[str, ...],
    sweep: str,
    limit: int,
    as_json: bool,
) -> None:
    """List jobs, the newest first: by status, day, owner, tag, sweep."""
    wanted = Wanted(
        day=day.date() if day else None,
        days=days or (1 if day else 7),
        statuses=tuple(dict.fromkeys(status for group in statuses for status in group)),
        owner=owner,
        sweep=sweep,
        tags=assignments(tags, "--tag"),
    )
    found = list(islice(listed(session, wanted), limit + 1))
    if as_json:
        for job in found[:limit]:
            click.echo(json.dumps(job))
        return
    if not found:
        when = f"on {wanted.day}" if wanted.day and wanted.days == 1 else f"in {wanted.days} days"
        click.echo(f"no such job was submitted {when}")
        return
    console = terminal()
    console.print(_table(found[:limit], wide=console.width >= WIDE))
    if len(found) > limit:
        click.echo(f"and more; ask for them with --limit {limit * 10}")


@click.command("show", short_help="Show all about one job.")
@click.argument("job", metavar="ID")
@click.option("--owner", help="Whose name it is, if ID is a name; otherwise yours.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON document.")
@click.pass_obj
def show_command(session: Session, job: str, owner: str | None, as_json: bool) -> None:
    """Show all about one job, by its id, its owner's name for it, or the beginning of its id."""
    document = find(session, job, owner)
    if as_json:
        click.echo(json.dumps(document))
        return
    console = terminal()
    console.print(_head(document))
    console.print(_fields(document))
    if document["attempts"]:
        console.print(_attempts(document))


@click.command("explain", short_help="Say why a job waits, failed, or was not cached.")
@click.argument("job", metavar="ID")
@click.option("--owner", help="Whose name it is, if ID is a name; otherwise yours.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON document.")
@click.pass_obj
def explain(session: Session, job: str, owner: str | None, as_json: bool) -> None:
    """Say why a job waits or failed, what Boxcar did about it, and what comes next."""
    document = find(session, job, owner, explain=True)
    told = document["explanation"]
    if as_json:
        click.echo(json.dumps(told))
        return
    console = terminal()
    console.print(_head(document))
    console.print(Text(told["text"]))
    if failure := told.get("failure"):
        for words in (f"Reason: {failure['reason']}" if failure["reason"] else "", failure["done"]):
            if words:
                console.print(Text(words))
        console.print(Text(f"What to do: {failure['action']}", style="bold"))
    if cache := told.get("cache"):
        console.print(Text(f"Cache: {cache['text']}"))
    for expected in told.get("next") or []:
        when = _clock(expected["at"]) if expected.get("at") else "next"
        console.print(Text(f"  {when}: {expected['what']}"), soft_wrap=True)


def _table(jobs: list[Document], wide: bool) -> Table:
    """One line a job. A narrow terminal leaves out the ids: the name of a job names it too."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("submitted (UTC)", "status", "owner", "job", *(["id"] if wide else []), "waited", "ran", ""):
        right = column in ("waited", "ran")
        table.add_column(column, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    now = time.time()
    for job in jobs:
        status = Text(job["status"], style=COLOURS.get(job["status"], "default"))
        remark = job.get("waiting_for") if job["status"] == "New" else job.get("failure")
        names = [Text(name_of(job)), *([Text(job["job"])] if wide else [])]
        waited, ran = times(job, now)
        table.add_row(
            _clock(job["created_at"]), status, Text(job["owner"]), *names, waited, ran, Text(str(remark or ""))
        )
    return table


def _head(document: Document) -> Text:
    colour = COLOURS.get(document["status"], "default")
    return Text.assemble((name_of(document), "bold"), "  ", (document["status"], colour), "  ", document["job"])


def _fields(document: Document) -> Table:
    waited, ran = times(document, time.time())
    step = document["document"]
    tags = ", ".join(f"{name}={value}" for name, value in document.get("tags", {}).items())
    kind = f"{document['kind']}, step {document['step']}, priority {document['priority']}"
    config = ", ".join(f"{name}={json.dumps(value)}" for name, value in step.get("config", {}).items())
    rows = {
        "kind": kind,
        "owner": document["owner"] + (f", family {document['family']}" if document.get("family") else ""),
        "sweep": document.get("sweep"),
        "tags": tags,
        "config": config,
        "submitted": _clock(document["created_at"]),
        "waited": waited,
        "ran": ran,
        "waits for": document.get("waiting_for") if document["status"] == "New" else "",
        "machine": _machine(document),
        "billed": duration(document["billable_seconds"]) if document.get("billable_seconds") else "",
        "failure": document.get("failure"),
        "reason": document.get("reason"),
        **{f"input {name}": uri for name, uri in document.get("inputs", {}).items()},
        "taken from": document.get("taken_from"),
        **{f"output {name}": uri for name, uri in document.get("outputs", {}).items()},
        "console": document.get("links", {}).get("console"),
    }
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(str(value)))
    return table


def _machine(document: Document) -> str:
    if not document.get("instance_type") or document["kind"] == "statement":
        return ""
    units = int(document.get("units") or 1)
    return f"{units} × {document['instance_type']}" if units > 1 else str(document["instance_type"])


def _attempts(document: Document) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("attempt", "on", "launched", "ran", "ended with"):
        right = column in ("attempt", "ran")
        table.add_column(column, justify="right" if right else "left", no_wrap=column == "launched")
    for attempt in document["attempts"]:
        started, ended = moment(attempt.get("started")), moment(attempt.get("ended"))
        ran = duration((ended if ended is not None else time.time()) - started) if started is not None else ""
        row = (str(attempt["number"]), attempt["pool"], _clock(attempt["launched"]), ran, Text(why_ended(attempt)))
        table.add_row(*row)
    return table


def _clock(time_of: str) -> str:
    return f"{time_of[:10]} {time_of[11:19]}"
