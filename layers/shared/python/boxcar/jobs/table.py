"""The jobs table, as jobs need it: no scan, and no read that grows with what is finished.

A job and the lease it holds change in one transaction, so that no death between two calls leaves one without the other.
"""

import heapq
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from boxcar.jobs.items import Item, decode, encode, from_item, to_item
from boxcar.jobs.record import ANSWER, LAUNCHING, NEW, OPEN, SHARDS, Job, iso

CONFLICTS = {"TransactionConflict", "TransactionConflictException"}
PAGE = 100
_LIMIT_NAMES = {"#limit": "limit", "#until": "until"}  # both are reserved words

log = logging.getLogger("boxcar")


class Conflict(Exception):  # noqa: N818
    """Somebody else changed the job since it was read: read it again and decide again."""


class NoRoom(Exception):  # noqa: N818
    """The lease of the pool was taken in the meantime."""


@dataclass(frozen=True)
class Lease:
    """Who holds how much of one pool. Limits are in units (instances, statements)."""

    pool: str
    held: int = 0
    limit: int | None = None  # learned when AWS refused: so many ran at that time
    until: float = 0.0  # when the learned limit is forgotten
    refusals: int = 0  # one after another

    def most_held(self, units: int, configured: int | None, now: float) -> int | None:
        """How many units may be held already for `units` more to be asked for; None when nobody knows a limit."""
        limits = [limit for limit in (configured, self.limit if now < self.until else None) if limit is not None]
        return min(limits) - units if limits else None


@dataclass(frozen=True)
class Entry:
    """A job as the index lists it: enough to pass it over without reading it."""

    id: str
    due: str
    kind: str
    pools: tuple[str, ...]
    units: int
    not_before: float
    patience_ends: float  # when capacity is not waited for any more
    item: Item  # as the index has it: maybe a moment old, which a conditional write finds out

    def job(self) -> Job:
        """The whole job."""
        return from_item(self.item)


class JobsTable:
    """Reads and writes of jobs and leases."""

    def __init__(self, client: Any, name: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._pause = pause

    def get(self, job_id: str) -> Job | None:
        """One job, as it is now."""
        answer = self._client.get_item(TableName=self._name, Key=_key(f"job#{job_id}"), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else None

    def create(self, job: Job) -> Job:
        """Store a new job.

        Raises:
            Conflict: there is one of that id.
        """
        try:
            self._client.put_item(
                TableName=self._name, Item=to_item(job), ConditionExpression="attribute_not_exists(pk)"
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise Conflict(job.id) from None
        return job

    def save(self, before: Job, after: Job, most_held: int | None = None, learned: Lease | None = None) -> Job:
        """Write a change, and in the same moment take or give back the lease it needs or frees.

        Args:
            before: as it was read.
            after: as it shall be.
            most_held: units that others may hold of the pool for the lease to be granted; None without a known limit.
            learned: what a refusal taught about the pool that is given back.

        Raises:
            Conflict: the job is not as it was read.
            NoRoom: others hold more than that by now.
        """
        after = replace(after, version=before.version + 1)
        put: dict[str, Any] = {
            "TableName": self._name,
            "Item": to_item(after),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": encode(before.version)},
        }
        leases = []
        if before.holding != after.holding and before.holding:
            leases.append(self._give_back(before, learned))
        if before.holding != after.holding and after.holding:
            leases.append(self._take(after, most_held))
        if leases:
            self._transact([{"Put": put}, *({"Update": lease} for lease in leases)], after)
            return after
        try:
            self._client.put_item(**put)
        except self._client.exceptions.ConditionalCheckFailedException:
            raise Conflict(after.id) from None
        return after

    def lease(self, pool: str) -> Lease:
        """The lease of a pool, as it is now."""
        answer = self._client.get_item(TableName=self._name, Key=_key(f"lease#{pool}"), ConsistentRead=True)
        item = {name: decode(value) for name, value in answer.get("Item", {}).items()}
        return Lease(
            pool, len(item.get("holders", ())), item.get("limit"), item.get("until", 0.0), item.get("refusals", 0)
        )

    def forget_limit(self, pool: str) -> None:
        """AWS gave more than the learned limit: there is none any more."""
        self._client.update_item(
            TableName=self._name, Key=_key(f"lease#{pool}"), UpdateExpression="REMOVE #limit, #until, refusals",
            ExpressionAttributeNames=_LIMIT_NAMES,
        )  # fmt: skip

    def ready(self, now: float) -> Iterator[Entry]:
        """New jobs whose time has come, by priority, then the longest waiting; and the first of each not ready yet.

        The index sorts by priority and then not-before. What is not ready yet hides nothing: the rest of its priority
        is jumped over, so the reads grow with the ready jobs and the priorities in use only.
        """
        return heapq.merge(*(self._shard(f"New#{shard}", now) for shard in range(SHARDS)), key=lambda entry: entry.due)

    def entry(self, job_id: str) -> Entry | None:
        """A job as the index will list it; None if it is not there or not New."""
        job = self.get(job_id)
        return _entry(to_item(job)) if job is not None and job.status == NEW else None

    def any_new(self) -> bool:
        """Somebody waits to be launched."""
        queries = (self._query(f"New#{shard}", "due >= :bound", " ") | {"Limit": 1} for shard in range(SHARDS))
        return any(self._client.query(**query)["Items"] for query in queries)

    def overdue(self, now: float) -> Iterator[Entry]:
        """Jobs that AWS has and nobody has heard of in time."""
        return self._due(OPEN, now)

    def left_over(self, now: float) -> Iterator[Entry]:
        """Launches that were begun and not reported back."""
        return self._due(LAUNCHING, now)

    def unanswered(self, now: float) -> Iterator[Entry]:
        """Finished jobs whose token waits for its answer."""
        return self._due(ANSWER, now)

    def _shard(self, queue: str, now: float) -> Iterator[Entry]:
        query = self._query(queue, "due >= :bound", " ") | {"Limit": PAGE}
        while True:
            page = self._client.query(**query)
            entries = _entries(page)
            early = next((index for index, entry in enumerate(entries) if entry.not_before > now), None)
            if early is not None:
                yield from entries[: early + 1]
                behind = entries[early].due[:2] + "#~"  # the last of its priority
                query = self._query(queue, "due >= :bound", behind) | {"Limit": PAGE}
                continue
            yield from entries
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _due(self, queue: str, now: float) -> Iterator[Entry]:
        query = self._query(queue, "due <= :bound", iso(now))
        while True:
            page = self._client.query(**query)
            yield from _entries(page)
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _query(self, queue: str, condition: str, bound: str) -> dict[str, Any]:
        return {
            "TableName": self._name,
            "IndexName": "by_queue",
            "KeyConditionExpression": f"queue = :queue AND {condition}",
            "ExpressionAttributeValues": {":queue": encode(queue), ":bound": encode(bound)},
        }

    def _take(self, job: Job, most_held: int | None) -> dict[str, Any]:
        lease = self._update(job.holding, "ADD holders :units", units=job.holders)
        if most_held is not None:
            lease["ConditionExpression"] = "attribute_not_exists(holders) OR size(holders) <= :most"
            lease["ExpressionAttributeValues"][":most"] = encode(most_held)
        return lease

    def _give_back(self, job: Job, learned: Lease | None) -> dict[str, Any]:
        if learned is None or learned.limit is None:
            return self._update(job.holding, "DELETE holders :units", units=job.holders)
        lease = self._update(
            job.holding,
            "SET #limit = :limit, #until = :until, refusals = :refusals DELETE holders :units",
            units=job.holders, limit=learned.limit, until=learned.until, refusals=learned.refusals,
        )  # fmt: skip
        return lease | {"ExpressionAttributeNames": _LIMIT_NAMES}

    def _update(self, pool: str, expression: str, **values: Any) -> dict[str, Any]:
        return {
            "TableName": self._name,
            "Key": _key(f"lease#{pool}"),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": {f":{name}": encode(value) for name, value in values.items()},
        }

    def _transact(self, writes: list[dict[str, Any]], job: Job) -> None:
        for pause in (0.05, 0.2, 0.8, None):
            try:
                self._client.transact_write_items(TransactItems=writes)
                return
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = [reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])]
                if reasons and reasons[0] == "ConditionalCheckFailed":
                    raise Conflict(job.id) from None
                if "ConditionalCheckFailed" in reasons:
                    raise NoRoom(job.holding) from None
                if pause is None or not CONFLICTS & set(reasons):
                    raise
                self._pause(pause)


def _key(pk: str) -> Item:
    return {"pk": {"S": pk}}


def _entries(page: dict[str, Any]) -> list[Entry]:
    """What can be read: an item that cannot must not hide those behind it."""
    entries = []
    for item in page["Items"]:
        try:
            entries.append(_entry(item))
        except (KeyError, TypeError, ValueError):
            log.exception("item cannot be read", extra={"item": item.get("pk")})
    return entries


def _entry(item: Item) -> Entry:
    value = {name: decode(item[name]) for name in item if name != "document"}
    return Entry(
        id=value["job"],
        due=value["due"],
        kind=value["kind"],
        pools=tuple(value["pools"]),
        units=value["units"],
        not_before=value["not_before"],
        patience_ends=value["waiting_since"] + value["max_wait_s"],
        item=item,
    )
