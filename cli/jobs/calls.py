"""The jobs API as the commands use it: lists over many pages, one job by whatever the user calls it."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import click

from boxcar.jobs.names import job_id
from cli.api import ApiProblem
from cli.session import Session

Document = dict[str, Any]
OPEN = ("New", "Launched", "InProgress")
ENDED = ("Completed", "Failed", "Stopped")
STATUSES = (*OPEN, *ENDED)
PAGE = 200  # jobs, the most that the API gives at once
WINDOW_DAYS = 31  # the most that the API looks at in one list
AT_ONCE = 8  # calls side by side, where many jobs are changed one by one


@dataclass(frozen=True)
class Wanted:
    """Which jobs a list is asked for; what is empty does not matter. Days are UTC, `day` is the last one."""

    day: date | None = None
    days: int = 1
    statuses: tuple[str, ...] = ()
    owner: str = ""
    sweep: str = ""
    family: str = ""
    kind: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def windows(self) -> Iterator[tuple[date, int]]:
        """Last day and number of days of each list that the API is asked for, newest first."""
        last, left = self.day or today(), self.days
        while left > 0:
            yield last, min(left, WINDOW_DAYS)
            last, left = last - timedelta(days=WINDOW_DAYS), left - WINDOW_DAYS

    def query(self, day: date, days: int) -> dict[str, Any]:
        """Parameters of one list."""
        query: dict[str, Any] = {"day": day.isoformat(), "days": days, "limit": PAGE}
        query |= {name: value for name in ("owner", "sweep", "family", "kind") if (value := getattr(self, name))}
        if len(self.statuses) == 1:
            query["status"] = self.statuses[0]
        if self.tags:
            query["tag"] = [f"{name}={value}" for name, value in self.tags.items()]
        return query


def listed(session: Session, wanted: Wanted) -> Iterator[Document]:
    """Summaries of jobs, newest first. Pages are asked for as they are needed."""
    for day, days in wanted.windows():
        query = wanted.query(day, days)
        while True:
            _, page = session.call_api("GET", "/jobs", query)
            for job in page["jobs"]:
                if not wanted.statuses or job["status"] in wanted.statuses:
                    yield job
            if not page.get("next"):
                break
            query = {**query, "next": page["next"]}


def listed_at_once(session: Session, wanted: Wanted) -> Iterator[Document]:
    """The same as `listed`, for long lists that are read to their end: several parts of the time side by side."""
    session.api  # noqa: B018 - made once, before several threads want it
    days = min(WINDOW_DAYS, max(1, -(-wanted.days // AT_ONCE)))
    last = wanted.day or today()
    parts = [
        replace(wanted, day=last - timedelta(days=start), days=min(days, wanted.days - start))
        for start in range(0, wanted.days, days)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part in pool.map(lambda part: list(listed(session, part)), parts):
            yield from part


def read(session: Session, job: str, explain: bool = False) -> Document:
    """The document of a job, by its full id.

    Raises:
        ApiProblem: there is none (404).
    """
    query = {"explain": True} if explain else None
    document: Document = session.call_api("GET", f"/jobs/{quote(job, safe='')}", query)[1]
    return document


def find(session: Session, word: str, owner: str | None = None, explain: bool = False) -> Document:
    """The document of a job by its full id, by its owner's own name for it, or by the beginning of its id.

    Args:
        session: whose API is asked.
        word: what the user wrote.
        owner: whose name it is; None for the caller.
        explain: ask for the explanation too.

    Raises:
        click.ClickException: nothing fits, or more than one job does.
    """
    whose = owner or owner_of(session)
    for candidate in (word, job_id(session.stack, f"{whose}/{word}", "", "")):
        try:
            return read(session, candidate, explain)
        except ApiProblem as problem:
            if problem.status not in (400, 404):
                raise
    fits = [job for job in listed(session, Wanted(days=WINDOW_DAYS, owner=whose)) if job["job"].startswith(word)]
    if len(fits) == 1:
        return read(session, fits[0]["job"], explain)
    if fits:
        shown = "".join(f"\n  {job['job']}  {name_of(job)}" for job in fits[:10])
        more = f"\n  … and {len(fits) - 10} more" if len(fits) > 10 else ""
        raise click.ClickException(f"{word!r} is the beginning of {len(fits)} ids; write more of one:{shown}{more}")
    raise click.ClickException(
        f"{word!r} is neither the id of a job, nor the name of one of {whose}, nor the beginning of an id of theirs in "
        f"the last {WINDOW_DAYS} days; see `boxcar jobs list`, or write --owner"
    )


def name_of(job: Document) -> str:
    """What its owner calls it; a step of a run by model and step."""
    run = str(job.get("run", ""))
    if "/" in run:
        return run.partition("/")[2]
    return "/".join(part for part in (run, job.get("model"), job.get("step")) if part)


def why_ended(ending: Document) -> str:
    """Class and reason of a failure, of a job or of an attempt; AWS's reasons often begin with the class."""
    failure, reason = str(ending.get("failure") or ""), " ".join(str(ending.get("reason") or "").split())
    return reason if reason.startswith(failure) else f"{failure}: {reason}".rstrip(": ")


def owner_of(session: Session) -> str:
    """Under which name the API knows the caller: BOXCAR_OWNER, or by the credentials."""
    return os.environ.get("BOXCAR_OWNER") or identity(session)


def identity(session: Session) -> str:
    """The name in the credentials: of the user, or of the session of a role."""
    arn: str = session.client("sts").get_caller_identity()["Arn"]
    return arn.rpartition(":")[2].rpartition("/")[2] or arn


def each(session: Session, jobs: Sequence[str], method: str, path: str) -> list[tuple[str, int, Document]]:
    """One call for each job, a few at a time: (job, HTTP status, document or problem), in order.

    Args:
        session: whose API is called.
        jobs: ids.
        method: of HTTP.
        path: with `{job}` in it.
    """
    session.api  # noqa: B018 - made once, before several threads want it

    def call(job: str) -> tuple[str, int, Document]:
        status, document = session.call_api(method, path.format(job=quote(job, safe="")), check=False)
        return job, status, document if isinstance(document, dict) else {"detail": str(document or "")}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(call, jobs))


def today() -> date:
    """In UTC, as the API counts days."""
    return datetime.now(UTC).date()
