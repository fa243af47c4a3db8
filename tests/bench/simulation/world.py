"""Virtual time: a heap of what is due, and processes that may sleep in between.

A process is ordinary blocking code in a thread of its own; exactly one of them, or the world itself, runs at any moment,
and hands on when it sleeps or ends. So handlers interleave at their calls to AWS, as on AWS, and the same seed gives the
same world, call by call.
"""

import _thread
import contextlib
import heapq
import itertools
import threading
import time as real
from collections.abc import Callable
from types import ModuleType
from typing import Any

START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class World:
    """One run of time. Not to be used by threads that it does not know."""

    def __init__(self, start: float = START) -> None:
        self.now = start
        self.failure: BaseException | None = None
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._until = start  # of the run that is going on
        self._turn = _thread.allocate_lock()  # of the world, while a process runs
        self._turn.acquire()
        self._idle: list[_Process] = []

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.now

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call `call` at a time, or now if that is over. It must not sleep."""
        heapq.heappush(self._due, (max(when, self.now), next(self._order), call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` in so many seconds."""
        self.at(self.now + seconds, call)

    def spawn(self, work: Callable[[], None]) -> None:
        """Run `work` as a process, from now."""
        process = self._idle.pop() if self._idle else _Process(self)
        process.work = work
        self.at(self.now, process.resume)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the process that calls this."""
        process = current()
        if process is None:
            raise RuntimeError("only a process of the world may sleep in it")
        wake = self.now + max(0.0, seconds)
        if wake <= self._until and (not self._due or wake < self._due[0][0]):
            self.now = wake  # nobody else would do anything meanwhile
            return
        self.at(wake, process.resume)
        process.pause()

    def run(self, until: float) -> None:
        """Let everything happen that is due until then.

        Raises:
            BaseException: what a process or a call raised; the world ends there.
        """
        self._until = until
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            call()
            if self.failure is not None:
                raise self.failure
        self.now = max(self.now, until)


class _Process(threading.Thread):
    """A thread that does one piece of work after another, each as a process."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True, name="process")
        self.world = world
        self.work: Callable[[], None] = lambda: None
        self._go = _thread.allocate_lock()  # plain locks, for there are a million turns
        self._go.acquire()
        self.start()

    def resume(self) -> None:
        """Let the process run until it sleeps or ends. For the world's own thread."""
        self._go.release()
        self.world._turn.acquire()

    def pause(self) -> None:
        """Hand on to the world until it is time again."""
        self.world._turn.release()
        self._go.acquire()

    def run(self) -> None:
        """Take turns for ever."""
        while True:
            self._go.acquire()
            try:
                self.work()
            except BaseException as error:
                self.world.failure = error
            self.world._idle.append(self)
            self.world._turn.release()


def current() -> _Process | None:
    """The process that calls this."""
    thread = threading.current_thread()
    return thread if isinstance(thread, _Process) else None


class WorldTime(ModuleType):
    """The module `time`, as code in this world shall see it; outside of its processes it is the real one."""

    def __init__(self, world: World) -> None:
        super().__init__("time")
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._world.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        if current() is None:
            real.sleep(seconds)
        else:
            self._world.sleep(seconds)


class WorldClock:
    """The same as a `local.clock.Clock`, for the services of the cloud. What they do by threads is not for this world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._world.now

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """Nothing to hold: time passes between calls only."""
        return contextlib.nullcontext()

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"nobody may {name} by the clock in a simulated world: use World.after")


class WorldTimers:
    """Timers of a service (`local.sagemaker.timers.Timers`) as events of the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def after(self, seconds: float, call: Callable[[], object]) -> "WorldTimer":
        """Call `call` in so many seconds."""
        timer = WorldTimer(call)
        self._world.after(max(0.0, seconds), timer.ring)
        return timer

    def close(self) -> None:
        """Nothing runs by itself here."""


class WorldTimer:
    """One call that is due; `cancel` takes it back."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call: Callable[[], object] | None = call

    def ring(self) -> None:
        """Make the call, once."""
        call, self._call = self._call, None
        if call is not None:
            call()

    def cancel(self) -> None:
        """Take it back, if it was not made yet."""
        self._call = None
