"""What jobs print, in CloudWatch Logs: a group a kind of job, a stream a job, written when the job ends."""

import contextlib
import logging
import queue
import threading
from pathlib import Path
from typing import Any

from local.service import Cloud

logger = logging.getLogger(__name__)

# of one PutLogEvents: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
BATCH_EVENTS = 10_000
BATCH_BYTES = 1_000_000
EVENT_OVERHEAD = 26
LINE_LIMIT = 250_000
KEPT = 8 << 20  # bytes of a job's output, the last ones


class Logs:
    """Writes the output of jobs in the background; what cannot be written is said on this process's own log."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._groups: set[str] = set()
        self._queue: queue.SimpleQueue[tuple[str, str, str, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="sagemaker-logs", daemon=True)
        self._thread.start()

    def keep(self, group: str, stream: str, file: Path, at: float) -> None:
        """Take over what a job printed; `at` is when it ended, in epoch seconds."""
        try:
            with file.open("rb") as output:
                output.seek(max(0, file.stat().st_size - KEPT))
                text = output.read().decode(errors="replace")
        except OSError:
            return
        if text.strip():
            self._queue.put((group, stream, text, at))

    def _write(self) -> None:
        client: Any = None
        while (item := self._queue.get()) is not None:
            group, stream, text, at = item
            try:
                client = client or self._cloud.client("logs")
                self._create(client, group, stream)
                for batch in _batches(text, int(at * 1000)):
                    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)
            except Exception as error:
                logger.warning("log stream %s of %s not written: %s", stream, group, error)

    def _create(self, client: Any, group: str, stream: str) -> None:
        if group not in self._groups:
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=group)
            self._groups.add(group)
        client.create_log_stream(logGroupName=group, logStreamName=stream)

    def close(self) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10)


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
