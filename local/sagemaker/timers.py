"""Calls that are due at a time of the cloud's clock."""

import asyncio
import heapq
import itertools
import logging
import threading
from collections.abc import Callable

from local.clock import Clock

logger = logging.getLogger(__name__)


class Timer:
    """One call that is due; `cancel` takes it back."""

    def __init__(self, call: Callable[[], object] | None = None) -> None:
        self._call = call

    def cancel(self) -> None:
        """Take the call back, if it was not made yet."""
        self._call = None

    def _ring(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class Timers:
    """Calls functions when so many seconds of a clock have passed: in order, one at a time, in one thread for all.

    Thousands may wait: each is an entry in a heap, and only the first one's time is slept for.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._waiting: asyncio.Future[None] | None = None  # what is slept for; of the loop's thread
        self._closed = False
        # a loop of the clock's own making: virtual time must see when nothing is left to do here
        self._loop = clock.new_loop()
        self._thread = threading.Thread(target=self._serve, name="sagemaker-timers", daemon=True)
        self._thread.start()

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call `call` in `seconds` of the clock's time; what is due at one time is called in the order of asking."""
        timer = Timer(call)
        with self._lock:
            entry = (self._clock.time() + max(0.0, seconds), next(self._order), timer)
            heapq.heappush(self._due, entry)
            first = self._due[0] is entry and not self._closed
            if first and threading.current_thread() is not self._thread:
                self._loop.call_soon_threadsafe(self._wake)
        return timer

    def close(self) -> None:
        """Forget what is due."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._due.clear()
            self._loop.call_soon_threadsafe(self._wake)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._run())
        with self._lock:  # not while `close` wakes it
            self._loop.close()

    async def _run(self) -> None:
        while not self._closed:
            timer, seconds = self._next()
            if timer is None:
                self._waiting = asyncio.ensure_future(self._sleep(seconds))
                await asyncio.wait([self._waiting])
                continue
            try:
                timer._ring()
            except Exception:
                logger.exception("a timer's call failed")

    def _next(self) -> tuple[Timer | None, float | None]:
        """What is due now, or how long to sleep: None for as long as nobody wakes the loop."""
        with self._lock:
            while self._due and self._due[0][2]._call is None:
                heapq.heappop(self._due)
            if not self._due:
                return None, None
            seconds = self._due[0][0] - self._clock.time()
            return (None, seconds) if seconds > 0 else (heapq.heappop(self._due)[2], None)

    async def _sleep(self, seconds: float | None) -> None:
        await (self._loop.create_future() if seconds is None else self._clock.sleep(seconds))

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
