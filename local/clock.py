"""Time as waits, timeouts, backoffs and schedules see it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """One source of time for a whole cloud."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` of this clock's time have passed."""
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
