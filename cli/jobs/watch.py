"""`boxcar jobs watch`: open jobs as they go on, in one table, or as lines where there is no terminal."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from boxcar.reports.steps import duration
from cli.jobs.calls import (
    ENDED,
    OPEN,
    STATUSES,
    WINDOW_DAYS,
    Document,
    Wanted,
    find,
    listed,
    name_of,
    owner_of,
    today,
    why_ended,
)
from cli.jobs.figures import day_of, moment
from cli.progress import COLOURS
from cli.session import Session

RATE_S = 600.0  # the time over which jobs that ended are counted for the rate
FEWEST = 5  # ends from which a rate can be told
ROWS = 15  # of single jobs in the table
LINES = 20  # of single jobs that changed between two looks; more are told as counts alone


@dataclass
class Watched:
    """Some jobs, looked at again and again by lists: no call is made for a single job."""

    session: Session
    wanted: Wanted
    ids: frozenset[str] | None = None  # None: whichever are open
    jobs: dict[str, Document] = field(default_factory=dict)
    since: float = 0.0  # before it nothing is known of what ended: seconds since the epoch

    def look(self) -> list[Document]:
        """Read how the jobs stand. Returns those that changed their status, the oldest first."""
        changed = []
        for job in listed(self.session, self.wanted):
            known = self.jobs.get(job["job"])
            if known is None and not (job["job"] in self.ids if self.ids is not None else job["status"] in OPEN):
                continue
            # An index of the table may lag behind: what has ended does not come back without a new attempt.
            if known and known["status"] in ENDED and job["status"] in OPEN and job["attempt"] <= known["attempt"]:
                continue
            self.jobs[job["job"]] = job
            if known is None or known["status"] != job["status"]:
                changed.append(job)
        days = [day for job in self.jobs.values() if (day := day_of(job))]
        if days:  # from now on no further back than the oldest of them
            self.wanted = replace(self.wanted, days=(today() - min(days)).days + 1)
        return sorted(changed, key=lambda job: str(job["created_at"]))

    @property
    def counts(self) -> Counter[str]:
        """Jobs by status."""
        return Counter(str(job["status"]) for job in self.jobs.values())

    @property
    def open(self) -> int:
        """Jobs that have not ended, those too that no list has shown yet."""
        seen = sum(self.counts[status] for status in OPEN)
        return seen + (len(self.ids - self.jobs.keys()) if self.ids is not None else 0)

    def per_hour(self, now: float) -> float:
        """Jobs that ended an hour, by the last ten minutes or the time that is known of; 0 when too few did to tell."""
        ends = [end for job in self.jobs.values() if job["status"] in ENDED and (end := moment(job.get("ended")))]
        begun = min((moment(job["created_at"]) or now for job in self.jobs.values()), default=now)
        span = min(RATE_S, max(1.0, now - max(begun, self.since)))
        recent = sum(end > now - span for end in ends)
        return recent / span * 3600 if recent >= FEWEST else 0.0

    def headline(self, now: float) -> str:
        """Counts, rate, and how long the rest will take at that rate."""
        parts = [f"{status} {self.counts[status]:,}" for status in STATUSES if self.counts[status]]
        rate = self.per_hour(now)
        if rate and self.open:
            parts.append(f"{rate:,.0f} end an hour, the rest in about {duration(self.open / rate * 3600)}")
        return "   ".join(parts)


@click.command("watch", short_help="Follow open jobs until all have ended.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--owner", help="Whose open jobs; otherwise your own.")
@click.option("--sweep", default="", help="Only jobs of this sweep.")
@click.option("--every", default=5.0, show_default=True, help="Seconds between two looks.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document for each change.")
@click.pass_obj
def watch_command(
    session: Session, ids: tuple[str, ...], owner: str | None, sweep: str, every: float, as_json: bool
) -> None:
    """Follow your open jobs, or those given, until all have ended.

    Exit code 0 when all completed, 1 when one failed or was stopped. Ctrl-C ends the watching, not the jobs.
    """
    whose = owner or owner_of(session)
    if ids:
        found = [find(session, word, owner) for word in ids]
        raise SystemExit(follow(session, found, every=every, as_json=as_json))
    watched = Watched(session, Wanted(days=WINDOW_DAYS, owner=whose, sweep=sweep), since=time.time())
    watched.look()
    if not watched.jobs:
        if not as_json:
            click.echo(f"no job of {whose}{f' in sweep {sweep}' if sweep else ''} is open")
        return
    raise SystemExit(_follow([watched], every, as_json))


def follow(session: Session, jobs: Sequence[Document], every: float = 5.0, as_json: bool = False) -> int:
    """Follow certain jobs until all have ended.

    Returns:
        0 when all completed, 1 when one failed or was stopped.
    """
    groups: dict[str, list[Document]] = {}
    for job in jobs:
        groups.setdefault(str(job["owner"]), []).append(job)
    watched = []
    for owner, some in groups.items():
        oldest: date = min((day for job in some if (day := day_of(job))), default=today())
        sweeps = {str(job.get("sweep", "")) for job in some}
        wanted = Wanted(days=(today() - oldest).days + 1, owner=owner, sweep=sweeps.pop() if len(sweeps) == 1 else "")
        watched.append(Watched(session, wanted, frozenset(job["job"] for job in some)))
        for job in some:
            watched[-1].jobs[job["job"]] = job
    return _follow(watched, every, as_json)


def _follow(
    watched: list[Watched],
    every: float,
    as_json: bool,
    console: Console | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    console = console or Console(highlight=False)
    whole = _Several(watched)
    if console.is_terminal and not as_json:
        with Live(whole.table(), console=console, refresh_per_second=4) as live:
            for _ in _looks(whole, every, sleep):
                live.update(whole.table(), refresh=True)
    else:
        said = ""
        for changed in _looks(whole, every, sleep):
            if as_json:
                for job in changed:
                    click.echo(json.dumps(job))
                continue
            for job in changed[:LINES] if len(changed) <= LINES else []:
                click.echo(f"  {name_of(job):<28} {job['status']:<11} {_remark(job)}".rstrip())
            if (headline := whole.headline()) != said and changed:
                said = headline
                click.echo(f"{datetime.now(UTC):%H:%M:%S}  {headline}")
    return 0 if set(whole.counts) <= {"Completed"} else 1


def _looks(whole: "_Several", every: float, sleep: Callable[[float], None]) -> Iterator[list[Document]]:
    """What changed, at each look; ends when all jobs have ended."""
    first = True
    while True:
        began = time.monotonic()
        changed = [job for watched in whole.watched for job in watched.look()]
        yield [job for watched in whole.watched for job in watched.jobs.values()] if first else changed
        if not whole.open:
            return
        first = False
        # Long lists are asked for less often: the watching takes a fifth of the time at most.
        sleep(max(every, 4 * (time.monotonic() - began)))


@dataclass
class _Several:
    """The jobs of all owners that are watched."""

    watched: list[Watched]

    @property
    def counts(self) -> Counter[str]:
        return sum((watched.counts for watched in self.watched), Counter())

    @property
    def open(self) -> int:
        return sum(watched.open for watched in self.watched)

    def headline(self) -> str:
        """The headline of each owner."""
        now = time.time()
        lines = [watched.headline(now) for watched in self.watched]
        if len(lines) == 1:
            return lines[0]
        return "\n".join(f"{one.wanted.owner}: {line}" for one, line in zip(self.watched, lines, strict=True))

    def table(self) -> Any:
        """Counts, what runs, and what ended last."""
        now = time.time()
        jobs = [job for watched in self.watched for job in watched.jobs.values()]
        order = {"InProgress": 0, "Launched": 1, "Failed": 2, "Stopped": 3, "New": 4, "Completed": 5}
        latest = sorted(jobs, key=lambda job: str(job.get("ended") or job["created_at"]), reverse=True)
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("job", "status", "waited", "ran", ""):
            table.add_column(column, justify="right" if column in ("waited", "ran") else "left", no_wrap=column != "")
        for job in sorted(latest, key=lambda job: order[job["status"]])[:ROWS]:
            status = Text(job["status"], style=COLOURS.get(job["status"], "default"))
            table.add_row(Text(name_of(job)), status, *times(job, now), Text(_why(job), overflow="ellipsis"))
        more = [Text(f"… and {len(jobs) - ROWS:,} more", style="dim")] if len(jobs) > ROWS else []
        return Group(Text(self.headline(), style="bold"), table, *more)


def times(job: Document, now: float) -> tuple[str, str]:
    """How long a job waited and ran, in words; the one that goes on is counted up to now."""
    created, started, ended = (moment(job.get(name)) for name in ("created_at", "started", "ended"))
    waiting_until = started if started is not None else ended if ended is not None else now
    waited = duration(max(0.0, waiting_until - created)) if created is not None else ""
    if job["status"] == "New":
        return duration(max(0.0, now - created)) if created is not None else "", ""
    ran = duration(max(0.0, (ended if ended is not None else now) - started)) if started is not None else ""
    return waited, ran


def _remark(job: Document) -> str:
    """What a line says behind a status."""
    return f"{job['seconds']:.0f} s" if job["status"] == "Completed" and job.get("seconds") else _why(job)


def _why(job: Document) -> str:
    if job["status"] in ("Failed", "Stopped"):
        return why_ended(job)
    if job["status"] == "New":
        return str(job.get("waiting_for", ""))
    return ""
