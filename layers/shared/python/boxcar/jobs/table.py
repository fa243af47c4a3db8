"""The jobs table, as jobs need it: no scan, and no read that grows with what is finished or with who waits behind.

A job, the lease it holds and its owner's digest change in one transaction, so that no death between two calls leaves
one without the others.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from boxcar.attributes import Item, decode, encode
from boxcar.jobs import digests
from boxcar.jobs.cache import Entry, completion_items, entry_pk, last_pk, to_entry
from boxcar.jobs.items import from_item, to_item
from boxcar.jobs.leases import Lease, NoRoom, Room, give_back, take, to_lease
from boxcar.jobs.record import COMPLETED, DUE, IN_PROGRESS, LAUNCHED, LINE, Job, iso

CONFLICTS = {"TransactionConflict", "TransactionConflictException"}

log = logging.getLogger("boxcar")


class Conflict(Exception):  # noqa: N818
    """Somebody else changed the job since it was read: read it again and decide again."""


class JobsTable:
    """Reads and writes of jobs, and of the leases they hold."""

    def __init__(self, client: Any, name: str, pause: Callable[[float], None] = time.sleep) -> None:
        self.client = client
        self.name = name
        self._pause = pause

    # ── one job

    def get(self, job_id: str) -> Job | None:
        """One job, as it is now."""
        answer = self.client.get_item(TableName=self.name, Key=_key(f"job#{job_id}"), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else None

    def create(self, job: Job) -> Job | None:
        """Store a new job. Answers the one that is there already, if there is one, and None if not."""
        put: dict[str, Any] = {
            "TableName": self.name,
            "Item": to_item(job),
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if job.finished:  # the cache has its outputs
            try:
                self._transact([{"Put": put}, *self._of_the_end(job)], job)
            except Conflict:
                return self.get(job.id)
            return None
        try:
            self.client.put_item(**put)
        except self.client.exceptions.ConditionalCheckFailedException as error:
            item = error.response.get("Item")
            return from_item(item) if item else self.get(job.id)
        return None

    def save(self, before: Job, after: Job, room: Room | None = None, learned: Lease | None = None) -> Job:
        """Write a change, and in the same moment take or give back the lease it needs or frees, and count its end.

        Args:
            before: as it was read.
            after: as it shall be.
            room: what is known of the room in the pool whose lease is taken.
            learned: what a refusal taught about the pool that is given back.

        Raises:
            Conflict: the job is not as it was read.
            NoRoom: others hold all of the pool.
        """
        after = replace(after, version=before.version + 1)
        put: dict[str, Any] = {
            "TableName": self.name,
            "Item": to_item(after),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": encode(before.version)},
        }
        others = []
        if before.holding != after.holding:
            if before.holding:
                others.append(give_back(before, learned))
            if after.holding:
                others += take(before, after, room or Room())
        writes = [{"Update": {"TableName": self.name, **other}} for other in others]
        if after.finished and not before.finished:
            writes += self._of_the_end(after)
        if writes:
            self._transact([{"Put": put}, *writes], after)
            return after
        try:
            self.client.put_item(**put)
        except self.client.exceptions.ConditionalCheckFailedException:
            raise Conflict(after.id) from None
        return after

    def _of_the_end(self, job: Job) -> list[dict[str, Any]]:
        """What is written in the moment in which a job ends: its owner's digest, and what the cache keeps."""
        counted = [] if job.token else [digests.count_end(job)]
        kept = completion_items(job) if job.status == COMPLETED else []
        return [{"Update": {"TableName": self.name, **update}} for update in counted] + [
            {"Put": {"TableName": self.name, "Item": item}} for item in kept
        ]

    def heard_running(self, job_id: str, attempt: int, arn: str, started: float) -> bool:
        """Note that an attempt runs, without reading it first. False if that was known, or the attempt is over."""
        values = {
            ":running": IN_PROGRESS, ":launched": LAUNCHED, ":attempt": attempt, ":arn": arn, ":started": started,
            ":one": 1, ":none": 0,
        }  # fmt: skip
        try:
            self.client.update_item(
                TableName=self.name,
                Key=_key(f"job#{job_id}"),
                UpdateExpression=(
                    "SET #status = :running, arn = :arn, started = :started, tries = :none, "
                    "look = running_look, due = running_due ADD version :one"
                ),
                ConditionExpression="attempt = :attempt AND #status = :launched AND attribute_exists(running_due)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={name: encode(value) for name, value in values.items()},
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    # ── what was done before

    def cache_entry(self, key: str) -> Entry | None:
        """What the cache keeps under a key."""
        answer = self.client.get_item(TableName=self.name, Key=_key(entry_pk(key)))
        return to_entry(answer["Item"]) if "Item" in answer else None

    def last_completed(self, family: str, model: str, step: str) -> Job | None:
        """The latest completed job of a step, if its record is still there."""
        answer = self.client.get_item(TableName=self.name, Key=_key(last_pk(family, model, step)))
        return self.get(answer["Item"]["job"]["S"]) if "Item" in answer else None

    # ── who waits

    def waiting(self, pool: str, most: int) -> list[Job]:
        """The first in line of a pool, by priority, then by turn."""
        query = self._query(f"{LINE}{pool}", "due >= :bound", " ") | {"Limit": most}
        return _jobs(self.client.query(**query)["Items"])

    def ahead(self, job: Job, most: int = 1000) -> int:
        """How many stand before a job in its line, at most `most`."""
        query = self._query(job.queue, "due < :bound", job.due) | {"Limit": most, "Select": "COUNT"}
        count: int = self.client.query(**query)["Count"]
        return count

    def falling_to(self, pool: str, most: int) -> list[str]:
        """Ids of the first who stand in line for another pool and may use this one as well."""
        answer = self.client.query(
            TableName=self.name, IndexName="by_fallback", KeyConditionExpression="fallback = :pool", Limit=most,
            ExpressionAttributeValues={":pool": encode(pool)},
        )  # fmt: skip
        return [item["pk"]["S"].removeprefix("job#") for item in answer["Items"]]

    def outwaited(self, pool: str, now: float) -> Iterator[Job]:
        """Those in line who wait for capacity longer than they want to. Reads the whole line: not for every pass."""
        query = self._query(f"{LINE}{pool}", "due >= :bound", " ")
        query["FilterExpression"] = "patience_ends <= :now"
        query["ExpressionAttributeValues"][":now"] = encode(now)
        yield from _jobs(self._pages(query))

    def due(self, now: float) -> Iterator[Item]:
        """Items that time has woken: jobs (`pk` is job#…) and digests (digest#…), the longest due first."""
        return self._pages(self._query(DUE, "due <= :bound", iso(now)))

    def of_run(self, run: str) -> list[Job]:
        """The jobs of a run, finished or not."""
        query = {
            "TableName": self.name,
            "IndexName": "by_run",
            "KeyConditionExpression": "#run = :run AND begins_with(pk, :jobs)",
            "ExpressionAttributeNames": {"#run": "run"},
            "ExpressionAttributeValues": {":run": encode(run), ":jobs": encode("job#")},
        }
        return list(_jobs(self._pages(query)))

    # ── pools

    def lease(self, pool: str) -> Lease:
        """The lease of a pool, as it is now."""
        answer = self.client.get_item(TableName=self.name, Key=_key(f"lease#{pool}"), ConsistentRead=True)
        return to_lease(pool, answer.get("Item", {}))

    def leases(self) -> list[Lease]:
        """Those of every pool that a job ever asked for, first or as a fallback."""
        answer = self.client.get_item(TableName=self.name, Key=_key("pools"), ConsistentRead=True)
        asked_first = self._leases(sorted(decode(answer["Item"]["names"])) if "Item" in answer else [])
        known = {lease.pool for lease in asked_first}
        fallbacks = {pool for lease in asked_first for pool in lease.falls_to} - known
        held = {lease.pool: lease for lease in self._leases(sorted(fallbacks))}
        return asked_first + [held.get(pool, Lease(pool)) for pool in sorted(fallbacks)]

    def _leases(self, pools: list[str]) -> list[Lease]:
        found: list[Lease] = []
        for start in range(0, len(pools), 100):  # the most that BatchGetItem takes
            keys = [_key(f"lease#{pool}") for pool in pools[start : start + 100]]
            while keys:
                request = {self.name: {"Keys": keys, "ConsistentRead": True}}
                answer = self.client.batch_get_item(RequestItems=request)
                items = answer["Responses"].get(self.name, [])
                found += [to_lease(item["pk"]["S"].removeprefix("lease#"), item) for item in items]
                keys = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
        return found

    def update_lease(self, pool: str, expression: str, names: dict[str, str], **request: Any) -> Lease:
        """One change of a lease, by whoever knows what it means; answers it as it is then."""
        values = request.pop("values", {})
        if values:
            request["ExpressionAttributeValues"] = {f":{name}": encode(value) for name, value in values.items()}
        if names:
            request["ExpressionAttributeNames"] = names
        answer = self.client.update_item(
            TableName=self.name, Key=_key(f"lease#{pool}"), UpdateExpression=expression, ReturnValues="ALL_NEW",
            **request,
        )  # fmt: skip
        return to_lease(pool, answer["Attributes"])

    def register_pool(self, pool: str) -> None:
        """Have `leases` list it. A second time changes nothing."""
        self.client.update_item(
            TableName=self.name, Key=_key("pools"), UpdateExpression="ADD #names :pool",
            ExpressionAttributeNames={"#names": "names"}, ExpressionAttributeValues={":pool": encode({pool})},
        )  # fmt: skip
        self.update_lease(pool, "SET listed = :yes", {}, values={"yes": True})

    # ── calls

    def _query(self, queue: str, condition: str, bound: str) -> dict[str, Any]:
        return {
            "TableName": self.name,
            "IndexName": "by_queue",
            "KeyConditionExpression": f"queue = :queue AND {condition}",
            "ExpressionAttributeValues": {":queue": encode(queue), ":bound": encode(bound)},
        }

    def _pages(self, query: dict[str, Any]) -> Iterator[Item]:
        query = dict(query)
        while True:
            page = self.client.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _transact(self, writes: list[dict[str, Any]], job: Job) -> None:
        for pause in (0.05, 0.2, 0.8, None):
            try:
                self.client.transact_write_items(TransactItems=writes)
                return
            except self.client.exceptions.TransactionCanceledException as error:
                reasons = error.response.get("CancellationReasons", [])
                codes = [reason.get("Code", "None") for reason in reasons]
                if codes and codes[0] == "ConditionalCheckFailed":
                    raise Conflict(job.id) from None
                if "ConditionalCheckFailed" in codes:
                    item = reasons[codes.index("ConditionalCheckFailed")].get("Item")
                    raise NoRoom(to_lease(job.holding, item) if item else self.lease(job.holding)) from None
                if pause is None or not CONFLICTS & set(codes):
                    raise
                self._pause(pause)


def _key(pk: str) -> Item:
    return {"pk": {"S": pk}}


def _jobs(items: Any) -> Any:
    """What can be read: an item that cannot must not hide those behind it."""
    return [job for item in items if (job := readable(item)) is not None]


def readable(item: Item) -> Job | None:
    """The job of an item, or None, and a line in the log, if this version cannot read it."""
    try:
        return from_item(item)
    except (KeyError, TypeError, ValueError):
        log.exception("item cannot be read", extra={"item": item.get("pk")})
        return None
