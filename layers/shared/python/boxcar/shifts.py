"""How far two distributions of counts are apart, and whether chance alone would part them as far."""

import math
from collections.abc import Mapping

# What an empty label counts as, in rows, so that the logarithm exists.
_EMPTY = 0.5
# Below it, what is seen is called more than chance.
SIGNIFICANT = 0.05


def population_stability_index(expected: Mapping[str, int], actual: Mapping[str, int]) -> float | None:
    """How far one distribution of counts is from another: Σ (a - e) · ln(a / e) over shares (Siddiqi 2006).

    0 is no shift; by the book's rule of thumb 0.1 is worth a look and 0.25 is a shift. A label that only one side has
    counts half a row on the other side (the shares are taken after that), so that the index stays finite and a label
    seen once weighs little. Counts without an empty label are not touched: the figure is the textbook's.

    Returns:
        None when either side has no rows.
    """
    if sum(expected.values()) <= 0 or sum(actual.values()) <= 0:
        return None
    labels = sorted({label for side in (expected, actual) for label, count in side.items() if count > 0})
    before = [max(expected.get(label, 0), _EMPTY) for label in labels]
    after = [max(actual.get(label, 0), _EMPTY) for label in labels]
    before_sum, after_sum = sum(before), sum(after)
    return math.fsum(
        (a / after_sum - e / before_sum) * math.log((a / after_sum) / (e / before_sum))
        for e, a in zip(before, after, strict=True)
    )


def chi_square_p(one: Mapping[str, int], other: Mapping[str, int]) -> float | None:
    """How likely two samples of the same population are at least so far apart: Pearson's test of homogeneity.

    The index above knows no sample size: of two samples of 30 rows it is often beyond any limit by chance (its
    expectation under no shift is about (k - 1)(1/n + 1/m); Yurdakul 2018). This is the test that knows. Both samples
    share rows from week to week, which makes the true chance smaller than the answer.

    Returns:
        None when either side has no rows.
    """
    totals = sum(one.values()), sum(other.values())
    if min(totals) <= 0:
        return None
    labels = [label for label in {*one, *other} if one.get(label, 0) + other.get(label, 0) > 0]
    if len(labels) < 2:
        return 1.0
    share = totals[0] / (totals[0] + totals[1])
    statistic = math.fsum(
        (count - expected) ** 2 / expected
        for label in labels
        for whole in (one.get(label, 0) + other.get(label, 0),)
        for count, expected in ((one.get(label, 0), whole * share), (other.get(label, 0), whole * (1 - share)))
    )
    return chi_square_tail(statistic, len(labels) - 1)


def chi_square_tail(statistic: float, degrees: int) -> float:
    """P(X ≥ statistic) for X of the chi-square distribution, exact for every number of degrees of freedom.

    By the recurrence Q(a + 1, x) = Q(a, x) + x^a e^-x / Γ(a + 1) of the incomplete gamma function (Abramowitz and
    Stegun 6.5.21), from Q(1/2, x) = erfc(√x) or Q(1, x) = e^-x.
    """
    if statistic <= 0:
        return 1.0
    x = statistic / 2
    a, tail = (0.5, math.erfc(math.sqrt(x))) if degrees % 2 else (1.0, math.exp(-x))
    while a < degrees / 2:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(tail, 1.0)
