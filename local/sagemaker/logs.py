"""What jobs print, in CloudWatch Logs: a group a kind of job, a stream a job, while they run."""

import contextlib
import logging
import queue
import threading
import time
from pathlib import Path
from typing import Any

from local.service import Cloud

logger = logging.getLogger(__name__)

# of one PutLogEvents: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
BATCH_EVENTS = 10_000
BATCH_BYTES = 1_000_000
EVENT_OVERHEAD = 26
LINE_LIMIT = 250_000
EVERY = 1.0  # seconds of wall time between two looks at what runs
CHUNK = 1 << 20  # bytes of one job that one look takes
KEPT = 8 << 20  # bytes of what was not yet written when a job ends, the last ones


class Tail:
    """A file that grows, and how far it was read."""

    def __init__(self, group: str, stream: str, file: Path) -> None:
        self.group = group
        self.stream = stream
        self._file = file
        self._offset = 0
        self._lock = threading.Lock()

    def more(self) -> str:
        """Whole lines that came since the last time."""
        with self._lock, contextlib.suppress(OSError), self._file.open("rb") as output:
            output.seek(self._offset)
            found = output.read(CHUNK)
            end = found.rfind(b"\n") + 1 or (len(found) if len(found) >= LINE_LIMIT else 0)
            self._offset += end
            return found[:end].decode(errors="replace")
        return ""

    def rest(self) -> str:
        """All that is left; the file may be deleted then."""
        with self._lock, contextlib.suppress(OSError), self._file.open("rb") as output:
            output.seek(max(self._offset, self._file.stat().st_size - KEPT))
            found = output.read()
            self._offset += len(found)
            return found.decode(errors="replace")
        return ""


class Logs:
    """Writes the output of jobs in the background; what cannot be written is said on this process's own log."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._client: Any = None
        self._groups: set[str] = set()
        self._streams: dict[tuple[str, str], int] = {}  # those that exist, and when their last line was written, in ms
        self._tails: dict[tuple[str, str], Tail] = {}
        self._queue: queue.SimpleQueue[tuple[str, str, str, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="sagemaker-logs", daemon=True)
        self._thread.start()

    def follow(self, group: str, stream: str, file: Path) -> None:
        """Write what a job prints, a second after it does, until `keep`."""
        self._tails[group, stream] = Tail(group, stream, file)
        self._queue.put(("", "", "", 0.0))  # wakes who waits for nothing

    def keep(self, group: str, stream: str, file: Path, at: float) -> None:
        """Take over the rest of what a job printed; `at` is when it ended, in epoch seconds."""
        tail = self._tails.pop((group, stream), None) or Tail(group, stream, file)
        self._queue.put((group, stream, tail.rest(), at))

    def close(self) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _write(self) -> None:
        looked = time.monotonic()
        while True:
            # with nothing to follow, wait until there is
            left = max(0.0, looked + EVERY - time.monotonic()) if self._tails else None
            try:
                item = self._queue.get(timeout=left)
            except queue.Empty:
                self._look()
                looked = time.monotonic()
                continue
            if item is None:
                return
            group, stream, text, at = item
            self._put(group, stream, text, at)
            if group:
                self._streams.pop((group, stream), None)  # it has ended

    def _look(self) -> None:
        for tail in list(self._tails.values()):
            self._put(tail.group, tail.stream, tail.more(), self._cloud.clock.time())

    def _put(self, group: str, stream: str, text: str, at: float) -> None:
        if not text.strip():
            return
        try:
            client = self._client = self._client or self._cloud.client("logs")
            self._create(client, group, stream)
            # The look that met a job's end may be later than the end; CloudWatch orders lines by their time.
            time_ms = self._streams[group, stream] = max(int(at * 1000), self._streams[group, stream])
            for batch in _batches(text, time_ms):
                client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)
        except Exception as error:
            logger.warning("log stream %s of %s not written: %s", stream, group, error)

    def _create(self, client: Any, group: str, stream: str) -> None:
        if group not in self._groups:
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=group)
            self._groups.add(group)
        if (group, stream) not in self._streams:
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(logGroupName=group, logStreamName=stream)
            self._streams[group, stream] = 0


def _batches(text: str, at: int) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = [[]]
    size = 0
    for line in text.splitlines():
        cost = len(line[:LINE_LIMIT].encode()) + EVENT_OVERHEAD
        if not line.strip():
            continue
        if len(batches[-1]) >= BATCH_EVENTS or size + cost > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append({"timestamp": at, "message": line[:LINE_LIMIT]})
        size += cost
    return batches
