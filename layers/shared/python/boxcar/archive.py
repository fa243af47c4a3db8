"""History that has left the jobs table: one Parquet file for each day and batch of jobs that DynamoDB let expire.

    history/jobs/day=2026-01-31/<first>-<last>-<digest>.parquet    jobs that were submitted on that day (UTC)
    history/unreadable/<sequence number>.json                      stream records that no row could be made of

The name of a file follows from what is in it, so a batch that is delivered again overwrites its file. One that is
delivered again in other portions leaves a job twice: readers keep, of each job and `created`, the highest version.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boxcar.attributes import decode

JOBS = "history/jobs/"
UNREADABLE = "history/unreadable/"
STRING, BIGINT, DOUBLES, TIMESTAMP = "VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP"  # as DuckDB calls them
JSON = "JSON"  # as text

# A batch is at most the 6 MB that Lambda hands over, several times that as rows: it fits into the function's 512 MB.
DUCKDB: dict[str, Any] = {
    "memory_limit": "200MB",
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

log = logging.getLogger("boxcar")


@dataclass(frozen=True)
class Column:
    """One column of the files; each may be null. A TIMESTAMP has microseconds, and is in UTC without saying so."""

    name: str
    type: str  # STRING, BIGINT, DOUBLES or TIMESTAMP


@dataclass(frozen=True)
class Source:
    """Where a column comes from: an attribute of the job's item, and what that must be."""

    column: str
    type: str  # STRING, BIGINT, DOUBLES, TIMESTAMP (seconds since the epoch in the item) or JSON (anything)
    attribute: str = ""  # "" when it is called like the column
    required: bool = False


# Written down once. New columns are only appended: files of all years are read as one table.
SCHEMA = (
    Source("job", STRING, required=True),
    Source("run", STRING),
    Source("model", STRING),
    Source("step", STRING),
    Source("kind", STRING, required=True),
    Source("family", STRING),
    Source("owner", STRING),
    Source("sweep", STRING),
    Source("tags", JSON),
    Source("status", STRING, required=True),
    Source("failure", STRING),
    Source("reason", STRING),
    Source("priority", BIGINT),
    Source("instance_type", STRING),
    Source("units", BIGINT),
    Source("created", TIMESTAMP, "created_at", required=True),
    Source("started", TIMESTAMP),
    Source("ended", TIMESTAMP),
    Source("seconds", DOUBLES),
    Source("billable_seconds", DOUBLES),
    Source("attempt", BIGINT),
    Source("attempts", JSON),
    Source("inputs", JSON),
    Source("outputs", JSON),
    Source("document", STRING),
    Source("version", BIGINT),
)
COLUMNS = (
    *(Column(source.column, STRING if source.type == JSON else source.type) for source in SCHEMA),
    Column("archived", TIMESTAMP),  # when DynamoDB removed the item
    Column("item", STRING),  # the whole item in DynamoDB's JSON, which `put-item` takes back
)

_PYTHON: dict[str, Any] = {STRING: str, BIGINT: int, DOUBLES: int | float, TIMESTAMP: int | float}  # in an item
_TOLD = {**_PYTHON, TIMESTAMP: datetime}  # in a row
_WORDS = {STRING: "text", BIGINT: "a whole number", DOUBLES: "a number", TIMESTAMP: "seconds since 1970"}


class ColumnError(ValueError):
    """A value that its column cannot hold; names column, row and value."""


class UnreadableRecord(ValueError):  # noqa: N818
    """A stream record that is not one of a job; names the item, the attribute and the value."""


@dataclass(frozen=True)
class Expired:
    """One job that DynamoDB removed."""

    sequence: str
    day: str  # it was submitted on, UTC
    row: dict[str, Any]


class Archive:
    """Writes expired jobs to the data bucket."""

    def __init__(self, s3: Any, sqs: Any, bucket: str, dead_letters_url: str) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._bucket = bucket
        self._dead_letters_url = dead_letters_url

    def take_in(self, records: Iterable[dict[str, Any]]) -> list[str]:
        """Write stream records of expired jobs; return the sequence numbers of those that must come again.

        A record that no row can be made of would not get better by coming again, and what is behind it would wait: it
        is kept as it is, and a dead letter says where.
        """
        days: dict[str, list[Expired]] = {}
        failed = []
        for record in records:
            try:
                job = read_record(record)
            except UnreadableRecord as error:
                if not self._put_aside(record, str(error)):
                    failed.append(_sequence(record))
            else:
                days.setdefault(job.day, []).append(job)
        for day, jobs in sorted(days.items()):
            content = parquet(COLUMNS, [job.row for job in jobs])
            if not self._put(file_key(day, jobs), content, "application/vnd.apache.parquet"):
                failed += [job.sequence for job in jobs]
        return failed

    def _put(self, key: str, content: bytes, content_type: str) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type)
        except (BotoCoreError, ClientError):
            log.exception("s3://%s/%s could not be written", self._bucket, key)
            return False
        log.info("wrote s3://%s/%s, %d bytes", self._bucket, key, len(content))
        return True

    def _put_aside(self, record: dict[str, Any], reason: str) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        key = f"{UNREADABLE}{_sequence(record)}.json"
        log.error("put aside as s3://%s/%s: %s", self._bucket, key, reason)
        if not self._put(key, json.dumps(record, sort_keys=True).encode(), "application/json"):
            return False
        letter = {"unreadable": f"s3://{self._bucket}/{key}", "reason": reason}
        try:
            self._sqs.send_message(QueueUrl=self._dead_letters_url, MessageBody=json.dumps(letter))
        except (BotoCoreError, ClientError):
            log.exception("the dead letter about s3://%s/%s could not be sent", self._bucket, key)
            return False
        return True


def read_record(record: dict[str, Any]) -> Expired:
    """The row of a stream record.

    Raises:
        UnreadableRecord: it is not one of a job; names the attribute.
    """
    change = record.get("dynamodb", {})
    item = change.get("OldImage")
    name = change.get("Keys", {}).get("pk", {}).get("S", "an item without key pk")
    if not item:
        raise UnreadableRecord(f"{name}: the record has no OldImage; set StreamViewType to OLD_IMAGE")
    row = {source.column: _value(name, item, source) for source in SCHEMA}
    archived = datetime.fromtimestamp(float(change.get("ApproximateCreationDateTime", 0)), UTC)
    row |= {"archived": archived, "item": json.dumps(item, sort_keys=True)}
    return Expired(_sequence(record), f"{row['created']:%Y-%m-%d}", row)


def file_key(day: str, jobs: list[Expired]) -> str:
    """The key of the file of these jobs of one day: the same jobs have the same."""
    members = "\n".join(f"{job.sequence} {job.row['job']}" for job in jobs)  # numbers may repeat in other shards
    digest = hashlib.sha256(members.encode()).hexdigest()[:12]
    return f"{JOBS}day={day}/{jobs[0].sequence}-{jobs[-1].sequence}-{digest}.parquet"


def day_prefix(day: str) -> str:
    """Where the files of a day such as 2026-01-31 begin."""
    return f"{JOBS}day={day}/"


def parquet(columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> bytes:
    """The bytes of a Parquet file. Equal rows give equal bytes, as long as DuckDB's version stays.

    Args:
        columns: in the order of the file.
        rows: by name of column: str, int, float, or datetime with a time zone; None or missing is null.

    Raises:
        ColumnError: names column, row and value.
    """
    import duckdb  # 55 MB, in a layer that only archive_jobs has

    lines = [
        json.dumps({column.name: _told(column, row.get(column.name), place) for column in columns})
        for place, row in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory(prefix="boxcar-archive-") as folder:  # in Lambda, /tmp alone can be written
        source, target = Path(folder) / "rows.json", Path(folder) / "rows.parquet"
        source.write_text("\n".join(lines))
        connection = duckdb.connect(config={**DUCKDB, "home_directory": folder, "temp_directory": folder})
        try:
            # Rows go in as a file with its types declared: DuckDB looks for pandas at each value that is bound, which
            # takes 0.3 ms where there is none, and a second where there is.
            types = {column.name: column.type for column in columns}
            found = connection.read_json(str(source), columns=types, format="newline_delimited")
            found.write_parquet(str(target), compression="zstd")
        finally:
            connection.close()
        return target.read_bytes()


def _told(column: Column, value: Any, place: int) -> str | int | float | None:
    """The value as JSON takes it, in such a way that DuckDB reads the same again."""
    try:
        if value is None:
            return None
        if not isinstance(value, _TOLD[column.type]) or isinstance(value, bool):
            raise TypeError
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError
            return value.astimezone(UTC).replace(tzinfo=None).isoformat()
        if column.type == DOUBLES:
            return float(value)
        _fits(column.type, value)
        return value
    except (TypeError, ValueError, OverflowError):
        raise ColumnError(f"column {column.name}, row {place}: {value!r} is no {column.type}") from None


def _fits(kind: str, value: Any) -> None:
    if kind == STRING:
        value.encode()  # half a surrogate pair has no bytes
    if kind == BIGINT and not -(2**63) <= value < 2**63:
        raise OverflowError


def _value(name: str, item: dict[str, Any], source: Source) -> Any:
    attribute = source.attribute or source.column
    try:
        value = decode(item[attribute]) if attribute in item else None
    except (AttributeError, TypeError, ValueError):
        raise UnreadableRecord(f"{name}: {attribute} is {item[attribute]!r}, not a value of DynamoDB") from None
    if value is None:
        if source.required:
            raise UnreadableRecord(f"{name}: {attribute} is missing; a job has it from its first moment")
        return None
    if source.type == JSON:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=sorted)
    return _checked(name, attribute, value, source.type)


def _checked(name: str, attribute: str, value: Any, kind: str) -> Any:
    """The value as its column takes it."""
    try:
        if not isinstance(value, _PYTHON[kind]) or isinstance(value, bool):
            raise TypeError
        if kind == TIMESTAMP:
            return datetime.fromtimestamp(float(value), UTC)
        _fits(kind, value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise UnreadableRecord(f"{name}: {attribute} is {value!r}; it must be {_WORDS[kind]}") from None
    return value


def _sequence(record: dict[str, Any]) -> str:
    return str(record.get("dynamodb", {}).get("SequenceNumber", ""))
