"""Time as waits, timeouts, backoffs and schedules see it."""

import asyncio
import contextlib
import heapq
import itertools
import selectors
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol


class Clock(Protocol):
    """One source of time for a whole cloud."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` of this clock's time have passed."""
        ...

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """While held, work goes on that the clock cannot see (a call in a thread): virtual time stands still."""
        ...

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop whose idleness this clock can see; services that sleep on the clock run in one."""
        ...


class RealClock:
    """Wall time, optionally faster: at scale 60 a minute passes in a second."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._wall_start = time.time()
        self._monotonic_start = time.monotonic()

    def time(self) -> float:
        """Seconds since the epoch, by this clock."""
        return self._wall_start + (time.monotonic() - self._monotonic_start) * self._scale

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock's time."""
        await asyncio.sleep(max(0.0, seconds) / self._scale)

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """Nothing to hold: wall time passes anyway."""
        return contextlib.nullcontext()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """An ordinary event loop."""
        return asyncio.new_event_loop()


class VirtualClock:
    """Time that stands still while anything runs, and jumps to the next thing due when nothing does.

    Many loops and threads may sleep on one clock. It jumps only when every loop made by `new_loop` is idle and nobody
    holds it, so whoever works outside those loops must `hold` it meanwhile. A loop that was given something to do by
    another thread (`call_soon_threadsafe`, `run_coroutine_threadsafe`) is busy from that moment.
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._now = start  # 2026-01-01T00:00:00Z unless told otherwise
        self._lock = threading.RLock()
        self._holds = 0
        self._busy: set[_IdleSelector] = set()
        self._due: list[tuple[float, int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        """Seconds since the epoch, by this clock."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has jumped `seconds` ahead."""
        loop = asyncio.get_running_loop()
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        alarm: asyncio.Future[None] = loop.create_future()
        with self._lock:
            heapq.heappush(self._due, (self._now + seconds, next(self._order), loop, alarm))
        await alarm

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep time from passing while the block runs."""
        with self._lock:
            self._holds += 1
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
            self._jump()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop that tells this clock whenever it has nothing left to do."""
        selector = _IdleSelector(self)
        with self._lock:
            self._busy.add(selector)  # until it first waits
        return _Loop(self, selector)

    def _jump(self) -> None:
        """Wake what is due next, if nothing runs."""
        with self._lock:
            while self._due and (self._due[0][3].cancelled() or self._due[0][2].is_closed()):
                heapq.heappop(self._due)
            if self._holds or self._busy or not self._due:
                return
            self._now = max(self._now, self._due[0][0])
            while self._due and self._due[0][0] <= self._now:
                _, _, loop, alarm = heapq.heappop(self._due)
                if not alarm.cancelled() and not loop.is_closed():
                    loop.call_soon_threadsafe(_ring, alarm)


def _ring(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)


class _Loop(asyncio.SelectorEventLoop):
    """A loop that is busy from the moment another thread gives it work, not from when it wakes."""

    def __init__(self, clock: VirtualClock, selector: "_IdleSelector") -> None:
        self._clock = clock
        self._idle = selector
        super().__init__(selector)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        """As every loop does; under the clock's lock, so that the loop cannot go idle between the two steps."""
        with self._clock._lock:
            handle = super().call_soon_threadsafe(callback, *args, context=context)
            self._clock._busy.add(self._idle)
            return handle


class _IdleSelector(selectors.DefaultSelector):
    """A loop asks its selector to wait only when it has nothing to run: that is what idle means."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def close(self) -> None:
        """A loop that is gone keeps nobody waiting."""
        super().close()
        with self._clock._lock:
            self._clock._busy.discard(self)
        self._clock._jump()

    def select(self, timeout: float | None = None) -> Any:
        """Wait for input; before waiting, let virtual time jump."""
        clock = self._clock
        with clock._lock:
            ready = super().select(0)
            if ready or timeout == 0:
                return ready
            clock._busy.discard(self)
        clock._jump()
        ready = super().select(timeout)
        with clock._lock:
            clock._busy.add(self)
        return ready
