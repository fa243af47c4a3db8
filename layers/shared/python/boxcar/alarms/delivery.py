"""Each mail once: an item `alarm#<id>` in the jobs table says that somebody is sending it, and then that it was sent.

The item is claimed, the mail published, the item marked as sent. A crash in between leaves a claim that ends after
`LEASE_S`, and the message comes back from the queue after its visibility timeout, which is longer: a mail may then come
twice, but is never lost.
"""

from collections.abc import Callable
from typing import Any

from boxcar.alarms.repeats import Repeats
from boxcar.alarms.routine import put_by
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
    publish: Callable[[Mail], None],
    clock: Callable[[], float],
    repeats: Repeats | None = None,
) -> str:
    """Send a mail, unless it was; count it instead if its cause has been told of, or put it by for the digest.

    Args:
        mail: what to send.
        dynamodb: client for the jobs table.
        table: its name.
        publish: hands the mail over.
        clock: seconds since the epoch.
        repeats: who counts; None: everything is mailed.

    Returns:
        "sent", "counted", "put by", or "known": what became of it was settled before.

    Raises:
        StillBeingSentError: somebody else is at it.
        Exception: what `publish` raises; the message should come back.
    """
    key = {"pk": {"S": f"alarm#{mail.id}"}}
    if not _claim(mail, key, dynamodb, table, clock):
        return "known"
    if mail.routine:
        put_by(mail, dynamodb, table, clock())
        return "put by"
    if repeats is not None and not repeats.is_first(mail):
        return "counted"
    publish(mail)
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET sent = :now REMOVE lease",
        ExpressionAttributeValues={":now": {"N": str(int(clock()))}},
    )
    return "sent"


def _claim(mail: Mail, key: dict[str, Any], dynamodb: Any, table: str, clock: Callable[[], float]) -> bool:
    """Claim a mail. Answers False when it was sent before."""
    now = int(clock())
    try:
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression=(
                "SET lease = :until, expires = :expires, subject = :subject, "
                "first_seen = if_not_exists(first_seen, :now)"
            ),
            ConditionExpression="attribute_not_exists(pk) OR (attribute_not_exists(sent) AND lease <= :now)",
            ExpressionAttributeValues={
                ":until": {"N": str(now + LEASE_S)},
                ":now": {"N": str(now)},
                ":expires": {"N": str(now + KEPT_S)},
                ":subject": {"S": mail.subject},
            },
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        if "sent" in item:
            return False
        raise StillBeingSentError(f"alarm {mail.id}: another invocation is sending it") from None
    return True
