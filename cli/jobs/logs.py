"""`boxcar jobs logs`: what a job prints, from CloudWatch Logs; with -f until the job ends, attempt after attempt."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click

from boxcar import kinds
from boxcar.errors import BoxcarError
from cli.jobs.calls import ENDED, Document, find, name_of, read, why_ended
from cli.session import Session

SETTLE_S = 6.0  # lines come into CloudWatch Logs some seconds after they were printed
PAGES_AT_ONCE = 200  # of one stream, a MB each; the rest comes with the next look


@dataclass
class Stream:
    """What one attempt prints: one log stream a machine, each read from where it was left."""

    logs: Any  # client
    group: str
    prefix: str
    tokens: dict[str, str] = field(default_factory=dict)

    def lines(self) -> Iterator[tuple[float, str, str]]:
        """New lines as (seconds since the epoch, stream, text); of several machines in the order of their times."""
        found = []
        for name in self._names():
            found += [(event["timestamp"] / 1000, name, event["message"].rstrip("\n")) for event in self._events(name)]
        yield from sorted(found, key=lambda line: line[0])

    def _names(self) -> list[str]:
        try:
            pages = self.logs.get_paginator("describe_log_streams").paginate(
                logGroupName=self.group, logStreamNamePrefix=self.prefix
            )
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []  # the group is made with the first line of the first job

    def _events(self, name: str) -> Iterator[dict[str, Any]]:
        """A token that comes back says that there is no more (CloudWatch Logs API Reference, GetLogEvents)."""
        for _ in range(PAGES_AT_ONCE):
            token = self.tokens.get(name)
            more = {"nextToken": token} if token else {}
            try:
                page = self.logs.get_log_events(logGroupName=self.group, logStreamName=name, startFromHead=True, **more)
            except self.logs.exceptions.ResourceNotFoundException:
                return
            yield from page["events"]
            self.tokens[name] = page["nextForwardToken"]
            if page["nextForwardToken"] == token:
                return


@click.command("logs", short_help="Show what a job printed; -f follows it.")
@click.argument("job", metavar="ID")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on until the job ends, also over several attempts.")
@click.option("--attempt", type=click.IntRange(1), help="Of this attempt; otherwise of the latest.")
@click.option("--owner", help="Whose name it is, if ID is a name; otherwise yours.")
@click.option("--timestamps", is_flag=True, help="Begin each line with its time, UTC.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document for each line.")
@click.pass_obj
def logs_command(
    session: Session, job: str, follows: bool, attempt: int | None, owner: str | None, timestamps: bool, as_json: bool
) -> None:
    """Show what a job printed. With -f: exit code 0 when it completed, 1 when not."""
    document = find(session, job, owner)

    def say(number: int, at: float, stream: str, text: str) -> None:
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        if as_json:
            told = {"job": document["job"], "attempt": number, "time": moment, "stream": stream, "message": text}
            click.echo(json.dumps(told))
        else:
            click.echo(f"{moment}  {text}" if timestamps else text)

    if not follows:
        wanted = attempt or int(document["attempt"])
        if not wanted:
            raise click.ClickException(_not_begun(document))
        if not _show(session, document, wanted, say):
            click.echo(f"attempt {wanted} has printed nothing, or its log was deleted", err=True)
        return
    raise SystemExit(follow(session, document, say, attempt or 1))


def follow(
    session: Session,
    document: Document,
    say: Callable[[int, float, str, str], None],
    first: int = 1,
    every: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Say every line of every attempt from `first` on, until the job has ended.

    Returns:
        0 when it completed, 1 when not.
    """
    job = document["job"]
    streams: dict[int, Stream] = {}
    said, quiet = "", 0.0
    while True:
        attempts = [one for one in document["attempts"] if one["number"] >= first]
        for one in attempts:
            number = int(one["number"])
            place = _stream(session, document, number)
            if number in streams:  # some services make the name of a stream up, and tell it once the job runs
                streams[number].prefix = place.prefix
            else:
                streams[number] = place
                kind = f" on {one['instance_type']}" if one.get("instance_type") else ""
                click.echo(f"── attempt {number}{kind} ──", err=True)
        # Attempts before the last but one have said what they had to say.
        spoke = False
        for number in sorted(streams)[-2:]:
            for at, stream, text in streams[number].lines():
                spoke = True
                say(number, at, stream, text)
        waiting = str(document.get("waiting_for") or "") if document["status"] == "New" else ""
        state = f"{document['status']}: {waiting}" if waiting else str(document["status"])
        if state != said and document["status"] not in ENDED:
            said = state
            click.echo(f"── {name_of(document)} is {state} ──", err=True)
        if document["status"] in ENDED:
            quiet = 0.0 if spoke else quiet + every
            if quiet >= _settling(document):
                break
        sleep(every)
        if document["status"] not in ENDED:
            document = read(session, job)
    why = f": {why_ended(document)}" if document.get("failure") else ""
    click.echo(f"── {name_of(document)} {document['status']}{why} ──", err=True)
    return 0 if document["status"] == "Completed" else 1


def _settling(document: Document) -> float:
    """How long nothing new must have come; not at all for a job that ended long ago."""
    ended = document.get("ended")
    if not ended or not document["attempts"]:
        return 0.0
    age = time.time() - datetime.fromisoformat(ended.replace("Z", "+00:00")).timestamp()
    return SETTLE_S if age < 120 else 0.0


def _show(session: Session, document: Document, attempt: int, say: Callable[[int, float, str, str], None]) -> bool:
    lines = list(_stream(session, document, attempt).lines())
    for at, stream, text in lines:
        say(attempt, at, stream, text)
    return bool(lines)


def _stream(session: Session, document: Document, attempt: int) -> Stream:
    """Where an attempt prints. The API says it of the latest one; the kind of the job knows it of the others."""
    place = document.get("logs")
    if attempt == document["attempt"] and place:
        return Stream(session.client("logs"), place["group"], place["prefix"])
    one = next((one for one in document["attempts"] if one["number"] == attempt), None)
    if one is None:
        known = ", ".join(str(one["number"]) for one in document["attempts"]) or "none yet"
        raise click.ClickException(f"--attempt {attempt}: there is no such attempt; there are: {known}")
    try:
        group, prefix = kinds.find(document["kind"]).logs(one["name"], one["arn"])
    except BoxcarError as error:
        raise click.ClickException(str(error)) from None
    if not group:
        raise click.ClickException(f"a {document['kind']} prints nothing that is kept; see `boxcar jobs show`")
    return Stream(session.client("logs"), group, prefix)


def _not_begun(document: Document) -> str:
    why = f": {document['waiting_for']}" if document.get("waiting_for") else ""
    return f"{document['job']} is {document['status']} and has printed nothing yet{why}; -f waits for it"
