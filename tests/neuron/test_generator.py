"""The generator without a device: latencies count from when LoadGen drew a query, however late it was issued."""

import time
from typing import Any

import numpy as np
import pytest

from neuron.loadtest import generator
from neuron.loadtest.percentiles import latencies, merged

TOLD = {"scenario": "server", "seconds": 0.8, "rate": 2000.0, "queries": 0, "p99_ms": 10, "seed": 3, "texts": 8}
LATE_S = 0.05


class Late(generator.Echo):
    """Stands still in each call of LoadGen's, as a generator does whose pipe is full."""

    def issue(self, queries: Any) -> None:
        time.sleep(LATE_S)
        super().issue(queries)


def measured(told: dict[str, Any], kind: type[generator.Echo]) -> dict[str, Any]:
    said = generator.run(told, kind(0, 0, generator.arrivals(told)))
    return latencies(merged([said["latency"]]))


def test_all_figures_are_of_the_same_latencies_counted_from_the_arrival() -> None:
    found = measured(TOLD, Late)
    named = [found[name] for name in ("p0", "p50", "low", "p99", "high", "p100")]
    assert named == sorted(named)
    assert found["p0"] >= 1000 * LATE_S - 1, "no query is answered before the generator moves again"
    assert found["p50"] > 1200 * LATE_S, "those that came meanwhile waited twice, in part"


def test_arrivals_that_are_not_loadgens_are_no_measurement() -> None:
    told = {**TOLD, "rate": 300.0}
    with pytest.raises(RuntimeError, match="draws arrivals in another way"):
        generator.run(told, Late(0, 0, np.arange(0, 10**12, 10**9)))
