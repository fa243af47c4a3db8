"""The highest rate that meets the target."""

from collections.abc import Callable
from typing import NamedTuple

from neuron.loadtest.harness import Measurement
from neuron.loadtest.scenarios import SCENARIOS

FIRST = 0.4  # of what the device could do if it never waited
CLOSE = 1.1  # the rate that fails is at most so many times the rate that meets
MOST = SCENARIOS["server"].measurements
HALVINGS = 6  # of a first rate that fails, before nothing meets


class Found(NamedTuple):
    """The best measurement that met the target, if any did, and all that were made."""

    best: Measurement | None
    points: list[Measurement]


def meets(found: Measurement, p99_ms: float) -> bool:
    """Whether a measurement is within the target; a queue that grows is not for long, since its wait counts."""
    return bool(found.latency["p99"] <= p99_ms)


def highest(measure: Callable[[float], Measurement], p99_ms: float, capacity: float) -> Found:
    """Look for the highest rate whose p99 is at most `p99_ms`: doubling until one fails, then bisection.

    Args:
        measure: makes one measurement at a rate.
        p99_ms: the target.
        capacity: queries a second that the device answers when it never waits; where the search begins.
    """
    points: list[Measurement] = []
    best: Measurement | None = None
    rate, fails = FIRST * capacity, float("inf")
    while len(points) < MOST:
        found = measure(rate)
        points.append(found)
        if meets(found, p99_ms):
            best = found
        else:
            fails = rate
        if best is None:
            if len(points) > HALVINGS:
                break
            rate = fails / 2
        elif fails == float("inf"):
            rate = 2 * best.rate
        elif fails / best.rate <= CLOSE:
            break
        else:
            rate = (best.rate * fails) ** 0.5  # in the middle of their ratio
    return Found(best, points)
