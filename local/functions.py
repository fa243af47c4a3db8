"""Lambda functions as AWS runs them: in processes of their own, on an interpreter that holds boto3 and their layers.

A process serves one event at a time and is kept warm. What AWS does that this does not: memory limits, snapshots.
"""

import hashlib
import io
import json
import logging
import os
import queue
import select
import shutil
import subprocess
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

logger = logging.getLogger("boxcar.functions")

WORKER = Path(__file__).with_name("lambda_worker.py")
INIT_SECONDS = 60.0  # AWS allows 10 and then retries; many functions may start at once on two cores
IDLE_SECONDS = 300.0  # how long a warm process without work is kept
WAIT_SECONDS = 60.0  # how long a call waits for a free slot before it is throttled
MAX_RESPONSE_BYTES = 6 * 1024 * 1024  # AWS quota of a synchronous answer


@dataclass(frozen=True)
class Function:
    """One version of one function, ready to be run."""

    name: str
    arn: str
    version: str
    handler: str
    timeout: float  # seconds
    memory: int  # MiB, told to the handler only
    code: bytes  # zip
    layers: tuple[bytes, ...]  # zips, in the order of the template; a later one wins
    variables: tuple[tuple[str, str], ...]  # the function's environment
    log_group: str
    role_arn: str

    @property
    def key(self) -> str:
        """What a warm process must have in common with this function to serve it."""
        digest = hashlib.sha256()
        parts = (self.arn, self.version, self.handler, self.timeout, self.memory, self.variables, self.role_arn)
        digest.update(repr(parts).encode())
        for archive in (self.code, *self.layers):
            digest.update(_digest(archive).encode())
        return digest.hexdigest()


@dataclass
class Outcome:
    """How one invocation ended: `result` is the JSON text of the answer, or `error` is AWS's error object."""

    result: str | None
    error: dict[str, Any] | None
    log: str
    cold: bool = False
    throttled: bool = False


@dataclass
class Runtime:
    """Every function process of one cloud. At most `concurrency` events are handled at once."""

    interpreter: Callable[[], Path]  # asked for at the first call: making an environment takes seconds
    folder: Path  # extracted archives
    credentials: Callable[[Function], dict[str, str]]
    region: str
    endpoint: str
    concurrency: int = 8
    _idle: dict[str, list["_Process"]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._slots = threading.BoundedSemaphore(self.concurrency)
        self._closed = False
        shutil.rmtree(self.folder, ignore_errors=True)  # a cache: archives come with each call
        self.folder.mkdir(parents=True)

    def invoke(self, function: Function, event: Any) -> Outcome:
        """Run the function on one event and return how it ended. Never raises for what the function does."""
        request_id = str(uuid.uuid4())
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            return Outcome(None, _error("Rate Exceeded.", "TooManyRequestsException"), "", throttled=True)
        try:
            outcome = self._run(function, event, request_id)
        except Exception as error:
            logger.exception("function %s could not be run", function.name)
            outcome = Outcome(None, _error(f"{type(error).__name__}: {error}", "Runtime.Unknown"), "")
        finally:
            self._slots.release()
        if outcome.error:
            fault = outcome.error
            words = " ".join(fault["errorMessage"].split())  # one line an error
            logger.error("function %s failed: %s: %s", function.name, fault["errorType"], words)
        return outcome

    def close(self) -> None:
        """End every process."""
        with self._lock:
            self._closed = True
            idle = [process for processes in self._idle.values() for process in processes]
            self._idle.clear()
        for process in idle:
            process.end()

    def forget(self, name: str) -> None:
        """End the idle processes of one function: it was deleted or changed."""
        with self._lock:
            keys = [key for key, processes in self._idle.items() if processes and processes[0].function.name == name]
            gone = [process for key in keys for process in self._idle.pop(key)]
        for process in gone:
            process.end()

    def _run(self, function: Function, event: Any, request_id: str) -> Outcome:
        key = function.key
        process = self._take(key)
        cold = process is None
        if process is None:
            process = self._start(function)
        outcome = process.call(event, request_id)
        outcome.cold = cold
        if process.alive and not self._closed:
            self._keep(key, process)
        else:
            process.end()
        return outcome

    def _take(self, key: str) -> "_Process | None":
        with self._lock:
            processes = self._idle.get(key)
            while processes:
                process = processes.pop()  # the most recently used: the others grow old and end
                if process.alive:
                    return process
        return None

    def _keep(self, key: str, process: "_Process") -> None:
        now = time.monotonic()
        process.used = now
        old: list[_Process] = []
        with self._lock:
            self._idle.setdefault(key, []).append(process)
            for name, processes in list(self._idle.items()):
                old += [each for each in processes if now - each.used > IDLE_SECONDS]
                self._idle[name] = [each for each in processes if now - each.used <= IDLE_SECONDS]
            kept = [each for processes in self._idle.values() for each in processes]
            kept.sort(key=lambda each: each.used)
            for each in kept[: max(0, len(kept) - 4 * self.concurrency)]:
                self._idle[each.key].remove(each)
                old.append(each)
        for each in old:
            each.end()

    def _start(self, function: Function) -> "_Process":
        task_root = self._extract(function.code)
        layers = [self._extract(layer) for layer in function.layers]
        # As in AWS's runtime: the function first, then the layers (/opt/python), the last layer before the others.
        folders = [task_root]
        for layer in reversed(layers):
            folders += [layer / "python", *sorted(layer.glob("python/lib/python3*/site-packages"))]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **dict(function.variables),
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": f"[{function.version}]{uuid.uuid4().hex}",
            "LAMBDA_TASK_ROOT": str(task_root),
            "_HANDLER": function.handler,
            "_BOXCAR_PATH": os.pathsep.join(str(folder) for folder in folders if folder.is_dir()),
            **self.credentials(function),
        }
        return _Process(function, str(self.interpreter()), environment, task_root)

    def _extract(self, archive: bytes) -> Path:
        """Unpack once what many processes share."""
        folder = self.folder / _digest(archive)[:24]
        with self._lock:
            if not folder.exists():
                making = folder.with_suffix(".making")
                with zipfile.ZipFile(io.BytesIO(archive)) as files:
                    files.extractall(making)  # members that would leave the folder are renamed into it
                making.rename(folder)
        return folder


class _Process:
    """One running worker and the pipes to it."""

    def __init__(self, function: Function, interpreter: str, environment: dict[str, str], folder: Path) -> None:
        self.function = function
        self.key = function.key
        self.used = time.monotonic()
        self._process = subprocess.Popen(
            [interpreter, "-s", "-E", str(WORKER)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._pending = b""
        self._log: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read_log, name=f"log-{function.name}", daemon=True).start()
        try:
            ready = self._read(time.monotonic() + INIT_SECONDS)
        except EOFError:  # it ended while importing the handler: the first call says so
            return
        if ready is None:
            self.end()
            raise TimeoutError(f"{function.handler} was not imported within {INIT_SECONDS:.0f} s")

    @property
    def alive(self) -> bool:
        """Whether it can take an event."""
        return self._process.poll() is None

    def call(self, event: Any, request_id: str) -> Outcome:
        """Hand one event over and wait for the answer, at most for the function's timeout."""
        timeout = self.function.timeout
        call = {"event": event, "request_id": request_id, "arn": self.function.arn, "deadline": time.time() + timeout}
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(call).encode() + b"\n")
            self._process.stdin.flush()
            line = self._read(time.monotonic() + timeout)
        except (BrokenPipeError, EOFError):
            code = self._process.wait()
            text = f"RequestId: {request_id} Error: Runtime exited with error: exit status {code}"
            return Outcome(None, _error(text, "Runtime.ExitError"), self._drain())
        if line is None:
            self.end()
            text = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
            return Outcome(None, _error(text, "Sandbox.Timedout"), self._drain())
        told = json.loads(line)
        log = self._drain()
        if "error" in told:
            return Outcome(None, {**told["error"], "requestId": request_id}, log)
        size = len(told["result"].encode())
        if size > MAX_RESPONSE_BYTES:
            limit = MAX_RESPONSE_BYTES
            text = f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({limit} bytes)."
            return Outcome(None, _error(text, "Function.ResponseSizeTooLarge"), log)
        return Outcome(told["result"], None, log)

    def end(self) -> None:
        """Kill the process: AWS gives a function no last word either."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # an event it never read
                    continue

    def _read(self, deadline: float) -> bytes | None:
        """Return the next line of the answers, None at the deadline."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._pending:
            poller = select.poll()
            poller.register(pipe, select.POLLIN)
            if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            chunk = os.read(pipe, 1 << 16)
            if not chunk:
                raise EOFError("the process ended")
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                self._log.put(line)
        self._log.put(None)

    def _drain(self) -> str:
        """Return what this event logged: up to the worker's mark, or to the end of a process that died."""
        lines: list[bytes] = []
        while True:
            try:
                line = self._log.get(timeout=2.0)
            except queue.Empty:  # a grandchild holds the pipe of a dead worker
                break
            if line is None or line == b"\0\n":
                break
            lines.append(line)
        return b"".join(lines).decode(errors="replace")


def _error(message: str, kind: str) -> dict[str, Any]:
    return {"errorMessage": message, "errorType": kind}


_digests: dict[int, tuple[bytes, str]] = {}


def _digest(archive: bytes) -> str:
    """Return the SHA-256 of an archive; archives live as long as their function, so their identity is a good key."""
    known = _digests.get(id(archive))
    if known is None or known[0] is not archive:
        known = _digests[id(archive)] = (archive, hashlib.sha256(archive).hexdigest())
        if len(_digests) > 256:
            _digests.clear()
    return known[1]
