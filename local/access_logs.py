"""Access logs of REST APIs, in CloudWatch Logs: a line a call, as the stage's format says."""

import contextlib
import logging
import queue
import re
import threading
import time
from typing import Any

from local.service import Cloud

logger = logging.getLogger("boxcar.access_logs")
_VARIABLE = re.compile(r"\$context\.([A-Za-z.]+[A-Za-z])")
AT_ONCE = 100  # lines of one PutLogEvents


class AccessLogs:
    """Writes in the background: no call waits for its line."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lines: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._streams: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._write, name="access-logs", daemon=True)
        self._thread.start()

    def write(self, group: str, form: str, context: dict[str, str]) -> None:
        """Write one line; what the format names and nobody knows is "-", as on AWS."""
        self._lines.put((group, line(form, context)))

    def close(self) -> None:
        """Write what waits, then end."""
        self._lines.put(None)
        self._thread.join(timeout=5)

    def _write(self) -> None:
        while (first := self._lines.get()) is not None:
            group, lines, ended = first[0], [first[1]], False
            while len(lines) < AT_ONCE and not self._lines.empty():
                following = self._lines.get()
                if following is None:
                    ended = True
                    break
                if following[0] != group:
                    self._put(group, lines)
                    group, lines = following[0], []
                lines.append(following[1])
            self._put(group, lines)
            if ended:
                return

    def _put(self, group: str, lines: list[str]) -> None:
        logs: Any = self._cloud.client("logs")
        stream, now = time.strftime("%Y/%m/%d"), int(time.time() * 1000)
        try:
            if (group, stream) not in self._streams:
                with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                    logs.create_log_stream(logGroupName=group, logStreamName=stream)
                self._streams.add((group, stream))
            events = [{"timestamp": now, "message": line} for line in lines]
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except Exception as error:
            self._streams.discard((group, stream))
            logger.warning("%d lines of the access log %s are lost: %s", len(lines), group, error)


def line(form: str, context: dict[str, str]) -> str:
    """A format with its `$context.…` filled in. Quotes inside are escaped: formats are JSON most of the time."""
    return _VARIABLE.sub(lambda match: context.get(match[1], "-").replace("\\", "\\\\").replace('"', '\\"'), form)
