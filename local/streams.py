"""What Lambda reads from the streams of tables for its functions, and when; and items that expire.

Source: Lambda developer guide, "Process DynamoDB records with Lambda": it looks 4 times a second, and gathers until a
batch is full, its window over or the payload as large as it may be.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from botocore.exceptions import ClientError

from local.service import Cloud
from local.stream_batches import RETRY_SECONDS, SHARD, Batches, Mapping, Record

logger = logging.getLogger("boxcar.streams")

POLL_SECONDS = 0.25
EXPIRY_SECONDS = 60.0  # between two removals of what has expired; AWS takes up to days
PAYLOAD_BYTES = 6 * 1024 * 1024
KEPT_RECORDS = 1000  # behind the slowest reader; AWS keeps a day's
READERS = 4


class Source(Protocol):
    """The streams themselves (local.ministack_seam.TableStreams)."""

    def mappings(self) -> list[Mapping]:
        """Event source mappings that are switched on."""
        ...

    def begin(self, mapping: Mapping) -> int:
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

    def passed(self, records: list[Record], mapping: Mapping) -> list[Record]:
        """What the mapping's filter lets through."""
        ...

    def role(self, mapping: Mapping) -> str:
        """ARN of the function's role, which reads the stream and writes the dead letters."""
        ...


@dataclass
class Reader:
    """How far one mapping has read, and what waits until a batch is full or its window over."""

    position: int
    gathered: list[Record] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # of those records, in bytes of JSON
    since: float = 0.0  # when the first of them was gathered
    busy: bool = False
    allowed: bool = False  # its role may read the stream
    asked: float = 0.0  # when that was last looked at


class Streams:
    """Reads the streams of one cloud for its functions, and lets items expire."""

    def __init__(self, cloud: Cloud, source: Source, expire: Callable[[float, str], int]) -> None:
        self._cloud = cloud
        self._source = source
        self._expire = expire
        self._readers: dict[str, Reader] = {}  # by the mapping's UUID
        self._stop = threading.Event()
        self._batches = Batches(cloud, source.role, self._stop)
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

    def _look(self, mapping: Mapping) -> None:
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
        passed = self._source.passed(records, mapping)
        reader.gathered += passed
        reader.sizes += [len(json.dumps(record)) for record in passed]
        count = _fitting(reader.sizes[:size])
        is_full = count == size or count < len(reader.gathered)
        if count and (is_full or now - reader.since >= float(mapping.get("MaximumBatchingWindowInSeconds", 0))):
            batch = reader.gathered[:count]
            del reader.gathered[:count], reader.sizes[:count]
            reader.since = now
            reader.busy = True
            self._pool.submit(self._deliver, mapping, reader, batch)

    def _may_read(self, mapping: Mapping, reader: Reader) -> bool:
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

    def _deliver(self, mapping: Mapping, reader: Reader, batch: list[Record]) -> None:
        try:
            self._batches.deliver(mapping, batch)
        except Exception:
            logger.exception("a batch for %s was lost", mapping["FunctionName"])
        finally:
            reader.busy = False

    def _trim(self, mappings: list[Mapping]) -> None:
        slowest: dict[str, int] = {}
        for mapping in mappings:
            stream, reader = mapping["EventSourceArn"], self._readers.get(mapping["UUID"])
            position = reader.position if reader else 0
            slowest[stream] = min(position, slowest.get(stream, position))
        for stream, position in slowest.items():
            self._source.forget(stream, position - KEPT_RECORDS)


def _fitting(sizes: list[int]) -> int:
    """How many of the first records Lambda's payload may hold; at least one, if there is one."""
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if number and total > PAYLOAD_BYTES:
            return number
    return len(sizes)
