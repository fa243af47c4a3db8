"""Threads that see a program to its end. Virtual time stands still meanwhile: it cannot see what they do."""

import threading
from collections.abc import Callable
from typing import Any

from local.clock import Clock


class Workers:
    """The threads of one service."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads: set[threading.Thread] = set()

    def start(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        """Do `work` in a thread of its own."""
        hold = self._clock.hold()
        hold.__enter__()  # from here on, not from when the thread first runs

        def run() -> None:
            try:
                work(*arguments)
            finally:
                self._threads.discard(threading.current_thread())
                hold.__exit__(None, None, None)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def join(self, seconds: float = 5.0) -> None:
        """Wait for all of them, so long for each."""
        for thread in list(self._threads):
            thread.join(timeout=seconds)
