"""`boxcar jobs submit`: from files to jobs, in few calls; the same command again submits only what is missing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.api import ApiProblem
from cli.architectures import upload_code
from cli.jobs.calls import Document
from cli.jobs.documents import Fault, split_field
from cli.jobs.files import BadFilesError, Changes, Wanted, assignments, read_jobs, values
from cli.jobs.watch import follow
from cli.session import Session

BATCH = 100  # jobs a call
CONFLICT = 409
BATCH_BYTES = 800_000  # of one call; the API takes 1 MB


@dataclass
class Submission:
    """What became of the jobs so far."""

    created: list[Document] = field(default_factory=list)
    known: list[Document] = field(default_factory=list)

    @property
    def jobs(self) -> list[Document]:
        """All that are stored now."""
        return [*self.created, *self.known]

    def told(self) -> str:
        """In words."""
        new = f"{len(self.created):,} {'job was' if len(self.created) == 1 else 'jobs were'} submitted"
        return f"{new}, {len(self.known):,} {'was' if len(self.known) == 1 else 'were'} known already"


@click.command("submit", short_help="Submit job files, folders, globs; sweeps.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--dry-run", is_flag=True, help="Check everything and print what would be submitted.")
@click.option("--owner", envvar="BOXCAR_OWNER", help="Whose jobs they are; otherwise yours, by the credentials.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag for every job; may be given again.")
@click.option("--priority", type=click.IntRange(0, 99), help="Of every job; 0 goes first, 50 is usual.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="A field of every job: step.config.rounds=9.")
@click.option("--watch", "watches", is_flag=True, help="Follow the jobs until all have ended.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def submit_command(
    session: Session,
    paths: tuple[str, ...],
    dry_run: bool,
    owner: str | None,
    tags: tuple[str, ...],
    priority: int | None,
    sets: tuple[str, ...],
    watches: bool,
    as_json: bool,
) -> None:
    """Submit job files: YAML or JSON, folders of them, "quoted globs", or - for what is piped in.

    A file with a `sweep` makes many jobs. Nothing is submitted if one file is wrong. A job's name makes it the same
    job: the same command again submits only what is not there yet. See docs/jobs-guide.md.
    """
    changes = Changes(owner, assignments(tags, "--tag"), priority, values(sets))
    wanted = read_jobs(paths, changes, session.stack)
    if dry_run:
        _print_plan(wanted, as_json)
        return
    submission = send(session, wanted, quiet=as_json)
    if as_json:
        told = {"created": len(submission.created), "known": len(submission.known), "jobs": submission.jobs}
        click.echo(json.dumps(told))
    else:
        for job in submission.jobs[:5]:
            click.echo(f"  {job['job']}  {job['status']}")
        if len(submission.jobs) > 5:
            click.echo(f"  … and {len(submission.jobs) - 5:,} more; see `boxcar jobs list` or `boxcar jobs watch`")
        click.echo(submission.told())
    if watches:
        raise SystemExit(follow(session, submission.jobs, as_json=as_json))


def send(session: Session, wanted: list[Wanted], quiet: bool = False) -> Submission:
    """Upload the code once, then submit in batches.

    Raises:
        BadFilesError: the API refuses something that only it can know, such as a name of an image.
        click.ClickException: a call failed on the way; says how many jobs are stored.
    """
    bucket = session.outputs["BucketName"]
    codes = {
        folder: upload_code(folder, session.client("s3"), bucket).model_dump()
        for folder in dict.fromkeys(job.code for job in wanted if job.code)
    }
    submission = Submission()
    with _progress(quiet or len(wanted) <= BATCH) as progress:
        task = progress.add_task("submitting", total=len(wanted))
        for batch in _batches([(job, _body(job, codes)) for job in wanted]):
            _post(session, batch, submission)
            progress.advance(task, len(batch))
    return submission


def _post(session: Session, batch: list[tuple[Wanted, dict[str, Any]]], submission: Submission) -> None:
    try:
        _, answer = session.call_api("POST", "/jobs", body={"jobs": [body for _, body in batch]})
    except ApiProblem as problem:
        faults = [_fault(error, batch) for error in problem.problem.get("errors", [])]
        if problem.status == CONFLICT:
            raise click.ClickException(_taken(submission, faults, len(batch))) from None
        if faults and not submission.jobs:
            raise BadFilesError(faults, 1) from None
        shown = "".join(f"\n  {fault}" for fault in faults) or f"\n  {problem.message}"
        raise click.ClickException(_interrupted(submission, shown)) from None
    except click.ClickException as error:
        raise click.ClickException(_interrupted(submission, f"\n  {error.message}")) from None
    for job in answer["jobs"]:
        (submission.created if job.pop("created", True) else submission.known).append(job)


def _taken(submission: Submission, faults: list[Fault], batch: int) -> str:
    """A name stands for other contents already. The API looks at that after it has stored what is new."""
    shown = "".join(f"\n  {fault}" for fault in faults)
    others = "; others of the same call may be stored" if batch > 1 else ""
    return f"a name is taken:{shown}\n{submission.told()}{others}. Another name for all: --set job=NAME"


def _interrupted(submission: Submission, why: str) -> str:
    return f"not everything was submitted:{why}\n{submission.told()}; the same command again submits only the rest"


def _fault(error: dict[str, Any], batch: list[tuple[Wanted, dict[str, Any]]]) -> Fault:
    """What the API says of `jobs[17].step.image`, at the file that job 17 of the batch is from."""
    index, path = split_field(str(error.get("field", "")))
    job, body = batch[index if index is not None and index < len(batch) else 0]
    return Fault(job.file, job.line, f"job {body['job']}{f': {path}' if path else ''}", str(error.get("message", "")))


def _body(job: Wanted, codes: dict[Path, dict[str, Any]]) -> dict[str, Any]:
    if job.code is None:
        return job.request
    return {**job.request, "step": {**job.request["step"], "code": codes[job.code]}}


def _batches(jobs: list[tuple[Wanted, dict[str, Any]]]) -> Iterator[list[tuple[Wanted, dict[str, Any]]]]:
    batch: list[tuple[Wanted, dict[str, Any]]] = []
    size = 0
    for job in jobs:
        length = len(json.dumps(job[1]))
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += length
    yield batch


def _progress(quiet: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True,
        disable=quiet or not console.is_terminal,
    )  # fmt: skip


def _print_plan(wanted: list[Wanted], as_json: bool) -> None:
    for job in wanted:
        request = {**job.request, "code": str(job.code)} if job.code else job.request
        if as_json:
            click.echo(json.dumps(request))
            continue
        place = f"{job.file}:{job.line}" if job.line else job.file
        config = ", ".join(f"{name}={value}" for name, value in request["step"].get("config", {}).items())
        click.echo(f"{request['job']:<24} {request['step']['kind']:<11} {config}  ({place})")
    if not as_json:
        click.echo(f"{len(wanted):,} {'job' if len(wanted) == 1 else 'jobs'}; nothing was submitted")
