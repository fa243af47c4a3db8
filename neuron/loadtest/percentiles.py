"""Percentiles of latencies, how sure they are, and how many queries it takes to be sure."""

import math
from statistics import NormalDist
from typing import Any

from hdrh.histogram import HdrHistogram

LOWEST_US, HIGHEST_US, DIGITS = 1, 600_000_000, 3  # microseconds; three significant digits
CONFIDENCE = 0.99
NAMED = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def histogram() -> HdrHistogram:
    """Return an empty histogram of microseconds."""
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


def merged(encoded: list[str]) -> HdrHistogram:
    """Return one histogram of what several processes have encoded."""
    whole = histogram()
    for text in encoded:
        whole.decode_and_add(text)
    return whole


def queries_needed(share: float, confidence: float = CONFIDENCE) -> int:
    """Return how many queries a percentile takes before a test of it counts.

    The rule of MLPerf inference (Reddi et al. 2020, section IV-C): a margin of a twentieth of the tail, and enough
    independent queries that the share below the percentile is known to within the margin with this confidence;
    rounded up to a multiple of 2^13. For p99 at 99 % that is 262,742 before rounding; the rounding is left out here.

    Args:
        share: of the queries that are faster, as 0.99.
        confidence: how sure to be.
    """
    margin = (1 - share) / 20
    deviate = NormalDist().inv_cdf((1 - confidence) / 2)
    return round(deviate**2 * share * (1 - share) / margin**2)


def interval(of: HdrHistogram, percentile: float, confidence: float = CONFIDENCE) -> tuple[float, float | None]:
    """Return the interval of a percentile in milliseconds, from order statistics.

    How many of n queries lie below the true percentile is binomial, so the values at the ranks n p ± z √(n p (1 − p))
    enclose it (David and Nagaraja 2003, section 7.1). With so few queries that the upper rank is beyond the slowest
    one, there is no upper end. It takes the queries for independent; in a long queue they are not, and the true
    interval is wider.
    """
    count, share = of.get_total_count(), percentile / 100
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(count * share * (1 - share))
    low, high = math.floor(count * share - reach), math.ceil(count * share + reach) + 1
    at_low = _milliseconds(of, 100 * max(low, 1) / count)
    return at_low, _milliseconds(of, 100 * high / count) if high <= count else None


def latencies(of: HdrHistogram) -> dict[str, Any]:
    """Return the named percentiles in milliseconds, fastest and slowest, and `low` and `high` of p99."""
    found: dict[str, Any] = {name: _milliseconds(of, percentile) for name, percentile in NAMED.items()}
    found["low"], found["high"] = interval(of, NAMED["p99"])
    return {"p0": of.get_min_value() / 1000, **found, "p100": of.get_max_value() / 1000}


def _milliseconds(of: HdrHistogram, percentile: float) -> float:
    return of.get_value_at_percentile(percentile) / 1000
