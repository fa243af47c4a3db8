"""The load: MLPerf LoadGen in a process of its own, which hands queries to the workers and hears when they are done.

Started by `harness` as `python -m neuron.loadtest.generator JSON` for one measurement; says on standard output what it
measured. LoadGen (mlcommons-loadgen) draws the times at which queries arrive before it begins, and counts the time of
each from when it should have been issued: a device that stands still is seen, and not waited for.
"""

import json
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import mlperf_loadgen as loadgen
import numpy as np

from neuron.loadtest import pipes
from neuron.loadtest.percentiles import histogram
from neuron.loadtest.scenarios import SCENARIOS

AT_ONCE = 4096


class Load:
    """What LoadGen calls: queries go into one pipe, answers come out of the other."""

    def __init__(self, requests: int, replies: int) -> None:
        self._requests, self._replies = requests, replies
        self.took: list[np.ndarray] = []  # microseconds, of each answer
        self.first = self.last = 0

    def issue(self, queries: Any) -> None:
        """Hand over queries; LoadGen calls it from its own thread at the time that it drew."""
        now = time.perf_counter_ns()
        self.first = self.first or now
        records = np.zeros(len(queries), pipes.REQUEST)
        if len(queries) == 1:
            records[0] = (queries[0].id, now, queries[0].index, 0)
        else:
            records["query"] = [query.id for query in queries]
            records["text"] = [query.index for query in queries]
            records["issued"] = now
        pipes.write(self._requests, records)

    def listen(self) -> None:
        """Tell LoadGen of answers as they come, until nobody can answer any more."""
        while True:
            done = pipes.read(self._replies, pipes.ANSWER, AT_ONCE)
            if done is None or not len(done):
                return
            self.last = time.perf_counter_ns()
            self.took.append((self.last - done["issued"]) // 1000)
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(int(query), 0, 0) for query in done["query"]])


class Echo(Load):
    """Answers at once: what LoadGen and this file cost by themselves."""

    def issue(self, queries: Any) -> None:
        """Answer in the call."""
        now = time.perf_counter_ns()
        self.first = self.first or now
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, 0, 0) for query in queries])
        self.last = time.perf_counter_ns()
        self.took.append(np.full(len(queries), (self.last - now) // 1000))


def settings(told: dict[str, Any]) -> Any:
    """Return LoadGen's settings of one measurement."""
    chosen = loadgen.TestSettings()
    chosen.scenario = getattr(loadgen.TestScenario, SCENARIOS[told["scenario"]].loadgen)
    chosen.mode = loadgen.TestMode.PerformanceOnly
    chosen.min_duration_ms = int(1000 * told["seconds"])
    chosen.min_query_count = max(1, told["queries"])
    chosen.server_target_qps = chosen.offline_expected_qps = told["rate"] or 1.0
    chosen.server_target_latency_ns = int(1e6 * told["p99_ms"])
    chosen.server_target_latency_percentile = 0.99
    chosen.server_coalesce_queries = True
    chosen.single_stream_expected_latency_ns = 1_000_000
    for name in ("qsl", "sample_index", "schedule"):
        setattr(chosen, f"{name}_rng_seed", told["seed"] + 1)
    return chosen


def run(told: dict[str, Any], load: Load) -> dict[str, Any]:
    """Make one measurement; see `harness.Measurement` for what it answers."""
    listener = threading.Thread(target=load.listen, daemon=True)
    if not isinstance(load, Echo):
        listener.start()
    with tempfile.TemporaryDirectory() as folder:
        output, logs = loadgen.LogOutputSettings(), loadgen.LogSettings()
        output.outdir, logs.log_output, logs.enable_trace = folder, output, False
        system = loadgen.ConstructSUT(load.issue, lambda: None)
        library = loadgen.ConstructQSL(told["texts"], told["texts"], lambda _: None, lambda _: None)
        loadgen.StartTestWithLogSettings(system, library, settings(told), logs)
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
        summary = (Path(folder) / "mlperf_log_summary.txt").read_text()
    latency = histogram()
    values, counts = np.unique(np.maximum(np.concatenate(load.took), 1), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        latency.record_value(value, count)
    seconds = max((load.last - load.first) / 1e9, told["seconds"] if SCENARIOS[told["scenario"]].offers_rate else 0)
    queries = latency.get_total_count()
    return {
        "queries": queries,
        "seconds": seconds,
        "throughput": queries / seconds,
        "latency": latency.encode().decode(),
        "scheduled_ms": _scheduled(summary),
    }


def _scheduled(summary: str) -> dict[str, float]:
    """LoadGen's own percentiles in milliseconds, counted from when a query should have been issued."""
    names = {"50.00": "p50", "90.00": "p90", "95.00": "p95", "99.00": "p99", "99.90": "p999"}
    found = re.findall(r"([\d.]+) percentile latency \(ns\)\s*:\s*(\d+)", summary)
    return {names[percent]: int(value) / 1e6 for percent, value in found if percent in names}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    kind = Echo if asked.get("echo") else Load
    said = run(asked, kind(asked["requests"], asked["replies"]))
    print(json.dumps(said), flush=True)
    os._exit(0)  # the thread that listens waits for answers that nobody owes
