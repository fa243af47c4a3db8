"""The load: MLPerf LoadGen in a process of its own, which hands queries to the workers and hears when they are done.

Started by `harness` as `python -m neuron.loadtest.generator JSON` for one measurement; says on standard output what it
measured. LoadGen (mlcommons-loadgen) draws the times at which queries arrive before it begins, and the time of each is
counted from when it should have been issued: a device that stands still is seen, and not waited for.

LoadGen keeps the single latencies to itself, so the times of arrival are drawn here once more, as it draws them.
"""

import json
import math
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
OFF, OFF_NS = 0.1, 5_000_000  # from LoadGen's own P90


class Load:
    """What LoadGen calls: queries go into one pipe, answers come out of the other.

    Args:
        requests: pipe of queries.
        replies: pipe of answers.
        arrivals: when each query arrives, in nanoseconds from the first; empty where each comes when it is issued.
    """

    def __init__(self, requests: int, replies: int, arrivals: np.ndarray | None = None) -> None:
        self._requests, self._replies = requests, replies
        self._arrivals = np.empty(0, np.int64) if arrivals is None else arrivals
        self._issued = 0
        self.took: list[np.ndarray] = []  # nanoseconds, of each answer; with arrivals, from the first query's issue on
        self.first = self.last = 0

    def issue(self, queries: Any) -> None:
        """Hand over queries; LoadGen calls it from its own thread at the time that it drew, or later."""
        came = self._came(len(queries))
        records = np.zeros(len(queries), pipes.REQUEST)
        if len(queries) == 1:
            records[0] = (queries[0].id, came[0], queries[0].index, 0)
        else:
            records["query"] = [query.id for query in queries]
            records["text"] = [query.index for query in queries]
            records["came"] = came
        pipes.write(self._requests, records)

    def listen(self) -> None:
        """Tell LoadGen of answers as they come, until nobody can answer any more."""
        while True:
            done = pipes.read(self._replies, pipes.ANSWER, AT_ONCE)
            if done is None or not len(done):
                return
            self._answered([int(query) for query in done["query"]], done["came"].astype(np.int64))

    def _came(self, count: int) -> np.ndarray:
        """When the next queries should have come."""
        now = time.perf_counter_ns()
        self.first = self.first or now
        self._issued += count
        if not len(self._arrivals):
            return np.full(count, now)
        return self.first + self._arrivals[self._issued - count : self._issued]

    def _answered(self, queries: list[int], came: np.ndarray) -> None:
        responses = [loadgen.QuerySampleResponse(query, 0, 0) for query in queries]
        self.last = time.perf_counter_ns()
        self.took.append(self.last - came)
        loadgen.QuerySamplesComplete(responses)


class Echo(Load):
    """Answers at once: what LoadGen and this file cost by themselves."""

    def issue(self, queries: Any) -> None:
        """Answer in the call."""
        self._answered([query.id for query in queries], self._came(len(queries)))


def arrivals(told: dict[str, Any]) -> np.ndarray:
    """Return when LoadGen lets queries arrive, in nanoseconds from the first.

    As its GenerateQueries does: steps of std::exponential_distribution on std::mt19937, whole nanoseconds. libstdc++
    makes a uniform number of two draws, the lower half first, and takes -log(1 - it) / rate.
    """
    expected = max(told["queries"], told["rate"] * told["seconds"])
    count = int(expected + 10 * math.sqrt(expected) + 1000)  # LoadGen stops when both are over
    draws = np.random.RandomState(told["seed"] + 1).randint(0, 2**32, 2 * count, np.uint32).astype(np.float64)
    uniform = (draws[0::2] + draws[1::2] * 2.0**32) / 2.0**64
    return np.r_[0, np.cumsum((-np.log1p(-uniform) / told["rate"] * 1e9).astype(np.int64))]


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
    took, way = np.concatenate(load.took), SCENARIOS[told["scenario"]]
    if way.offers_rate:
        took = _from_arrival(took, summary)
    latency = histogram()
    values, counts = np.unique(np.maximum(took // 1000, 1), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        latency.record_value(value, count)
    seconds = max((load.last - load.first) / 1e9, told["seconds"] if way.offers_rate else 0)
    queries = latency.get_total_count()
    return {
        "queries": queries,
        "seconds": seconds,
        "throughput": queries / seconds,
        "latency": latency.encode().decode(),
    }


def _from_arrival(took: np.ndarray, summary: str) -> np.ndarray:
    """Count latencies from when LoadGen began, which it does not tell: so that their median is what it says it is.

    A machine that stalls between our look at the clock and LoadGen's moves a batch of answers in one of the two alone:
    the median and P90 hardly see it, the mean and P99 do.

    Raises:
        RuntimeError: the P90 is another than LoadGen's, so it draws its arrivals in another way.
    """
    said = {
        float(percent): int(value)
        for percent, value in re.findall(r"([\d.]+) percentile latency \(ns\)\s*:\s*(\d+)", summary)
    }

    def at(percent: int) -> int:  # the one that LoadGen takes
        return int(np.sort(took)[percent * len(took) // 100])

    took = took + (said[50] - at(50))
    if abs(at(90) - said[90]) > OFF * at(90) + OFF_NS:
        words = f"{at(90) / 1e6:.3f} ms at P90, and LoadGen counts {said[90] / 1e6:.3f}"
        raise RuntimeError(f"{words}: this version of LoadGen draws arrivals in another way than `arrivals`")
    return took


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    kind = Echo if asked.get("echo") else Load
    drawn = arrivals(asked) if SCENARIOS[asked["scenario"]].offers_rate else None
    said = run(asked, kind(asked["requests"], asked["replies"], drawn))
    print(json.dumps(said), flush=True)
    os._exit(0)  # the thread that listens waits for answers that nobody owes
