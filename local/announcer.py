"""Events of a service, in the order of their happening, without holding up what happens."""

import logging
import queue
import threading
import time
from contextlib import AbstractContextManager
from typing import Any

from local.service import Cloud

logger = logging.getLogger(__name__)
TRIES = 5


class Announcer:
    """Sends the events of one source to the default bus."""

    def __init__(self, cloud: Cloud, source: str) -> None:
        self._cloud = cloud
        self._source = source
        self._queue: queue.SimpleQueue[tuple[str, dict[str, Any], list[str]] | None] = queue.SimpleQueue()
        self._holds: queue.SimpleQueue[AbstractContextManager[None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send, name=f"{source}-events", daemon=True)
        self._thread.start()

    def say(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Send one event soon. `detail` must not change any more."""
        hold = self._cloud.clock.hold()
        hold.__enter__()  # until it is sent: an event is delivered at the time of its happening
        self._holds.put(hold)
        self._queue.put((detail_type, detail, resources))

    def _send(self) -> None:
        while (event := self._queue.get()) is not None:
            detail_type, detail, resources = event
            for attempt in range(TRIES):
                try:
                    self._cloud.emit(self._source, detail_type, detail, resources)
                    break
                except Exception:
                    # just after a start the event bus may not listen yet
                    if attempt == TRIES - 1:
                        logger.exception("event lost: %s %s", detail_type, resources)
                    else:
                        time.sleep(0.2 * 2**attempt)
            self._holds.get().__exit__(None, None, None)

    def close(self) -> None:
        """Send what waits, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10)
