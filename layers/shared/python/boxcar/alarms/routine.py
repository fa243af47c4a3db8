"""Routine success is a digest: reports in which nothing asks for anybody wait, and are one mail a day.

What waits is the item `alarm#<id>` itself, in a partition of its own of the index by_queue: it is put there by the
write that marks the report as told. The digest's id is made of the ids in it, so told twice it is one mail; what comes
between a mail and its noting is in the next one, with what had been mailed, rather than in none.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from boxcar.alarms import told
from boxcar.attributes import Item, encode_all
from boxcar.jobs.record import iso
from boxcar.mails import Mail, columns, section

KIND = "routine_due"  # of the message on the alarm queue
PARTITION = "Routine"
MOST_TEXT = 150_000  # characters of reports in full; of more, the subjects


def put_by(mail: Mail, dynamodb: Any, table: str, now: float) -> None:
    """Mark a report as told, and keep it for the digest."""
    dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": f"alarm#{mail.id}"}},
        UpdateExpression="SET sent = :now, #queue = :queue, due = :due, #text = :text REMOVE lease",
        ExpressionAttributeNames={"#queue": "queue", "#text": "text"},
        ExpressionAttributeValues=encode_all(
            {":now": int(now), ":queue": PARTITION, ":due": iso(now), ":text": mail.text}
        ),
    )


def tell(dynamodb: Any, table: str, send: Callable[[Mail], str], until: float) -> int:
    """Mail what waits; answer how many reports that were.

    Args:
        dynamodb: client.
        table: of jobs.
        send: delivers a mail once, by its id.
        until: seconds since the epoch; what came later waits for the next digest.
    """
    waiting = list(told.read(dynamodb, table, PARTITION, iso(until)))
    if waiting:
        send(_digest(waiting))
    for item in waiting:
        dynamodb.update_item(
            TableName=table,
            Key={"pk": item["pk"]},
            UpdateExpression="SET #queue = :queue, due = :due REMOVE #text",
            ExpressionAttributeNames={"#queue": "queue", "#text": "text"},
            ExpressionAttributeValues=encode_all(told.listed(until)),
        )
    return len(waiting)


def _digest(waiting: list[Item]) -> Mail:
    ids = hashlib.sha256("\n".join(sorted(item["pk"]["S"] for item in waiting)).encode()).hexdigest()[:32]
    count = len(waiting)
    reports = f"{count} report{'' if count == 1 else 's'}"
    rows = [[item["due"]["S"][:16].replace("T", " "), _subject(item)] for item in waiting]
    parts = [
        section("What happened", [f"{reports} of what went as it should, and asks for nobody."]),
        "\n".join(["Reports", *(f"  {line}" for line in columns([["ended (UTC)", "report"], *rows]))]),
    ]
    room = MOST_TEXT
    for item in waiting:
        text = item["text"]["S"].rstrip()
        room -= len(text)
        if room < 0:
            parts.append("The other reports lie in the data bucket, under reports/<run>/.")
            break
        parts.append(f"{'-' * 78}\n{_subject(item)}\n\n{text}")
    return Mail(
        f"routine:{ids}",
        ("business", "science"),
        f"[Boxcar digest] {reports} without anything to decide",
        "\n\n".join(parts) + "\n",
        {"kind": "digest", "severity": "info"},
    )


def _subject(item: Item) -> str:
    return str(item["subject"]["S"]).removeprefix("[Boxcar report] ")
