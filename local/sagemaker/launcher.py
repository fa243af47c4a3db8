"""Starts the processes of jobs, from an interpreter that is kept warm for each environment (see inside/warm.py)."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any

WARM = Path(__file__).parent / "inside" / "warm.py"

# Read once, when an interpreter or a library starts: a job that sets one to another value gets its own interpreter.
READ_AT_START = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_", "LD_", "DYLD_", "MALLOC_", "ARROW_", "KMP_", "GOMP_")
NOT_NEEDED_AT_START = {"PYTHONPATH", "PYTHONUNBUFFERED"}

# Forking a process that has loaded frameworks is safe on Linux only.
CAN_FORK_LOADED = sys.platform.startswith("linux")


class Process:
    """A running process of a job, leader of its own process group."""

    def __init__(self, pid: int, ended: "Future[int]") -> None:
        self.pid = pid
        self._ended = ended

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; negative is the signal that ended it."""
        return self._ended.result(timeout)

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call `call` once it has ended, from another thread."""
        self._ended.add_done_callback(lambda _: call())

    def signal(self, number: int) -> None:
        """Send a signal to the process and everything that it started."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it now."""
        self.signal(signal.SIGKILL)


class Interpreter:
    """One warm interpreter. It starts with the first use, or with `warm`."""

    def __init__(self, python: Path, preload: tuple[str, ...], threads: int) -> None:
        self.python = python
        self._preload = preload if CAN_FORK_LOADED else ()
        limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        # Threads that wait for each other by spinning burn the core that the other needs: where jobs shared two cores,
        # 150 small trees took 0.35 s of processor time with one thread and 10 s with two.
        self.environment = {**{name: str(threads) for name in limits}, "OMP_WAIT_POLICY": "PASSIVE"}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._started: dict[int, Future[int]] = {}
        self._ended: dict[int, Future[int]] = {}
        self._numbers = count(1)
        self._ready = threading.Event()

    def warm(self) -> None:
        """Begin to import what jobs import; returns at once."""
        with self._lock:
            if self._process is not None:
                return
            clean = {name: value for name, value in os.environ.items() if not name.startswith(READ_AT_START)}
            self._process = subprocess.Popen(
                [str(self.python), "-I", str(WARM), *self._preload],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**clean, **self.environment},
                start_new_session=True,  # Ctrl-C in the terminal is for the service, which stops jobs in order
            )
            self._ready.clear()
            threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def wait(self) -> None:
        """Return when everything is imported."""
        self.warm()
        self._ready.wait()

    def start(self, argv: list[str], env: dict[str, str], cwd: Path, log: Path) -> Process:
        """Start a process; a Python script or module of this environment is forked from the warm interpreter.

        Raises:
            OSError: the interpreter cannot be started.
        """
        self.warm()
        number = next(self._numbers)
        order: dict[str, Any] = {"id": number, "env": env, "cwd": str(cwd), "log": str(log), **self._how(argv, env)}
        started, ended = Future[int](), Future[int]()
        with self._lock:
            process = self._process
            if process is None or process.stdin is None:
                raise OSError(f"{self.python} ended")
            self._started[number], self._ended[number] = started, ended
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        return Process(started.result(), ended)

    def _how(self, argv: list[str], env: dict[str, str]) -> dict[str, Any]:
        differs = any(
            name.startswith(READ_AT_START) and name not in NOT_NEEDED_AT_START and self.environment.get(name) != value
            for name, value in env.items()
        )
        rest = argv[1:]
        while rest and rest[0] == "-u":
            rest = rest[1:]
        if CAN_FORK_LOADED and not differs and argv[0] == str(self.python) and rest:
            if rest[0] == "-m" and len(rest) > 1:
                return {"module": rest[1], "argv": rest[2:]}
            if not rest[0].startswith("-") and Path(rest[0]).is_file():
                return {"script": rest[0], "argv": rest[1:]}
        return {"argv": argv}

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            message = json.loads(line)
            if "pid" in message:
                self._started.pop(message["id"]).set_result(message["pid"])
            elif "exit" in message:
                self._ended.pop(message["id"]).set_result(message["exit"])
            else:
                self._ready.set()
        with self._lock:
            if self._process is process:
                self._process = None
            started, self._started = list(self._started.values()), {}
            ended, self._ended = list(self._ended.values()), {}
        self._ready.set()
        for future in started:
            future.set_exception(OSError(f"{self.python} ended before it started the process"))
        for future in ended:
            future.set_result(-signal.SIGKILL)

    def close(self) -> None:
        """Kill what still runs and end the interpreter."""
        with self._lock:
            process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
