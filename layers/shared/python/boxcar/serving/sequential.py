"""A test of two variants that may be looked at as often as one likes.

Looking at an ordinary test again and again until it is significant finds a difference where there is none. The mixture
sequential probability ratio test does not: its p-value is valid whenever one stops (Johari, Pekelis and Walsh, "Always
Valid Inference: Bringing Sequential Analysis to A/B Testing", 2015, equation 7, with the variance of the difference of
two means in the place of 2 σ² / n).
"""

import math
from dataclasses import dataclass

# What an effect is expected to be like, in standard deviations of one outcome: the mixture's own.
EFFECT = 0.1


@dataclass
class Outcomes:
    """What one variant brought: how many, their mean, and their variance.

    `squares` is the sum of squares of differences from the mean (Welford).
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, outcome: float) -> None:
        """One more."""
        self.count += 1
        step = outcome - self.mean
        self.mean += step / self.count
        self.squares += step * (outcome - self.mean)

    @classmethod
    def of_shares(cls, ones: int, count: int) -> "Outcomes":
        """So many ones of so many outcomes that are 0 or 1."""
        mean = ones / count if count else 0.0
        return cls(count, mean, count * mean * (1 - mean))


@dataclass(frozen=True)
class Difference:
    """How much more the second brought than the first.

    Attributes:
        difference: of the means, in the outcome's own unit.
        low, high: interval that holds the true difference with a probability of 1 - alpha, whenever one looks.
        p: how likely so large a difference is without a true one, at any look so far or to come.
    """

    difference: float
    low: float
    high: float
    p: float


def compare(first: Outcomes, second: Outcomes, alpha: float) -> Difference | None:
    """Compare what two variants brought.

    Returns:
        None as long as nothing can be said: fewer than two outcomes of one, or all of them the same.
    """
    if min(first.count, second.count) < 2:
        return None
    pooled = (first.squares + second.squares) / (first.count + second.count - 2)
    if pooled <= 0:
        return None
    # Of rare outcomes the smaller variant may have had none yet, and its own variance, next to nothing, would find that
    # remarkable. So each has at least the variance of both together.
    variance = sum(max(each.squares / (each.count - 1), pooled) / each.count for each in (first, second))
    difference, mixture = second.mean - first.mean, EFFECT**2 * pooled
    both = variance + mixture
    exponent = mixture * difference**2 / (2 * variance * both)
    p = min(1.0, math.sqrt(both / variance) * math.exp(-min(exponent, 700.0)))
    # The differences that the same test would not refuse.
    half = math.sqrt(variance * both / mixture * (math.log(both / variance) - 2 * math.log(alpha)))
    return Difference(difference, difference - half, difference + half, p)


def share_interval(ones: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if count == 0:
        return 0.0, 1.0
    share, over = ones / count, z**2 / count
    middle, half = share + over / 2, z * math.sqrt(share * (1 - share) / count + over / (4 * count))
    return max(0.0, (middle - half) / (1 + over)), min(1.0, (middle + half) / (1 + over))
