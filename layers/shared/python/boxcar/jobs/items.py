"""Jobs as items of DynamoDB, and back."""

from dataclasses import asdict, fields, replace

from boxcar.attributes import Item, decode_all, encode_all
from boxcar.jobs.cache import Caching
from boxcar.jobs.record import IN_PROGRESS, LAUNCHED, NEW, Attempt, Job, iso


def to_item(job: Job) -> Item:
    """The item of a job. What is empty is left out; `queue` and `due` only while there is something to do."""
    values = {name: value for name, value in asdict(job).items() if name != "id" and value not in (None, "", (), {})}
    values |= {"pk": f"job#{job.id}", "job": job.id, "created": iso(job.created), "created_at": job.created}
    values["day"] = values["created"][:10]
    if job.finished:
        values["expires"] = int(job.expires)
    else:
        del values["expires"]  # time must not take what is not finished
    if job.attempts:
        latest = job.attempts[-1]
        values["instance_type"] = latest.instance_type
        if latest.arn:
            values["arn"] = latest.arn
    if job.status == NEW:
        values["patience_ends"] = job.too_old_to_wait
    if job.status == LAUNCHED:
        values["running_due"] = iso(job.running_look)
    if job.queue:
        values |= {"queue": job.queue, "due": job.due}
    if job.fallback:
        values["fallback"] = job.fallback
    return encode_all(values)


def from_item(item: Item) -> Job:
    """The job of an item.

    Raises:
        TypeError, KeyError: the item is not one of a job, or of one that this version cannot read.
    """
    values = decode_all(item)
    attempts = tuple(Attempt(**attempt) for attempt in values.get("attempts", ()))
    if attempts and values["status"] == IN_PROGRESS:  # what was heard of it was written beside the attempts
        latest = attempts[-1]
        heard = replace(latest, arn=values.get("arn") or latest.arn, started=latest.started or values["started"])
        attempts = (*attempts[:-1], heard)
    values |= {"created": values["created_at"], "attempts": attempts, "pools": tuple(values["pools"])}
    if "caching" in values:
        values["caching"] = Caching.of(values["caching"])
    known = {field.name for field in fields(Job)}
    defaults = {"id": values["job"], "run": "", "model": "", "family": "", "owner": "", "inputs": {}}
    return Job(**(defaults | {name: value for name, value in values.items() if name in known}))
