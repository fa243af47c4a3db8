"""What has been told, day by day: items `alarm#<id>` in a partition a day of the index by_queue."""

from collections.abc import Iterator
from typing import Any

from boxcar.attributes import Item
from boxcar.jobs.record import iso


def listed(now: float) -> dict[str, str]:
    """Values of the attributes queue and due of an alarm that is settled now."""
    return {":queue": partition(iso(now)[:10]), ":due": iso(now)}


def partition(day: str) -> str:
    """Where alarms of a day (`2026-01-31`, UTC) are."""
    return f"Told#{day}"


def read(dynamodb: Any, table: str, name: str, until: str = "9") -> Iterator[Item]:
    """Items of a partition of by_queue, oldest first, that are due until a time (ISO 8601)."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        IndexName="by_queue",
        KeyConditionExpression="#queue = :queue AND due <= :until",
        ExpressionAttributeNames={"#queue": "queue"},
        ExpressionAttributeValues={":queue": {"S": name}, ":until": {"S": until}},
    )
    for page in pages:
        yield from page["Items"]
