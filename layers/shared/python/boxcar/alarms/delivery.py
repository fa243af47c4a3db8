"""Each mail once: an item `alarm#<id>` in the jobs table says that somebody is sending it, and then that it was sent.

The item is claimed, the mail published, the item marked as sent. A crash in between leaves a claim that ends after
`LEASE_S`, and the message comes back from the queue after its visibility timeout, which is longer: a mail may then come
twice, but is never lost. Each audience is marked by itself, so that a repeat skips those who have it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from boxcar.mails import Mail, publish

LEASE_S = 60
KEPT_S = 90 * 86400  # as long as Step Functions keeps an execution's name taken


class StillBeingSentError(Exception):
    """Another invocation has claimed this alarm and has not finished. The queue will bring it back."""


def deliver(
    mail: Mail, *, dynamodb: Any, table: str, sns: Any, topics: Mapping[str, str], clock: Callable[[], float]
) -> bool:
    """Send a mail to each of its audiences unless they have it.

    Args:
        mail: what to send.
        dynamodb: client for the jobs table.
        table: its name.
        sns: client.
        topics: audience -> topic ARN.
        clock: seconds since the epoch.

    Returns:
        False when it had been sent before.

    Raises:
        StillBeingSentError: somebody else is at it.
        KeyError: an audience has no topic.
    """
    missing = [audience for audience in mail.audiences if audience not in topics]
    if missing:
        raise KeyError(f"BOXCAR_TOPICS: has no topic for {', '.join(missing)}; it has {', '.join(topics) or 'none'}")
    key = {"pk": {"S": f"alarm#{mail.id}"}}
    told = _claim(mail, key, dynamodb, table, clock)
    if told is None:
        return False
    for audience in mail.audiences:
        if audience in told:
            continue
        publish(sns, topics[audience], mail, audience)
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="ADD told :audience",
            ExpressionAttributeValues={":audience": {"SS": [audience]}},
        )
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET sent = :now REMOVE lease",
        ExpressionAttributeValues={":now": {"N": str(int(clock()))}},
    )
    return True


def _claim(mail: Mail, key: dict[str, Any], dynamodb: Any, table: str, clock: Callable[[], float]) -> set[str] | None:
    """Claim a mail. Returns who has it already, or None when everybody has."""
    now = int(clock())
    try:
        answer = dynamodb.update_item(
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
            ReturnValues="ALL_NEW",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        if "sent" in item:
            return None
        raise StillBeingSentError(f"alarm {mail.id}: another invocation is sending it") from None
    return set(answer["Attributes"].get("told", {}).get("SS", []))
