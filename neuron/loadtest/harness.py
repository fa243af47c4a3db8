"""The processes of a load test: workers that live as long as the test, and a generator for each measurement."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from neuron.backends.protocol import Cores, Shape
from neuron.loadtest import pipes
from neuron.loadtest.packing import Texts
from neuron.loadtest.percentiles import latencies, merged
from neuron.loadtest.scenarios import DRAIN_S, READY_S, SCENARIOS

LAST_LINES = 3  # of what a process said before it died


class LoadTestError(RuntimeError):
    """No measurement could be made; the message says why."""


class Artifact(NamedTuple):
    """What was compiled, unpacked, and the shape that it takes."""

    folder: Path
    shape: Shape


class Measurement(NamedTuple):
    """What one run of the generator found. Latencies in milliseconds, counted from when a query should have come."""

    scenario: str
    rate: float  # queries a second that were offered; 0 where the scenario offers none
    throughput: float  # queries a second that were answered
    queries: int
    latency: dict[str, Any]  # as `percentiles.latencies`


class Harness:
    """Workers that are loaded and warm. Use it as a context.

    Args:
        backend: its name.
        artifacts: one, or several of different lengths, which are buckets.
        workers: what each worker has for itself.
        texts: what is asked.
        warm_s: how long a worker may warm up, in seconds.
        gate: whether the first worker checks the accuracy before it is ready.

    Raises:
        LoadTestError: a worker did not become ready.
    """

    def __init__(
        self,
        backend: str,
        artifacts: Sequence[Artifact],
        workers: Sequence[Cores],
        texts: Texts,
        *,
        warm_s: float = 20.0,
        gate: bool = False,
    ) -> None:
        self._told = {"backend": backend, "warm_s": warm_s}
        self._artifacts = [{"folder": str(each.folder), "shape": list(each.shape)} for each in artifacts]
        self._cores, self._texts, self._gate = workers, texts, gate
        self._workers: list[_Process] = []
        self._folder = tempfile.TemporaryDirectory()
        self.ready: list[dict[str, Any]] = []  # what each worker said when it was: `warm`, and of the first `quality`
        self.ended: list[dict[str, Any]] = []  # and at the end: `batches`, `rows`, `answered`

    def __enter__(self) -> "Harness":
        path = Path(self._folder.name) / "texts.npz"
        self._texts.save(path)
        self._requests, self._ask = pipes.pipe()
        self._replies, self._answer = pipes.pipe()
        try:
            for number, cores in enumerate(self._cores):
                told = {**self._told, "artifacts": self._artifacts, "cores": list(cores), "texts": str(path)}
                told |= {"requests": self._requests, "replies": self._answer, "gate": self._gate and number == 0}
                keep = (self._requests, self._answer)
                self._workers.append(_Process(f"worker {number}", "neuron.loadtest.worker", told, keep))
            until = time.monotonic() + READY_S
            self.ready = [worker.line(until) for worker in self._workers]
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            os.close(self._ask)  # nobody can ask any more, so the workers end
            self._ask = -1
            with contextlib.suppress(LoadTestError):  # what was measured stands without it
                self.ended = [worker.line(time.monotonic() + DRAIN_S) for worker in self._workers]
        self._stop()

    def measure(
        self, scenario: str, *, seconds: float, rate: float = 0.0, queries: int = 0, p99_ms: float = 10.0, seed: int = 0
    ) -> Measurement:
        """Make one measurement.

        Args:
            scenario: server (queries arrive by chance at `rate` a second), offline (all at once), or single_stream
                (one after the other).
            seconds: how long queries arrive.
            rate: queries a second; for offline, as many as are expected to be answered.
            queries: at least so many, however long it takes.
            p99_ms: the target, which LoadGen notes.
            seed: of the times of arrival.

        Raises:
            LoadTestError: a worker died, or no answer came for too long. The harness cannot be used after that.
        """
        told = {"scenario": scenario, "seconds": seconds, "rate": rate, "queries": queries, "p99_ms": p99_ms}
        told |= {"seed": seed, "texts": self._texts.size, "requests": self._ask, "replies": self._replies}
        generator = _Process("generator", "neuron.loadtest.generator", told, (self._ask, self._replies))
        try:
            most = 2 * max(seconds, queries / rate if rate else 0) + DRAIN_S
            said = generator.line(time.monotonic() + most, beside=self._workers)
        finally:
            generator.kill()
        latency = latencies(merged([said["latency"]]))
        offered = rate if SCENARIOS[scenario].offers_rate else 0.0
        return Measurement(scenario, offered, said["throughput"], said["queries"], latency)

    def service(self) -> dict[str, Any]:
        """Return the percentiles of a batch's time in milliseconds, over all workers; after the end."""
        return latencies(merged([each["service"] for each in self.ended if each["batches"]]))

    def _stop(self) -> None:
        for worker in self._workers:
            worker.kill()
        for descriptor in {self._requests, self._ask, self._replies, self._answer} - {-1}:
            os.close(descriptor)
        self._folder.cleanup()


class _Process:
    """A child that says JSON, one object a line."""

    def __init__(self, name: str, module: str, told: dict[str, Any], keep: tuple[int, ...]) -> None:
        self.name = name
        self._log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115  it lives as long as the process
        command = [sys.executable, "-m", module, json.dumps(told)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True, pass_fds=keep)
        self._lines: list[str] = []
        self._heard = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def line(self, until: float, beside: Sequence["_Process"] = ()) -> dict[str, Any]:
        """Wait for the next line, while this process and those beside it live.

        Raises:
            LoadTestError: one of them ended, or the line did not come in time.
        """
        while True:
            with self._heard:
                if not self._lines:
                    self._heard.wait(0.05)
                if self._lines:
                    return dict(json.loads(self._lines.pop(0)))
            for process in (self, *beside):
                if process._child.poll() is not None:
                    process._listener.join()  # all that it said is here now
                    if process is not self or not self._lines:
                        raise LoadTestError(process._end())
            if time.monotonic() > until:
                raise LoadTestError(f"{self.name} did not answer in time: what it waits for hangs")

    def kill(self) -> None:
        """End it, whatever it does."""
        self._child.kill()
        self._child.wait()
        self._listener.join()
        self._log.close()

    def _listen(self) -> None:
        assert self._child.stdout
        for line in self._child.stdout:
            if not line.startswith("{"):  # libraries print, too
                continue
            with self._heard:
                self._lines.append(line)
                self._heard.notify()
        self._child.stdout.close()

    def _end(self) -> str:
        self._log.seek(0)
        said = [line.strip() for line in self._log.read().splitlines() if line.strip()][-LAST_LINES:]
        return f"{self.name} ended with exit code {self._child.returncode}" + (f": {' / '.join(said)}" if said else "")
