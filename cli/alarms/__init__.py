"""`boxcar alarms`: what was told, what waits, what nobody could take; and having it delivered again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from boxcar.alarms import repeats, routine, told
from boxcar.attributes import decode_all
from boxcar.jobs.record import DUE
from cli.alarms.queues import DEAD, PATHS, counts, redeliver
from cli.session import Session


@click.group()
def alarms() -> None:
    """Alarms and queues: what was told, what waits, and delivering dead letters again."""


@alarms.command("list")
@click.option("--days", default=2, show_default=True, type=click.IntRange(1, 90), help="How far back, by UTC days.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_obj
def list_alarms(session: Session, days: int, as_json: bool) -> None:
    """List what was told, newest first, and what is counted until its hour is over."""
    dynamodb, table = session.client("dynamodb"), session.outputs["JobsTableName"]
    today = datetime.now(UTC).date()
    sent: list[dict[str, Any]] = []
    for day in (today - timedelta(days=back) for back in range(days)):
        found = [decode_all(item) for item in told.read(dynamodb, table, told.partition(day.isoformat()))]
        sent += [_told(item) for item in reversed(found)]
    waiting = [_told(decode_all(item)) for item in told.read(dynamodb, table, routine.PARTITION)]
    due = (decode_all(item) for item in told.read(dynamodb, table, DUE))
    counted = [item for item in due if item["pk"].startswith(repeats.PREFIX)]
    again = [{"subject": item["subject"], "count": item["count"], "told_at": item["due"]} for item in counted]
    if as_json:
        click.echo(json.dumps({"told": sent, "for_the_digest": waiting, "counted": again}, indent=1))
        return
    for one in sent:
        click.echo(
            f"{one['at'][:19]}Z  {one['became']:<8} {one['severity']:<8} {one['audiences']:<21} {one['subject']}"
        )
    for one in waiting:
        click.echo(f"{one['at'][:19]}Z  waits    for the digest: {one['subject']}")
    for one in again:
        if one["count"]:
            click.echo(f"{one['count']} more counted, told of at {one['told_at'][:19]}Z: {one['subject']}")
    if not (sent or waiting):
        click.echo(f"nothing was told in {days} day{'' if days == 1 else 's'}")


@alarms.command("queues")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_obj
def queues_command(session: Session, as_json: bool) -> None:
    """Show every queue: what waits, what is being worked on, and dead letters with what to do."""
    found = counts(session)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"{'queue':<28} {'waiting':>8} {'in work':>8}")
    for queue in found:
        line = f"{queue['queue']:<28} {queue['waiting']:>8} {queue['in_work']:>8}"
        if queue["waiting"] and (advice := DEAD.get(queue["queue"])):
            line += f"  {advice}"
        click.echo(line)


@alarms.command("redeliver")
@click.argument("path", type=click.Choice(sorted(PATHS)), default="alarm")
@click.option("--dry-run", is_flag=True, help="Show what would be delivered, and leave it where it is.")
@click.pass_obj
def redeliver_command(session: Session, path: str, dry_run: bool) -> None:
    """Deliver dead letters again: those of alarm (the default), or of another path.

    Mend the reason first. An alarm that was sent is not sent again; a trigger that has had its run starts none.
    """
    number = 0
    for body in redeliver(session, path, dry_run):
        number += 1
        click.echo(f"{'would deliver' if dry_run else 'delivered'}: {' '.join(body.split())[:160]}")
    if not number:
        click.echo(f"no dead letters of {path}")


def _told(item: dict[str, Any]) -> dict[str, str]:
    routine = item["pk"].startswith(("alarm#report:", "alarm#documents:", "alarm#retraining:"))
    became = "counted" if "counted_in" in item else "digest" if routine else "mailed"
    became = "mailed" if "told" in item else became
    return {
        "at": item.get("due", ""),
        "became": became,
        "severity": item.get("severity", ""),
        "audiences": ", ".join(sorted(item.get("audiences", ()))),
        "subject": item.get("subject", ""),
        "id": item["pk"].removeprefix("alarm#"),
    }
