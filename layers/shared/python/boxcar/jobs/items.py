"""Jobs as items of DynamoDB, and back.

A small codec instead of boto3's TypeSerializer: that one refuses floats and gives Decimals back.
"""

from dataclasses import asdict, fields
from typing import Any

from boxcar.jobs.record import Attempt, Job, iso

Item = dict[str, Any]


def encode(value: Any) -> dict[str, Any]:
    """One value with DynamoDB's type around it. A set is a set of strings and may not be empty."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, set):
        return {"SS": sorted(value)}
    if isinstance(value, dict):
        return {"M": {key: encode(part) for key, part in value.items() if part is not None}}
    if isinstance(value, list | tuple):
        return {"L": [encode(part) for part in value]}
    raise TypeError(f"{type(value).__name__} has no type in DynamoDB")


def decode(attribute: dict[str, Any]) -> Any:
    """The value inside; numbers are int when they have no fraction."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "SS":
        return set(value)
    if kind == "M":
        return {key: decode(part) for key, part in value.items()}
    if kind == "L":
        return [decode(part) for part in value]
    return None if kind == "NULL" else value


_KEYS = {"run"}  # keys of indexes may not be empty: then they are left out
_NAMED = {"id"}


def to_item(job: Job) -> Item:
    """The item of a job. What is empty is left out; `queue` and `due` only while there is something to do."""
    values = {name: value for name, value in asdict(job).items() if value not in (None, "", (), {})}
    values = {name: value for name, value in values.items() if name not in _NAMED}
    values |= {"pk": f"job#{job.id}", "job": job.id, "created_at": job.created, "expires": int(job.expires)}
    values |= {"created": iso(job.created), "day": iso(job.created)[:10]}
    if job.attempts:
        latest = job.attempts[-1]
        values["instance_type"] = latest.pool.rpartition("/")[2]
        if latest.arn:
            values["arn"] = latest.arn
    if job.queue:
        values |= {"queue": job.queue, "due": job.due}
    return {name: encode(value) for name, value in values.items()}


def from_item(item: Item) -> Job:
    """The job of an item.

    Raises:
        TypeError, KeyError: the item is not one of a job, or of one that this version cannot read.
    """
    values = {name: decode(value) for name, value in item.items()}
    values["created"] = values.pop("created_at")
    values["attempts"] = tuple(Attempt(**attempt) for attempt in values.get("attempts", ()))
    values["pools"] = tuple(values["pools"])
    known = {field.name for field in fields(Job)}
    defaults = {"id": values["job"], "run": "", "model": "", "family": "", "owner": "", "inputs": {}}
    return Job(**(defaults | {name: value for name, value in values.items() if name in known}))
