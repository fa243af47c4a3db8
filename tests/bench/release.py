"""Trigger to serving endpoint, the whole path; and requests that fail while a version that errors is rolled back."""

import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.client import wait_for
from tests.bench.counts import count_of, transitions
from tests.e2e.deployed import Deployed, deployed_in
from tests.e2e.served import Served, served_by

RATE = 100.0  # requests a second
CANARY = {"percent": 10, "wait_s": 90}  # CloudWatch's alarms look at whole minutes


def main() -> dict[str, Any]:
    """Train, judge, approve and release one model; then roll a version back under a stream of requests."""
    with tempfile.TemporaryDirectory() as folder, deployed_in(Path(folder)) as stack:
        stack.load(13)
        stack.pause_sweep()
        figures = _whole_path(stack)
        figures |= _rolled_back(stack)
    for name, value in figures.items():
        print(f"{name:<28}{value:>12}")
    return figures


def _whole_path(stack: Deployed) -> dict[str, Any]:
    family = stack.small_family("mailer", models__mailer__serving={})
    served = Served(stack, family)
    stack.cloud.forget_calls()
    began = time.monotonic()
    trained = stack.run({"family": family}, timeout_s=300)
    record = wait_for(lambda: (found := served.record()).live and not found.holder and found, 120, why="not released")
    seconds = time.monotonic() - began
    assert record.live and trained.status == "SUCCEEDED", trained
    stack.settle()
    counts = count_of(stack, trained.name)
    calls = sum(number for key, number in counts.items() if key.startswith("call"))
    states = counts["transitions"] + transitions(stack, record.live.run)
    return {"seconds": round(seconds, 1), "states": states, "calls": calls}


def _rolled_back(stack: Deployed) -> dict[str, Any]:
    """A version that answers each request with an error takes over from one that does not, two instances each."""
    served = served_by(stack, min=2, canary=CANARY)
    served.version("1.0.0")
    served.release()
    stream = Stream(served)
    began = time.monotonic()
    run = stack.wait(served.start(served.version("1.0.1", OUTCOME="AlgorithmError")), timeout_s=400)
    seconds = time.monotonic() - began
    answers = stream.stop()
    if run.error != "RolledBack":
        raise RuntimeError(f"the version that errors was not rolled back: {run}")
    return {
        "failed_during_rollback": answers["failed"],
        "requests_during_rollback": answers.total(),
        "requests_per_second": round(answers.total() / seconds, 1),
        "rollback_seconds": round(seconds, 1),
    }


class Stream:
    """Requests at a steady rate, whatever becomes of those before."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._answers: Counter[str] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def stop(self) -> Counter[str]:
        """End it; how many requests were answered, and how many failed."""
        self._over.set()
        self._thread.join()
        return self._answers

    def _send(self) -> None:
        with ThreadPoolExecutor(16) as pool:
            due = time.monotonic()
            while not self._over.is_set():
                pool.submit(self._ask)
                due += 1 / RATE
                self._over.wait(max(0.0, due - time.monotonic()))

    def _ask(self) -> None:
        try:
            self._served.answer()
        except Exception:
            self._answers["failed"] += 1
        else:
            self._answers["answered"] += 1
