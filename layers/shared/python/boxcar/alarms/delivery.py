"""Each mail once: an item `alarm#<id>` in the jobs table says that somebody is sending it, and then that it was sent.

The item is claimed, the mail published, the item marked as sent. A crash in between leaves a claim that ends after
`LEASE_S`, and the message comes back from the queue after its visibility timeout, which is longer: a mail may then come
twice, but is never lost.
"""

from collections.abc import Callable, Mapping
from typing import Any

from boxcar.alarms.repeats import Repeats
from boxcar.alarms.routine import put_by
from boxcar.alarms.told import listed
from boxcar.attributes import encode_all
from boxcar.mails import Mail

LEASE_S = 60
KEPT_S = 90 * 86400  # as long as Step Functions keeps an execution's name taken


class StillBeingSentError(Exception):
    """Another invocation has claimed this alarm and has not finished. The queue will bring it back."""


def deliver(
    mail: Mail,
    *,
    dynamodb: Any,
    table: str,
    channels: Mapping[str, Callable[[Mail], None]],
    clock: Callable[[], float],
    repeats: Repeats | None = None,
) -> str:
    """Send a mail, unless it was; count it instead if its cause has been told of, or put it by for the digest.

    Args:
        mail: what to send.
        dynamodb: client for the jobs table.
        table: its name.
        channels: name -> what hands the mail over. Each is noted by itself, so that a repeat skips those that have it.
        clock: seconds since the epoch.
        repeats: who counts; None: everything is mailed.

    Returns:
        "sent", "counted", "put by", or "known": what became of it was settled before.

    Raises:
        StillBeingSentError: somebody else is at it.
        Exception: what the first channel that failed raises, after the others were tried; the message should come back.
    """
    key = {"pk": {"S": f"alarm#{mail.id}"}}
    told = _claim(mail, key, dynamodb, table, clock)
    if told is None:
        return "known"
    if mail.routine:
        put_by(mail, dynamodb, table, clock())
        return "put by"
    if not told and repeats is not None and not repeats.is_first(mail):
        return "counted"
    failures: list[Exception] = []
    for name, hand_over in channels.items():
        if name in told:
            continue
        try:
            hand_over(mail)
        except Exception as error:
            failures.append(error)
        else:
            told.add(name)
    _note(key, dynamodb, table, told, done=not failures, now=clock())
    if failures:
        raise failures[0]
    return "sent"


def _note(key: dict[str, Any], dynamodb: Any, table: str, told: set[str], done: bool, now: float) -> None:
    """Write down who has it. What is not done may be claimed at once by whoever gets the message again."""
    settled = "sent = :now, #queue = :queue, due = :due REMOVE lease" if done else "lease = :never"
    values: dict[str, Any] = {":now": int(now), **listed(now)} if done else {":never": 0}
    if told:
        values[":told"] = told
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression=("SET told = :told, " if told else "SET ") + settled,
        **({"ExpressionAttributeNames": {"#queue": "queue"}} if done else {}),
        ExpressionAttributeValues=encode_all(values),
    )


def _claim(mail: Mail, key: dict[str, Any], dynamodb: Any, table: str, clock: Callable[[], float]) -> set[str] | None:
    """Claim a mail. Answers the channels that have it already, or None when all is settled."""
    now = int(clock())
    try:
        answer = dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression=(
                "SET lease = :until, expires = :expires, subject = :subject, audiences = :audiences, "
                "severity = :severity, "
                "first_seen = if_not_exists(first_seen, :now)"
            ),
            ConditionExpression="attribute_not_exists(pk) OR (attribute_not_exists(sent) AND lease <= :now)",
            ExpressionAttributeValues={
                ":until": {"N": str(now + LEASE_S)},
                ":now": {"N": str(now)},
                ":expires": {"N": str(now + KEPT_S)},
                ":subject": {"S": mail.subject},
                ":audiences": {"SS": list(mail.audiences)},
                ":severity": {"S": mail.attributes.get("severity", "")},
            },
            ReturnValues="ALL_NEW",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        if "sent" in item:
            return None
        raise StillBeingSentError(f"alarm {mail.id}: another invocation is sending it") from None
    return set(answer["Attributes"].get("told", {}).get("SS", []))
