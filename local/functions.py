"""Lambda functions as AWS runs them: in processes of their own, on an interpreter that holds boto3 and their layers.

A process serves one event at a time and is kept warm. A handler is imported once; more processes are forked from that
state, as Lambda SnapStart restores a snapshot. What AWS does that this does not: memory limits.
"""

import hashlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.archives import Archives, digest
from local.parents import Parents
from local.processes import InitError, ProcessEndedError, Template, Worker
from local.traces import new_trace, root_of

logger = logging.getLogger("boxcar.functions")

IDLE_SECONDS = 300.0  # how long a warm process without work is kept
MOST_WAITING = 4  # warm processes kept, times the concurrency
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

    @classmethod
    def of(cls, configuration: dict[str, Any], code: bytes, layers: tuple[bytes, ...]) -> "Function":
        """The function of a configuration as Lambda's API shows it."""
        name = configuration.get("FunctionName", "")
        variables = (configuration.get("Environment") or {}).get("Variables") or {}
        return cls(
            name=name,
            arn=configuration.get("FunctionArn", ""),
            version=configuration.get("Version", "$LATEST"),
            handler=configuration.get("Handler", ""),
            timeout=float(configuration.get("Timeout", 3)),
            memory=int(configuration.get("MemorySize", 128)),
            code=code,
            layers=layers,
            variables=tuple(sorted((key, str(value)) for key, value in variables.items())),
            log_group=(configuration.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}",
            role_arn=configuration.get("Role", ""),
        )

    @property
    def key(self) -> str:
        """What a warm process must have in common with this function to serve it."""
        key = hashlib.sha256()
        parts = (self.arn, self.version, self.handler, self.timeout, self.memory, self.variables, self.role_arn)
        key.update(repr(parts).encode())
        for archive in (self.code, *self.layers):
            key.update(digest(archive).encode())
        return key.hexdigest()


@dataclass
class Outcome:
    """How one invocation ended: `result` is the JSON text of the answer, or `error` is AWS's error object."""

    result: str | None
    error: dict[str, Any] | None
    log: str
    cold: bool = False
    throttled: bool = False


class Runtime:
    """Every function process of one cloud. At most `concurrency` events are handled at once, the others wait."""

    def __init__(
        self,
        interpreter: Callable[[], Path],  # asked for at the first call: making an environment takes seconds
        folder: Path,  # extracted archives
        credentials: Callable[[Function], dict[str, str]],
        region: str,
        endpoint: str,
        concurrency: int = 8,
    ) -> None:
        self._parents = Parents(interpreter)
        self._archives = Archives(folder)
        self._credentials = credentials
        self._region = region
        self._endpoint = endpoint
        self._concurrency = concurrency
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._working: dict[str, Worker] = {}  # by the root of the trace of what it works on
        self._templates: dict[str, tuple[str, Template]] = {}  # key → name of the function, template
        self._idle: dict[str, list[Worker]] = {}
        self._closed = False

    def invoke(self, function: Function, event: Any) -> Outcome:
        """Run the function on one event and return how it ended. Never raises for what the function does."""
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            return Outcome(None, _error("Rate Exceeded.", "TooManyRequestsException"), "", throttled=True)
        try:
            outcome = self._run(function, event)
        except InitError as error:
            outcome = Outcome(None, error.error, error.log, cold=True)
        except Exception as error:
            logger.exception("function %s could not be run", function.name)
            outcome = Outcome(None, _error(f"{type(error).__name__}: {error}", "Runtime.Unknown"), "")
        finally:
            self._slots.release()
        if outcome.error:
            words = " ".join(outcome.error["errorMessage"].split())  # one line an error
            logger.error("function %s failed: %s: %s", function.name, outcome.error["errorType"], words)
        return outcome

    def warm(self) -> None:
        """Start the root process, which takes longest, before the first call."""
        self._parents.warm()

    def works(self, trace: str) -> bool:
        """Whether an API call with this X-Amzn-Trace-Id comes from an event that is being handled here."""
        return root_of(trace) in self._working

    def kill(self, trace: str) -> None:
        """Kill the process that made an API call with this X-Amzn-Trace-Id; its invocation fails."""
        with self._lock:
            worker = self._working.get(root_of(trace))
        if worker is not None:
            worker.kill()

    def forget(self, name: str) -> None:
        """End the processes of one function that wait: it was deleted or changed."""
        with self._lock:
            keys = [key for key, (owner, _) in self._templates.items() if owner == name]
            templates = [self._templates.pop(key)[1] for key in keys]
            workers = [worker for key in keys for worker in self._idle.pop(key, [])]
        self._end([*templates, *workers])

    def close(self) -> None:
        """End every process; what works on a call is killed, for it may try for minutes to reach what is closed."""
        with self._lock:
            self._closed = True
            for worker in self._working.values():
                worker.kill()
            processes = [worker for workers in self._idle.values() for worker in workers]
            templates = [template for _, template in self._templates.values()]
            self._idle.clear()
            self._templates.clear()
        self._end([*processes, *templates])
        self._parents.close()

    def _run(self, function: Function, event: Any) -> Outcome:
        key = function.key
        worker, log = self._take(key), ""
        cold = worker is None
        if worker is None:
            worker, log = self._fork(function, key)
        request_id, trace = str(uuid.uuid4()), new_trace()
        with self._lock:
            self._working[root_of(trace)] = worker
            if self._closed:  # while this one was forked
                worker.kill()
        try:
            told = worker.call(event, request_id, function.arn, function.timeout, trace)
        except ProcessEndedError:
            worker.end()
            why = "with error: signal: killed" if worker.killed else "without providing a reason"
            text = f"RequestId: {request_id} Error: Runtime exited {why}"
            last = f"{text}\nRuntime.ExitError\n"  # as AWS's log ends
            return Outcome(None, _error(text, "Runtime.ExitError"), log + worker.log() + last, cold)
        finally:
            with self._lock:
                del self._working[root_of(trace)]
        if told is None:
            worker.end()
            text = f"RequestId: {request_id} Error: Task timed out after {function.timeout:.2f} seconds"
            return Outcome(None, _error(text, "Sandbox.Timedout"), log + worker.log(), cold)
        log += worker.log()
        self._keep(key, worker)
        if "error" in told:
            return Outcome(None, {**told["error"], "requestId": request_id}, log, cold)
        size = len(told["result"].encode())
        if size > MAX_RESPONSE_BYTES:
            limit = MAX_RESPONSE_BYTES
            text = f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({limit} bytes)."
            return Outcome(None, _error(text, "Function.ResponseSizeTooLarge"), log, cold)
        return Outcome(told["result"], None, log, cold)

    def _take(self, key: str) -> Worker | None:
        with self._lock:
            workers = self._idle.get(key)
            while workers:
                worker = workers.pop()  # the most recently used: the others grow old and end
                if worker.alive:
                    return worker
                worker.end()
        return None

    def _keep(self, key: str, worker: Worker) -> None:
        """Let a worker wait for its next event; end those that have waited too long or are too many."""
        now = worker.used = time.monotonic()
        old: list[Worker | Template] = []
        with self._lock:
            if self._closed or key not in self._templates:
                old.append(worker)
            else:
                self._idle.setdefault(key, []).append(worker)
            waiting = sorted(
                ((each.used, name, each) for name, workers in self._idle.items() for each in workers),
                key=lambda entry: entry[0],
            )
            surplus = max(0, len(waiting) - MOST_WAITING * self._concurrency)
            for number, (used, name, each) in enumerate(waiting):
                if number < surplus or now - used > IDLE_SECONDS:
                    self._idle[name].remove(each)
                    old.append(each)
            for name, (_, template) in list(self._templates.items()):
                if now - template.used > IDLE_SECONDS and not self._idle.get(name) and name != key:
                    old.append(self._templates.pop(name)[1])
        self._end(old)

    def _end(self, processes: Sequence[Worker | Template]) -> None:
        for process in processes:
            process.end()

    def _fork(self, function: Function, key: str) -> tuple[Worker, str]:
        """Return a new worker, and what importing the handler logged if that happened for it."""
        with self._lock:
            turn = self._making.setdefault(key, threading.Lock())
        for _ in range(2):
            log = ""
            with turn:  # one import a function, however many calls come at once
                known = self._templates.get(key)
                template = known[1] if known else self._template(function)
                if known is None:
                    log = template.first_log
                    with self._lock:
                        self._templates[key] = (function.name, template)
            try:
                return template.worker(function.name), log
            except ProcessEndedError:  # it was ended meanwhile, or killed: once more
                with self._lock:
                    self._templates.pop(key, None)
        raise ProcessEndedError(f"the template of {function.name} keeps ending")

    def _template(self, function: Function) -> Template:
        task_root = self._archives.unpack(function.code)
        layers = [self._archives.unpack(layer) for layer in function.layers]
        # As in AWS's runtime: the function first, then the layers (/opt/python), the last layer before the others.
        folders = [
            folder
            for layer in reversed(layers)
            for folder in (layer / "python", *sorted(layer.glob("python/lib/python3*/site-packages")))
            if folder.is_dir()
        ]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **dict(function.variables),
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": f"[{function.version}]{uuid.uuid4().hex}",
            "LAMBDA_TASK_ROOT": str(task_root),
            "_HANDLER": function.handler,
            **self._credentials(function),
        }
        return self._parents.template(environment, task_root, folders, function.handler)


def _error(message: str, kind: str) -> dict[str, Any]:
    return {"errorMessage": message, "errorType": kind}
