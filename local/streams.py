"""What Lambda does between a table's stream and a function: batches, windows, retries, halves, dead letters.

Sources: Lambda developer guide, "Process DynamoDB records with Lambda" (polling 4 times a second, batching window,
retries; splitting a batch does not count towards the retry quota), "Configuring partial batch response" and
"Retain discarded records for a DynamoDB event source". How long AWS waits before a retry is not documented.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from local.service import Cloud

logger = logging.getLogger("boxcar.streams")

POLL_SECONDS = 0.25
RETRY_SECONDS = 1.0
EXPIRY_SECONDS = 60.0  # between two removals of what has expired; AWS takes up to days
PAYLOAD_BYTES = 6 * 1024 * 1024
KEPT_RECORDS = 1000  # behind the slowest reader; AWS keeps a day's
READERS = 4
SHARD = "shardId-00000000000000000000-00000000"  # MiniStack's only one

Record = dict[str, Any]


class Source(Protocol):
    """The streams themselves (local.ministack_seam.TableStreams)."""

    def mappings(self) -> list[dict[str, Any]]:
        """Event source mappings that are switched on."""
        ...

    def begin(self, mapping: dict[str, Any]) -> int:
        """The position at which a mapping begins to read."""
        ...

    def range(self, stream_arn: str) -> tuple[int, int]:
        """The oldest position, and the one behind the newest."""
        ...

    def read(self, stream_arn: str, position: int, limit: int) -> list[Record]:
        """Records from a position on."""
        ...

    def forget(self, stream_arn: str, position: int) -> None:
        """Let go of what is older."""
        ...

    def passed(self, records: list[Record], mapping: dict[str, Any]) -> list[Record]:
        """What the mapping's filter lets through."""
        ...

    def role(self, mapping: dict[str, Any]) -> str:
        """ARN of the function's role, which reads the stream and writes the dead letters."""
        ...


@dataclass
class Reader:
    """How far one mapping has read, and what waits until a batch is full or its window over."""

    position: int
    gathered: list[Record] = field(default_factory=list)
    since: float = 0.0  # when the first of them was gathered
    busy: bool = False
    allowed: bool = False  # its role may read the stream
    asked: float = 0.0  # when that was last looked at


@dataclass(frozen=True)
class Part:
    """A batch, or what is left of it, and how often it was retried."""

    records: list[Record]
    retries: int = 0


class Streams:
    """Reads the streams of one cloud for its functions, and lets items expire."""

    def __init__(self, cloud: Cloud, source: Source, expire: Callable[[float, str], int]) -> None:
        self._cloud = cloud
        self._source = source
        self._expire = expire
        self._readers: dict[str, Reader] = {}  # by the mapping's UUID
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="stream")
        self._thread = threading.Thread(target=self._watch, name="streams", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """End; what waits in a window is lost, since MiniStack does not keep its streams."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def expire(self, table: str = "", at: float | None = None) -> int:
        """Remove what has expired, or will have at `at` (seconds since the epoch); return how many items."""
        return self._expire(self._cloud.clock.time() if at is None else at, table)

    def poll(self) -> None:
        """Look once at every mapping, and hand on what is due."""
        mappings = self._source.mappings()
        for gone in self._readers.keys() - {mapping["UUID"] for mapping in mappings}:
            del self._readers[gone]
        for mapping in mappings:
            try:
                self._look(mapping)
            except Exception:
                logger.exception("the stream %s could not be read", mapping["EventSourceArn"])
        self._trim(mappings)

    def _watch(self) -> None:
        expired = time.monotonic()
        while not self._stop.wait(POLL_SECONDS):
            try:
                if time.monotonic() - expired >= EXPIRY_SECONDS:
                    expired = time.monotonic()
                    self.expire()
                self.poll()
            except Exception:
                logger.exception("streams could not be read")

    def _look(self, mapping: dict[str, Any]) -> None:
        stream = mapping["EventSourceArn"]
        reader = self._readers.get(mapping["UUID"])
        if reader is None:
            reader = self._readers[mapping["UUID"]] = Reader(self._source.begin(mapping))
        oldest, newest = self._source.range(stream)
        reader.position = max(reader.position, oldest)
        if reader.busy or (newest == reader.position and not reader.gathered) or not self._may_read(mapping, reader):
            return
        size = int(mapping.get("BatchSize", 100))
        records = self._source.read(stream, reader.position, size)
        reader.position += len(records)
        now = self._cloud.clock.time()
        if not reader.gathered:
            reader.since = now
        reader.gathered += self._source.passed(records, mapping)
        batch = _fitting(reader.gathered[:size])
        is_full = len(batch) == size or len(batch) < len(reader.gathered)
        if batch and (is_full or now - reader.since >= float(mapping.get("MaximumBatchingWindowInSeconds", 0))):
            del reader.gathered[: len(batch)]
            reader.since = now
            reader.busy = True
            self._pool.submit(self._deliver, mapping, reader, batch)

    def _may_read(self, mapping: dict[str, Any], reader: Reader) -> bool:
        """Ask as the function's role, once: AWS refuses to make a mapping whose role may not read."""
        if reader.allowed or time.monotonic() - reader.asked < RETRY_SECONDS:
            return reader.allowed
        reader.asked = time.monotonic()
        stream = mapping["EventSourceArn"]
        client = self._cloud.client("dynamodbstreams", self._source.role(mapping), "stream-reader")
        try:
            client.describe_stream(StreamArn=stream)
            told = client.get_shard_iterator(StreamArn=stream, ShardId=SHARD, ShardIteratorType="LATEST")
            client.get_records(ShardIterator=told["ShardIterator"], Limit=1)
        except ClientError as error:
            problem = f"PROBLEM: {error.response['Error'].get('Message', error)}"
            if mapping.get("LastProcessingResult") != problem:
                logger.error("function %s may not read its stream: %s", mapping["FunctionName"], problem)
            mapping["LastProcessingResult"] = problem
        else:
            reader.allowed = True
        return reader.allowed

    def _deliver(self, mapping: dict[str, Any], reader: Reader, batch: list[Record]) -> None:
        """Hand one batch to the function until nothing is left of it."""
        try:
            parts = [Part(batch)]
            while parts and not self._stop.is_set():
                parts = self._attempt(mapping, parts[0]) + parts[1:]
        except Exception:
            logger.exception("a batch for %s was lost", mapping["FunctionName"])
        finally:
            reader.busy = False

    def _attempt(self, mapping: dict[str, Any], part: Part) -> list[Part]:
        """Try one part once; return what is still to be done of it."""
        records = self._without_old(mapping, part)
        if not records:
            return []
        error, answer = self._invoke(mapping, records)
        if error is None and "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []):
            left = records[_first_failure(records, answer) :]
        else:
            left = records if error is not None else []
        mapping["LastProcessingResult"] = "OK" if not left else "PROBLEM: Function call failed"
        if not left:
            return []
        if error is not None and len(left) > 1 and _is_on(mapping.get("BisectBatchOnFunctionError")):
            half = (len(left) + 1) // 2
            return [Part(left[:half], part.retries), Part(left[half:], part.retries)]
        most = int(mapping.get("MaximumRetryAttempts", -1))
        if 0 <= most <= part.retries:
            self._bury(mapping, left, "RetryAttemptsExhausted", part.retries + 1, error)
            return []
        self._stop.wait(RETRY_SECONDS)
        return [Part(left, part.retries + 1)]

    def _invoke(self, mapping: dict[str, Any], records: list[Record]) -> tuple[str | None, Any]:
        """Return the function's error, if any, and its answer."""
        try:
            told = self._cloud.client("lambda").invoke(
                FunctionName=mapping["FunctionArn"], Payload=json.dumps({"Records": records}).encode()
            )
        except ClientError as error:
            return error.response["Error"].get("Code", "Unknown"), None
        answer = json.loads(told["Payload"].read() or b"null")
        return (told["FunctionError"], None) if told.get("FunctionError") else (None, answer)

    def _without_old(self, mapping: dict[str, Any], part: Part) -> list[Record]:
        most = float(mapping.get("MaximumRecordAgeInSeconds", -1))
        if most < 0:
            return part.records
        now = self._cloud.clock.time()
        old = [record for record in part.records if now - record["dynamodb"]["ApproximateCreationDateTime"] > most]
        if old:
            self._bury(mapping, old, "MaxRecordAgeExceeded", part.retries, None)
        return [record for record in part.records if record not in old]

    def _bury(
        self, mapping: dict[str, Any], records: list[Record], condition: str, invocations: int, error: str | None
    ) -> None:
        """Tell the on-failure destination where the records were: it does not get the records themselves."""
        queue = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
        logger.error("function %s: %d records given up: %s", mapping["FunctionName"], len(records), condition)
        if queue.split(":")[2:3] != ["sqs"]:
            return
        first, last = records[0]["dynamodb"], records[-1]["dynamodb"]
        told = {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": mapping["FunctionArn"],
                "condition": condition,
                "approximateInvokeCount": invocations,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": error},
            "version": "1.0",
            "timestamp": _iso(self._cloud.clock.time()),
            "DDBStreamBatchInfo": {
                "shardId": SHARD,
                "startSequenceNumber": first["SequenceNumber"],
                "endSequenceNumber": last["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _iso(first["ApproximateCreationDateTime"]),
                "approximateArrivalOfLastRecord": _iso(last["ApproximateCreationDateTime"]),
                "batchSize": len(records),
                "streamArn": mapping["EventSourceArn"],
            },
        }
        account, name = queue.split(":")[4:6]
        try:
            client = self._cloud.client("sqs", self._source.role(mapping), "stream-reader")
            client.send_message(QueueUrl=f"{self._cloud.endpoint}/{account}/{name}", MessageBody=json.dumps(told))
        except ClientError as failure:
            logger.error("function %s: its dead-letter queue did not take them: %s", mapping["FunctionName"], failure)

    def _trim(self, mappings: list[dict[str, Any]]) -> None:
        slowest: dict[str, int] = {}
        for mapping in mappings:
            stream, position = mapping["EventSourceArn"], self._readers[mapping["UUID"]].position
            slowest[stream] = min(position, slowest.get(stream, position))
        for stream, position in slowest.items():
            self._source.forget(stream, position - KEPT_RECORDS)


def _fitting(records: list[Record]) -> list[Record]:
    """As many of the first records as Lambda's payload may hold; at least one."""
    size = 0
    for number, record in enumerate(records):
        size += len(json.dumps(record))
        if number and size > PAYLOAD_BYTES:
            return records[:number]
    return records


def _first_failure(records: list[Record], answer: Any) -> int:
    """Where to go on: behind the last record after a success, at 0 when the answer is not one that Lambda knows."""
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return len(records)
    places = {record["dynamodb"]["SequenceNumber"]: place for place, record in enumerate(records)}
    return min(places.get(str((failure or {}).get("itemIdentifier")), 0) for failure in failures)


def _is_on(value: Any) -> bool:
    """CloudFormation hands booleans on as text."""
    return str(value).lower() == "true"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
