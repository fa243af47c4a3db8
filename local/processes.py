"""The processes of functions, seen from the cloud: a root, a base for some layers, a template a function, workers."""

import json
import os
import queue
import select
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("lambda_worker.py")
INIT_SECONDS = 60.0  # AWS allows 10 and then retries; many functions may start at once on two cores
FORK_SECONDS = 30.0


class ProcessEndedError(Exception):
    """The process at the other end is gone."""


class InitError(Exception):
    """The handler could not be imported: AWS's error object, and what was logged meanwhile."""

    def __init__(self, error: dict[str, Any], log: str) -> None:
        super().__init__(error["errorMessage"])
        self.error = error
        self.log = log


class Parent:
    """A process that forks templates."""

    def __init__(self, control: "_Control", pid: int) -> None:
        self._control = control
        self._pid = pid

    def template(self, environment: dict[str, str], path: list[str], folder: Path, handler: str) -> "Template":
        """Fork a template.

        Raises:
            InitError: the handler cannot be imported.
            ProcessEndedError: this process is gone.
        """
        ours, theirs = socket.socketpair()
        log_out, log_in = os.pipe()
        told = {"environment": environment, "path": path, "folder": str(folder), "handler": handler}
        try:
            pid = self._control.fork({"template": told}, [theirs.fileno(), log_in])
        finally:
            theirs.close()
            os.close(log_in)
        return Template(_Control(ours), pid, Log(log_out, handler))

    def end(self) -> None:
        """End it; what was forked from it lives on until its own pipes close."""
        self._control.close()
        _kill(self._pid)


class Root(Parent):
    """The first process: it has the runtime's own packages imported."""

    def __init__(self, interpreter: Path, preload: bool) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [str(interpreter), "-s", "-E", str(WORKER), str(theirs.fileno())]
            command += ["--preload"] if preload else []
            environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": ":UTC"}
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment
            )
        super().__init__(_Control(ours), self._process.pid)

    def base(self, path: list[str], modules: list[str]) -> "Base":
        """Fork a process that imports packages of layers.

        Raises:
            ProcessEndedError: this process is gone, or an import ended the new one.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            pid = self._control.fork({"base": {"path": path, "modules": modules}}, [theirs.fileno()])
        base = Base(_Control(ours), pid)
        try:
            base.wait()
        except (ProcessEndedError, TimeoutError) as error:
            base.end()
            raise ProcessEndedError from error
        return base

    def end(self) -> None:
        """End it, and wait until it has ended."""
        super().end()
        self._process.wait()


class Base(Parent):
    """A process that has the packages of some layers imported."""

    def wait(self) -> None:
        """Wait until they are imported.

        Raises:
            ProcessEndedError: it ended instead.
            TimeoutError: it takes too long.
        """
        self._control.read(INIT_SECONDS)


class Template:
    """A process with one function's handler imported. It runs nothing itself."""

    def __init__(self, control: "_Control", pid: int, log: "Log") -> None:
        self._control = control
        self._pid = pid
        self.used = time.monotonic()
        self.first_log = ""  # what the import logged: part of the first invocation's log
        try:
            told = control.read(INIT_SECONDS)
        except (ProcessEndedError, TimeoutError) as error:
            self.end()
            kind = "Runtime.ExitError" if isinstance(error, ProcessEndedError) else "Sandbox.Timedout"
            words = (
                "Runtime exited"
                if isinstance(error, ProcessEndedError)
                else f"Init timed out after {INIT_SECONDS:.0f} s"
            )
            raise InitError({"errorMessage": f"Error: {words} during init", "errorType": kind}, log.drain()) from error
        if "error" in told:
            self.end()
            raise InitError(told["error"], log.drain())
        self.first_log = log.drain()

    def worker(self, name: str) -> "Worker":
        """Fork a worker.

        Raises:
            ProcessEndedError: the template is gone.
        """
        self.used = time.monotonic()
        events_out, events_in = os.pipe()
        answers_out, answers_in = os.pipe()
        log_out, log_in = os.pipe()
        theirs = [events_out, answers_in, log_in]
        try:
            pid = self._control.fork({"worker": {}}, theirs)
        except ProcessEndedError:
            for descriptor in (events_in, answers_out, log_out):
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return Worker(pid, events_in, answers_out, Log(log_out, name))

    def end(self) -> None:
        """End it; its workers live on."""
        self._control.close()
        _kill(self._pid)


class Worker:
    """A process that answers events."""

    def __init__(self, pid: int, events: int, answers: int, log: "Log") -> None:
        self._pid = pid
        self._events = events
        self._answers = answers
        self._log = log
        self._pending = b""
        self._ended = False
        self.killed = False  # on purpose, while it was at work
        self.used = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether it can take an event. An idle worker writes nothing, so a readable pipe means it is gone."""
        return not self._ended and not _readable(self._answers, 0)

    def call(self, event: Any, request_id: str, arn: str, timeout: float, trace: str) -> dict[str, Any] | None:
        """Hand one event over and return {"result"} or {"error"}, None when `timeout` seconds were not enough.

        `trace` is the tracing header that the AWS SDK sends with each call it makes meanwhile.

        Raises:
            ProcessEndedError: it ended instead of answering.
        """
        call = {
            "event": event,
            "request_id": request_id,
            "arn": arn,
            "deadline": time.time() + timeout,
            "trace": trace,
        }
        self._write(json.dumps(call).encode() + b"\n")
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            if not _readable(self._answers, deadline - time.monotonic()):
                return None
            chunk = os.read(self._answers, 1 << 20)
            if not chunk:
                raise ProcessEndedError
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def log(self) -> str:
        """What the last event logged."""
        return self._log.drain()

    def kill(self) -> None:
        """Kill it in the middle of an event; who waits for its answer learns that it ended."""
        self.killed = True
        _kill(self._pid)

    def end(self) -> None:
        """Kill it: AWS gives a function no last word either."""
        if not self._ended:
            self._ended = True
            os.close(self._events)
            os.close(self._answers)
            _kill(self._pid)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._events, view) :]
        except BrokenPipeError:
            raise ProcessEndedError from None


class Log:
    """Reads what a process logs, in the background, so that it never waits for room in the pipe."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read, args=(descriptor,), name=f"log-{name}", daemon=True).start()

    def drain(self) -> str:
        """Return what was logged up to the worker's mark, or up to the end of a process that died."""
        lines: list[bytes] = []
        while True:
            try:
                line = self._lines.get(timeout=2.0)
            except queue.Empty:  # a grandchild holds the pipe of a dead worker
                break
            if line is None or line == b"\0\n":
                break
            lines.append(line)
        return b"".join(lines).decode(errors="replace")

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)


class _Control:
    """The socket to a process that forks."""

    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours
        self._turn = threading.Lock()

    def fork(self, command: dict[str, Any], descriptors: list[int]) -> int:
        """Have it fork, with descriptors for the new process, and return the new process's id."""
        with self._turn:
            try:
                text = json.dumps(command).encode() + b"\n"
                sent = socket.send_fds(self._socket, [text], descriptors)
                self._socket.sendall(text[sent:])
            except OSError as error:
                raise ProcessEndedError from error
            pid: int = self.read(FORK_SECONDS)["pid"]
            return pid

    def read(self, seconds: float) -> dict[str, Any]:
        """Return the next line.

        Raises:
            ProcessEndedError: the process is gone.
            TimeoutError: there was none within `seconds`.
        """
        text = b""
        while not text.endswith(b"\n"):
            try:
                self._socket.settimeout(seconds)
                part = self._socket.recv(1 << 16)
            except TimeoutError:
                raise
            except OSError as error:
                raise ProcessEndedError from error
            if not part:
                raise ProcessEndedError
            text += part
        told: dict[str, Any] = json.loads(text)
        return told

    def close(self) -> None:
        """Hang up: the process ends."""
        self._socket.close()


def _readable(descriptor: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(max(0.0, seconds) * 1000))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
