"""Statistics of the samples of one period.

Source: CloudWatch user guide, "CloudWatch statistics definitions"; PutMetricData says when there are percentiles.
"""

import re
from collections.abc import Callable, Sequence

from local.cloudwatch.metrics import Sample

PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)$")
SIMPLE: dict[str, Callable[[Sequence[Sample]], float]] = {
    "SampleCount": lambda samples: sum(sample.count for sample in samples),
    "Sum": lambda samples: sum(sample.total for sample in samples),
    "Average": lambda samples: sum(sample.total for sample in samples) / sum(sample.count for sample in samples),
    "Minimum": lambda samples: min(sample.low for sample in samples),
    "Maximum": lambda samples: max(sample.high for sample in samples),
}


def is_known(name: str) -> bool:
    """Whether there is a statistic of that name here: the five simple ones and percentiles."""
    return name in SIMPLE or bool(PERCENTILE.match(name))


def statistic(samples: Sequence[Sample], name: str) -> float | None:
    """A statistic of samples; None where there is none: no samples, or a percentile of summaries or negative values."""
    samples = [sample for sample in samples if sample.count > 0]
    if not samples:
        return None
    if name in SIMPLE:
        return float(SIMPLE[name](samples))
    match = PERCENTILE.match(name)
    if match is None:
        raise ValueError(f"statistic {name!r} is none of {', '.join(SIMPLE)}, pNN")
    if any(sample.low < 0 or sample.low != sample.high for sample in samples):
        return None
    return _percentile(sorted((sample.low, sample.count) for sample in samples), float(match[1]) / 100)


def _percentile(weighted: list[tuple[float, float]], share: float) -> float:
    """Between the two values nearest to the rank, in proportion. AWS does not say how its own interpolate."""
    rank = share * (sum(count for _, count in weighted) - 1)
    lower, upper = _at(weighted, int(rank)), _at(weighted, int(rank) + 1)
    return lower + (upper - lower) * (rank - int(rank))


def _at(weighted: list[tuple[float, float]], place: int) -> float:
    seen = 0.0
    for value, count in weighted:
        seen += count
        if place < seen:
            return value
    return weighted[-1][0]
