"""Time limits on the cloud's clock."""

import asyncio
import threading
from collections.abc import Callable

from local.clock import Clock


class Timer:
    """One call that is due; `cancel` takes it back."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Take the call back, if it was not made yet."""
        self._cancelled = True
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _start(self, task: "asyncio.Task[None]") -> None:
        self._task = task
        if self._cancelled:
            task.cancel()


class Timers:
    """Calls a function when so many seconds of a clock have passed. One thread waits for all of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sagemaker-timers", daemon=True)
        self._thread.start()

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call `call` in `seconds` of the clock's time."""
        timer = Timer(self._loop)

        async def wait() -> None:
            await self._clock.sleep(seconds)
            if not timer._cancelled:
                call()

        self._loop.call_soon_threadsafe(lambda: timer._start(self._loop.create_task(wait())))
        return timer

    def close(self) -> None:
        """Forget what is due."""

        def stop() -> None:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.call_soon(self._loop.stop)

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(timeout=5)
