"""Versions of models in the models table.

One partition a model, `model#<family>/<model>`:

- `version#000001.000002.000003`: everything about one version; written once by Register, changed only by decisions;
- `latest`: the newest version, whatever became of it. The next number is counted from it;
- `approved`: the version that predicts. Steps that use another model's predictions read it;
- `review#000001.000002.000003`: the question to a person about one version (`boxcar.approvals.store`);
- `run#<run>` and `claim#<number>`: which number a run has, written before anything else, so that a repeat finds its
  number again and two runs never share one. A number whose run died is never given again; a gap is harmless.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from boxcar.attributes import Item, decode_all, encode_all
from boxcar.errors import Throttled
from boxcar.versions import Change, Lineage, Version, change_since, next_version

_ATTEMPTS = 12
# What `latest` and `approved` repeat of the version they point to, so that their readers need one read.
_POINTER = (
    "version",
    "sort_key",
    "status",
    "run",
    "outputs",
    "evaluation",
    "package_arn",
    "interface_digest",
    "code_digest",
)
_NEW = "attribute_not_exists(pk)"
CONTENTION = {"TransactionCanceledException", "TransactionConflictException", "TransactionInProgressException"}


class Changed(Exception):  # noqa: N818
    """Somebody else changed a version or a pointer since it was read: read again and decide again."""


class Reservation(NamedTuple):
    """The number that a run has."""

    version: Version
    change: Change
    repeated: bool  # the run had it before: what follows may be half done


class ModelsTable:
    """Reads and writes the versions of models."""

    def __init__(self, dynamodb: Any, table: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._pause = pause

    def latest(self, family: str, model: str) -> dict[str, Any] | None:
        """The newest registered version, approved or not."""
        return self._get(family, model, "latest")

    def approved(self, family: str, model: str) -> dict[str, Any] | None:
        """The version that predicts: `version`, `outputs`, `evaluation`, `run`, `package_arn`."""
        return self._get(family, model, "approved")

    def approved_version(self, family: str, model: str) -> dict[str, Any] | None:
        """Everything about the version that predicts; None if there is none."""
        pointer = self.approved(family, model)
        return self.version(family, model, Version.parse(pointer["version"])) if pointer else None

    def version(self, family: str, model: str, version: Version) -> dict[str, Any] | None:
        """Everything about one version."""
        return self._get(family, model, f"version#{version.sort_key}")

    def version_of_run(self, family: str, model: str, run: str) -> Version | None:
        """The number that a run has; None before it has one."""
        held = self._get(family, model, f"run#{run}")
        return Version.parse(held["version"]) if held else None

    def history(self, family: str, model: str, newest: int | None = None) -> list[dict[str, Any]]:
        """Versions, oldest first; with `newest`, only so many of the newest."""
        versions = []
        for item in self._newest_first(family, model):
            versions.append(decode_all(item))
            if len(versions) == newest:
                break
        return versions[::-1]

    def lineage(self, family: str, model: str) -> Lineage | None:
        """What the next number is counted from; None before the first version."""
        latest = self.latest(family, model)
        if latest is None:
            return None
        return Lineage(Version.parse(latest["version"]), latest["interface_digest"], latest["code_digest"])

    def reserve(self, family: str, model: str, run: str, interface_digest: str, code_digest: str) -> Reservation:
        """Give a run its number, the same one every time it asks.

        Raises:
            Throttled: other runs took every number that was tried.
        """
        taken: set[Version] = set()
        for attempt in range(_ATTEMPTS):
            if held := self._get(family, model, f"run#{run}"):
                return Reservation(Version.parse(held["version"]), held["change"], repeated=True)
            lineage = self.lineage(family, model)
            change = change_since(lineage, interface_digest, code_digest)
            version = next_version(lineage, interface_digest, code_digest)
            while version in taken:
                version = version.after("patch")
            held = {"run": run, "version": str(version), "change": change}
            puts = [
                self._put(family, model, sort_key, held, _NEW)
                for sort_key in (f"claim#{version.sort_key}", f"run#{run}")
            ]
            if self._transact(puts):
                return Reservation(version, change, repeated=False)
            if self._get(family, model, f"claim#{version.sort_key}"):
                taken.add(version)
            else:
                self._pause(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
        raise Throttled(f"models table: no free version of {family}/{model} for run {run} in {_ATTEMPTS} attempts")

    def commit(
        self,
        family: str,
        model: str,
        version: Version,
        document: dict[str, Any],
        approve: bool,
        compared_with: str | None,
    ) -> None:
        """Write a version and move the pointers to it, all or nothing. A version that is there already stays as it is.

        Pointers only move to higher numbers, so that a slow older run never takes the place of a newer one, and a
        repeat of Register never undoes a rollback. `approved` only moves on from the version that it was compared with.

        Raises:
            Throttled: other runs moved the pointers every time, or another version has been approved meanwhile.
        """
        pointer = {name: document[name] for name in _POINTER}
        for attempt in range(_ATTEMPTS):
            if self.version(family, model, version):
                return
            writes = [self._put(family, model, f"version#{version.sort_key}", document, _NEW)]
            for name in ("latest", "approved") if approve else ("latest",):
                current = self._get(family, model, name)
                if current and current["sort_key"] > version.sort_key:
                    continue
                if name == "latest":
                    writes.append(self._move(family, model, name, pointer))
                elif (current["version"] if current else None) == compared_with:
                    same, was = ("sort_key = :was", {":was": current["sort_key"]}) if current else (_NEW, None)
                    writes.append(self._put(family, model, name, pointer, same, was))
                else:
                    raise Throttled(
                        f"models table: {family}/{model} {version} was compared with {compared_with or 'no version'}, "
                        "and another one has been approved meanwhile; the next attempt leaves it to a person"
                    )
            if self._transact(writes):
                return
            self._pause(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
        raise Throttled(f"models table: could not write {family}/{model} {version} in {_ATTEMPTS} attempts")

    def decide(
        self,
        changes: list[tuple[dict[str, Any], dict[str, Any]]],
        approved: dict[str, Any] | None,
        instead_of: dict[str, Any] | None = None,
    ) -> None:
        """Write what was decided about versions of one model and move the pointers, all or nothing.

        Args:
            changes: versions as they were read, and as they are to be.
            approved: the one of them that shall predict, unless a newer one does; None: `approved` stays.
            instead_of: the version that predicts now and gives way, though it is newer.

        Raises:
            Changed: something is not as it was read.
        """
        family, model = changes[0][0]["family"], changes[0][0]["model"]
        writes = []
        latest, current = self.latest(family, model), self.approved(family, model)
        for before, after in changes:
            seen = before.get("decided_at")
            condition = "decided_at = :seen" if seen else "attribute_exists(pk) AND attribute_not_exists(decided_at)"
            place = f"version#{before['sort_key']}"
            writes.append(self._put(family, model, place, after, condition, {":seen": seen} if seen else None))
            pointer = {name: after[name] for name in _POINTER}
            same = {":same": after["sort_key"]}
            if latest and latest["sort_key"] == after["sort_key"]:
                writes.append(self._put(family, model, "latest", pointer, "sort_key = :same", same))
            if approved and approved["sort_key"] == after["sort_key"]:
                if instead_of:
                    was = {":was": instead_of["sort_key"]}
                    writes.append(self._put(family, model, "approved", pointer, "sort_key = :was", was))
                elif current is None or current["sort_key"] < after["sort_key"]:
                    writes.append(self._move(family, model, "approved", pointer))
        if not self._transact(writes):
            self._pause(random.uniform(0, 0.05))  # noqa: S311
            raise Changed(f"{family}/{model}")

    def _newest_first(self, family: str, model: str) -> Iterator[Item]:
        start: dict[str, Any] = {}
        while True:
            page = self._dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :versions)",
                ExpressionAttributeValues={":pk": {"S": f"model#{family}/{model}"}, ":versions": {"S": "version#"}},
                ScanIndexForward=False,
                **start,
            )
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _get(self, family: str, model: str, sort_key: str) -> dict[str, Any] | None:
        key = {"pk": {"S": f"model#{family}/{model}"}, "sk": {"S": sort_key}}
        item = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return decode_all(item) if item else None

    def _put(
        self,
        family: str,
        model: str,
        sort_key: str,
        document: dict[str, Any],
        condition: str,
        values: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": encode_all({**document, "pk": f"model#{family}/{model}", "sk": sort_key}),
            "ConditionExpression": condition,
        }
        if values:
            put["ExpressionAttributeValues"] = encode_all(values)
        return {"Put": put}

    def _move(self, family: str, model: str, name: str, pointer: dict[str, Any]) -> dict[str, Any]:
        newer = "attribute_not_exists(pk) OR sort_key < :mine"
        return self._put(family, model, name, pointer, newer, {":mine": pointer["sort_key"]})

    def _transact(self, writes: list[dict[str, Any]]) -> bool:
        """Write all or nothing; False when a condition did not hold or another transaction was in the way."""
        try:
            self._dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if error.response["Error"]["Code"] in CONTENTION:
                return False
            raise
        return True
