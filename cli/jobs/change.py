"""`boxcar jobs stop` and `retry`: of one job, of several, of a whole sweep."""

import json

import click

from cli.api import told
from cli.jobs.calls import ENDED, OPEN, WINDOW_DAYS, Wanted, each, find, listed, owner_of
from cli.session import Session

CONFLICT = 409
LINES = 20  # of single jobs; more are told as a count


@click.command("stop", short_help="Stop jobs, or a whole sweep.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--sweep", default="", help="Every open job of this sweep.")
@click.option("--owner", help="Whose jobs, if names or a sweep are given; otherwise yours.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document for each job.")
@click.pass_obj
def stop(session: Session, ids: tuple[str, ...], sweep: str, owner: str | None, as_json: bool) -> None:
    """Stop jobs. What waits ends at once; what runs gets time to save its work, and then ends."""
    jobs = _chosen(session, ids, sweep, owner, OPEN)
    _change(session, jobs, "DELETE", "/jobs/{job}", "is being stopped", bool(sweep), as_json)


@click.command("retry", short_help="Try jobs again, or what failed of a sweep.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--sweep", default="", help="Every job of this sweep that failed or was stopped.")
@click.option("--failed", is_flag=True, help="With --sweep: those that failed, not those that were stopped.")
@click.option("--owner", help="Whose jobs, if names or a sweep are given; otherwise yours.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document for each job.")
@click.pass_obj
def retry(session: Session, ids: tuple[str, ...], sweep: str, failed: bool, owner: str | None, as_json: bool) -> None:
    """Try jobs again that failed or were stopped: the same work, with attempts anew."""
    if failed and not sweep:
        raise click.UsageError("--failed chooses jobs of a sweep; write --sweep NAME too")
    statuses = ("Failed",) if failed else tuple(status for status in ENDED if status != "Completed")
    jobs = _chosen(session, ids, sweep, owner, statuses)
    _change(session, jobs, "POST", "/jobs/{job}/retry", "is tried again", bool(sweep), as_json)


def _chosen(
    session: Session, ids: tuple[str, ...], sweep: str, owner: str | None, statuses: tuple[str, ...]
) -> list[str]:
    if bool(ids) == bool(sweep):
        raise click.UsageError("write either the ids of jobs, or --sweep NAME")
    if ids:
        return list(dict.fromkeys(find(session, word, owner)["job"] for word in ids))
    whose = owner or owner_of(session)
    wanted = Wanted(days=WINDOW_DAYS, owner=whose, sweep=sweep, statuses=statuses)
    jobs = [job["job"] for job in listed(session, wanted)]
    if not jobs:
        raise click.ClickException(
            f"no job of {whose} in sweep {sweep!r} is {' or '.join(statuses)}, of the last {WINDOW_DAYS} days"
        )
    return jobs


def _change(
    session: Session, jobs: list[str], method: str, path: str, done: str, of_sweep: bool, as_json: bool
) -> None:
    """Ask for each. What could not be done is said after everything else was done.

    A job of a sweep that changed its status since the list was made is no error: it needs nothing any more.
    """
    changed = wrong = 0
    for job, status, document in each(session, jobs, method, path):
        accepted, overtaken = status < 400, of_sweep and status == CONFLICT
        changed += accepted
        wrong += not accepted and not overtaken
        if as_json:
            click.echo(json.dumps({"job": job, "accepted": accepted, "status": status, "answer": document}))
        elif not accepted and not overtaken:
            click.echo(f"{job} not: {told(status, document)}", err=True)
        elif accepted and len(jobs) <= LINES:
            click.echo(f"{job} {done}")
    if len(jobs) > 1 and not as_json:
        late = len(jobs) - changed - wrong
        click.echo(f"{changed:,} of {len(jobs):,}" + (f"; {late:,} had changed meanwhile" if late else ""))
    if wrong:
        raise SystemExit(1)
