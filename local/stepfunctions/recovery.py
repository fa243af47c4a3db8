"""Retry and Catch: what happens after a state failed."""

from __future__ import annotations

import random

from local.stepfunctions.definition import Catcher, Retrier
from local.stepfunctions.errors import StateFailure

LONGEST = 99_999_999  # seconds; no backoff is longer


class Retries:
    """The attempts left to one visit of a state; each retrier counts its own, across all errors it matches."""

    def __init__(self, retriers: tuple[Retrier, ...]) -> None:
        self._retriers = retriers
        self._used = [0] * len(retriers)
        self.count = 0

    def delay(self, failure: StateFailure) -> float | None:
        """Seconds until the next attempt, or None where there is none to come."""
        for index, retrier in enumerate(self._retriers):
            if not failure.matches(retrier.errors):
                continue
            used = self._used[index]
            if used >= retrier.attempts:
                return None
            self._used[index] += 1
            self.count += 1
            seconds = backoff(retrier, used)
            return random.uniform(0, seconds) if retrier.jitter else seconds  # noqa: S311
        return None


def backoff(retrier: Retrier, used: int) -> float:
    """Seconds before attempt `used` + 1, jitter apart."""
    try:
        seconds = retrier.interval * retrier.backoff**used
    except OverflowError:
        seconds = LONGEST
    return min(seconds, retrier.max_delay or LONGEST, LONGEST)


def catcher_for(catchers: tuple[Catcher, ...], failure: StateFailure) -> Catcher | None:
    """The first catcher that catches the failure."""
    return next((catcher for catcher in catchers if failure.matches(catcher.errors)), None)
