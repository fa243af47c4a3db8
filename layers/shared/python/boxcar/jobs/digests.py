"""Digests: one mail about many jobs that have ended.

The item `digest#<owner>` counts ends by outcome and sweep, and keeps one job of each outcome as an example. A job
counts in the same transaction that ends it, so no end is missed and none is counted twice. A digest is mailed a minute
after its first end, then after 2, 4, 8 … minutes, four hours at most, while jobs keep ending: a thousand jobs over a
day are about a dozen mails.

Mailing has three steps, each a conditional write: freeze what was counted, hand it to the alarm queue under a number
(which sends a number once), drop what was frozen. Whoever dies in between is followed by the next sweep.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxcar.attributes import Item, decode_all, encode, encode_all
from boxcar.jobs.record import COMPLETED, DUE, Job, iso

if TYPE_CHECKING:
    from boxcar.jobs.table import JobsTable

FIRST_S = 60.0
LONGEST_S = 4 * 3600.0
MOST_EXAMPLES = 8
_COUNTS = "count#"
_EXAMPLES = "example#"


@dataclass(frozen=True)
class Digest:
    """What is to be told about an owner's jobs."""

    key: str
    owner: str
    counts: dict[str, int]  # <outcome>#<sweep> -> how many ended so; an outcome is Completed or a failure
    examples: dict[str, str]  # outcome -> the id of one of them
    since: float
    changes: int  # grows with each end
    number: int  # of mails, so far
    window_s: float
    quiet_until: float
    frozen: dict[str, Any]  # what a mail that is on its way says; {} if none is

    @property
    def total(self) -> int:
        """How many jobs have ended since the last mail."""
        return sum(self.counts.values())


def count_end(job: Job) -> dict[str, Any]:
    """The update that counts the end of a job."""
    outcome = job.status if job.status == COMPLETED else job.failure
    ended = job.ended or 0.0
    due = iso(job.look)  # a minute from now
    names = {
        "#owner": "owner",
        "#count": f"{_COUNTS}{outcome}#{job.sweep}",
        "#example": f"{_EXAMPLES}{outcome}",
    }
    values = {":one": 1, ":job": job.id, ":ended": ended, ":owner": job.owner, ":due": due}
    expression = (
        "SET #owner = :owner, #example = if_not_exists(#example, :job), "
        "since = if_not_exists(since, :ended), queue = :queue, due = if_not_exists(due, :due) "
        "ADD #count :one, changes :one"
    )
    return {
        "Key": {"pk": encode(_key(job.owner))},
        "UpdateExpression": expression,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": encode_all({**values, ":queue": DUE}),
    }


def to_digest(item: Item) -> Digest:
    """The digest of an item."""
    value = decode_all(item)
    return Digest(
        key=value["pk"],
        owner=value.get("owner", ""),
        counts={name.removeprefix(_COUNTS): n for name, n in value.items() if name.startswith(_COUNTS)},
        examples={name.removeprefix(_EXAMPLES): job for name, job in value.items() if name.startswith(_EXAMPLES)},
        since=value.get("since", 0.0),
        changes=value.get("changes", 0),
        number=value.get("number", 0),
        window_s=value.get("window_s", 0.0),
        quiet_until=value.get("quiet_until", 0.0),
        frozen=value.get("frozen", {}),
    )


def mail(table: "JobsTable", item: Item, send: Callable[[dict[str, Any]], None], now: float) -> bool:
    """Mail a digest that is due, or put it off if the last mail was too recent. Answers whether it was mailed.

    Raises:
        Exception: what `send` raises; the digest stays frozen, and the next sweep goes on.
    """
    digest = to_digest(item)
    if not digest.frozen:
        if now < digest.quiet_until:
            _write(table, digest, "SET due = :due", {"due": iso(digest.quiet_until)})
            return False
        if not digest.total:
            _write(table, digest, "REMOVE queue, due", {})
            return False
        put_aside = _freeze(table, digest, now)
        if put_aside is None:
            return False
        digest = put_aside
    send(_message(table, digest))
    _thaw(table, digest)
    return True


def _freeze(table: "JobsTable", digest: Digest, now: float) -> Digest | None:
    """Put aside what a mail will say, and begin to count from zero. None if a job ended meanwhile: next time, then."""
    # Quiet for as long as the last window: whatever comes now is news, not a part of what went on.
    busy = now < digest.quiet_until + digest.window_s
    window = min(LONGEST_S, digest.window_s * 2) if busy and digest.window_s else FIRST_S
    frozen = {"counts": digest.counts, "examples": digest.examples, "since": digest.since, "until": now}
    item = {
        "pk": digest.key, "owner": digest.owner, "changes": digest.changes + 1,
        "number": digest.number + 1, "window_s": window, "quiet_until": now + window, "frozen": frozen,
        "queue": DUE, "due": iso(now + FIRST_S),
    }  # fmt: skip
    try:
        table.client.put_item(
            TableName=table.name, Item=encode_all(item),
            ConditionExpression="changes = :seen", ExpressionAttributeValues={":seen": encode(digest.changes)},
        )  # fmt: skip
    except table.client.exceptions.ConditionalCheckFailedException:
        return None
    return to_digest(encode_all(item))


def _thaw(table: "JobsTable", digest: Digest) -> None:
    """Forget what was mailed. What has been counted meanwhile is due when it has been quiet long enough."""
    if _write(table, digest, "REMOVE frozen, queue, due", {}):
        return
    table.client.update_item(
        TableName=table.name, Key={"pk": encode(digest.key)}, UpdateExpression="SET due = :due REMOVE frozen",
        ConditionExpression="#number = :number", ExpressionAttributeNames={"#number": "number"},
        ExpressionAttributeValues={":due": encode(iso(digest.quiet_until)), ":number": encode(digest.number)},
    )  # fmt: skip


def _write(table: "JobsTable", digest: Digest, expression: str, values: dict[str, Any]) -> bool:
    """Change the item, unless a job has ended since it was read: then False."""
    values = {"seen": digest.changes, **values}
    try:
        table.client.update_item(
            TableName=table.name, Key={"pk": encode(digest.key)}, UpdateExpression=expression,
            ConditionExpression="changes = :seen",
            ExpressionAttributeValues={f":{name}": encode(value) for name, value in values.items()},
        )  # fmt: skip
    except table.client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _message(table: "JobsTable", digest: Digest) -> dict[str, Any]:
    """What goes to the alarm queue."""
    frozen = digest.frozen
    examples = []
    for outcome, job_id in sorted(frozen["examples"].items())[:MOST_EXAMPLES]:
        job = table.get(job_id)
        if job is not None:
            examples.append({"outcome": outcome, **example(job)})
    sweeps: dict[str, dict[str, int]] = {}
    for name, count in frozen["counts"].items():
        outcome, _, sweep = name.partition("#")
        sweeps.setdefault(sweep, {})[outcome] = count
    return {
        "kind": "jobs_digest",
        "owner": digest.owner,
        "number": digest.number,
        "sweeps": sweeps,
        "since": frozen["since"],
        "until": frozen["until"],
        "examples": examples,
    }


def example(job: Job) -> dict[str, Any]:
    """What a mail says of one job."""
    latest = job.attempts[-1] if job.attempts else None
    return {
        "job": job.id,
        "step": job.step,
        "job_kind": job.kind,
        "status": job.status,
        "failure": job.failure,
        "reason": job.reason[:2000],
        "attempts": [
            {"name": attempt.name, "failure": attempt.failure, "reason": attempt.reason[:300]}
            for attempt in job.attempts[-5:]
        ],
        "attempts_made": job.attempts_made,
        "seconds": job.seconds,
        "arn": latest.arn if latest else "",
        "outputs": job.outputs,
    }


def _key(owner: str) -> str:
    return f"digest#{owner}"
