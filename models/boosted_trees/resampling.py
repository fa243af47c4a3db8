"""What chance does to figures: intervals of differences, and how large a gap is that means nothing.

Everything is computed for many weightings of the same rows at once: a resample of the bootstrap counts how often it
drew each row, a slice of the rows weighs its own with 1 and all others with 0. The order of the scores is found once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
from metrics import BETTER, row_log_loss

LEVEL = 0.95  # of intervals; and chance alone stays below the noise so often
RESAMPLES = 1000
SHUFFLES = 200
_CELLS = 100_000  # of a matrix of weights: what a processor's cache holds is several times as fast


class Weighted:
    """The figures of one model on the same rows, for many weightings of them."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        """Take labels (0, 1) and scores, shape (rows,)."""
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # tied scores are one threshold
        self._labels = labels[self._order]
        self._losses = row_log_loss(labels, scores)

    def figures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Every metric for each row of weights, shape (weightings, rows); NaN where only one class has weight."""
        by_score = weights[:, self._order]
        hits, rows = by_score * self._labels, by_score
        if len(self._starts) < len(self._labels):
            hits, rows = (np.add.reduceat(cells, self._starts, axis=1) for cells in (hits, rows))
        caught, seen = np.cumsum(hits, axis=1), np.cumsum(rows, axis=1)
        ones = caught[:, -1]
        zeros = seen[:, -1] - ones
        with np.errstate(divide="ignore", invalid="ignore"):
            area = np.einsum("ij,ij->i", caught - hits / 2, rows - hits) / (ones * zeros)
            average_precision = np.einsum("ij,ij->i", caught / np.maximum(seen, 1e-9), hits) / ones
            loss = weights @ self._losses / weights.sum(axis=1)
        return {"roc_auc": area, "average_precision": average_precision, "log_loss": loss}


@dataclass(frozen=True)
class Difference:
    """A difference of two models on the same rows; above 0 the first is worse, whichever way the metric runs."""

    drop: float
    low: float  # of the 95 % interval
    high: float

    def rounded(self) -> dict[str, float]:
        """Six decimals, as a document holds it."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def paired_drops(
    labels: np.ndarray, scores: np.ndarray, before: np.ndarray, seed: int = 1, resamples: int = RESAMPLES
) -> dict[str, Difference]:
    """How much worse one model is than another on the same rows, each metric with the interval of its difference.

    Paired bootstrap, percentile interval (Efron and Tibshirani 1993, chapters 13 and 8.3): each resample draws rows,
    and both models are measured on the rows it drew, so that what makes a row hard for both cancels out.
    """
    now, then = Weighted(labels, scores), Weighted(labels, before)
    everything = np.ones((1, len(labels)))
    measured = _worse(now.figures(everything), then.figures(everything))
    drawn: dict[str, list[np.ndarray]] = {metric: [] for metric in BETTER}
    for weights in _draws(np.random.default_rng(seed), len(labels), resamples):
        for metric, values in _worse(now.figures(weights), then.figures(weights)).items():
            drawn[metric].append(values)
    return {
        metric: Difference(float(measured[metric][0]), *_interval(np.concatenate(parts)))
        for metric, parts in drawn.items()
    }


def slowdown(seconds: np.ndarray, before: np.ndarray, seed: int = 1, resamples: int = RESAMPLES) -> dict[str, float]:
    """How many times as long one model takes as another: the median of the rounds, with its interval.

    Percentile bootstrap of the median of paired ratios: each resample draws rounds, of which both models have their
    time. Where the machine was busy the ratios differ from round to round, and the interval says by how much.

    Args:
        seconds: of each round of the one, shape (rounds,).
        before: of the same rounds of the other, shape (rounds,).
        seed: of the draws.
        resamples: how many.
    """
    ratios = seconds / before
    drawn = np.random.default_rng(seed).integers(0, len(ratios), (resamples, len(ratios)))
    low, high = _interval(np.median(ratios[drawn], axis=1))
    return {"times": round(float(np.median(ratios)), 6), "low": round(low, 6), "high": round(high, 6)}


def slice_gaps(
    labels: np.ndarray, scores: np.ndarray, called: np.ndarray, places: np.ndarray, names: list[str], seed: int = 1
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    """How different a model is for the slices of its rows.

    Args:
        labels: 0 or 1, shape (rows,).
        scores: of the model, shape (rows,).
        called: whether the score is at or above the threshold, shape (rows,).
        places: for each row the place of its slice in `names`.
        names: the slices.
        seed: of the draws.

    Returns:
        each figure by slice, shape (slices,), and for each figure that two slices have: the largest gap beyond its
        noise, or the largest at all if none is, between which two, the bootstrap interval of the gap between these
        two, and its `noise`. In 95 of 100 random divisions of the same rows into slices of the same sizes no gap is
        beyond its own noise. The largest of many gaps is never 0 by chance; the noise knows that, the interval does
        not.
    """
    weighted, random = Weighted(labels, scores), np.random.default_rng(seed)

    def by_slice(members: np.ndarray) -> dict[str, np.ndarray]:
        weights = (members[None, :] == np.arange(len(names))[:, None]).astype(float)
        return {**weighted.figures(weights), "positive_rate": weights @ called / weights.sum(axis=1)}

    measured = by_slice(places)
    shuffled: dict[str, list[np.ndarray]] = {figure: [] for figure in measured}
    for _ in range(SHUFFLES if len(names) > 1 else 0):
        for figure, values in by_slice(random.permutation(places)).items():
            shuffled[figure].append(values)
    gaps, drawn = {}, _drawn_once(labels, scores, called, places, random)
    for figure, values in measured.items():
        known = np.flatnonzero(np.isfinite(values))
        if len(known) < 2:
            continue
        apart = values[known] - values[known][:, None]
        noise = _noise(np.array(shuffled[figure])[:, known])
        beyond = np.where(apart > noise, apart, 0)
        pair = np.unravel_index(np.argmax(beyond if beyond.any() else apart), apart.shape)
        lowest, highest = known[list(pair)]
        low, high = _interval(drawn(highest)[figure] - drawn(lowest)[figure])
        gaps[figure] = {
            "gap": round(float(values[highest] - values[lowest]), 6),
            "low": round(low, 6),
            "high": round(high, 6),
            "noise": round(float(noise[pair]), 6),
            "lowest": names[lowest],
            "highest": names[highest],
        }
    return measured, gaps


def _noise(shuffled: np.ndarray) -> np.ndarray:
    """What chance makes of the gap between any two slices, shape (slices, slices).

    The permutation maximum of studentized gaps (Westfall and Young 1993, single-step maxT): each is measured in its own
    standard error, so that a small slice, which differs most by chance, does not hide a gap between large ones.

    Args:
        shuffled: figures of random divisions, shape (divisions, slices); NaN, where one class is missing, is no gap.
    """
    apart = np.nan_to_num(np.abs(shuffled[:, :, None] - shuffled[:, None, :]))
    errors = np.sqrt(np.mean(apart**2, axis=0))
    studentized = np.divide(apart, errors, out=np.zeros_like(apart), where=errors > 0)
    return errors * np.quantile(studentized.max(axis=(1, 2)), LEVEL)


def _drawn_once(
    labels: np.ndarray, scores: np.ndarray, called: np.ndarray, places: np.ndarray, random: np.random.Generator
) -> Callable[[int], dict[str, np.ndarray]]:
    """Every figure of the resamples of one slice, drawn when it is first asked for; shape (resamples,)."""

    @cache
    def of(place: int) -> dict[str, np.ndarray]:
        members = places == place
        weighted, calls = Weighted(labels[members], scores[members]), called[members]
        parts: list[dict[str, np.ndarray]] = []
        for weights in _draws(random, int(members.sum()), RESAMPLES):
            parts.append({**weighted.figures(weights), "positive_rate": weights @ calls / len(calls)})
        return {figure: np.concatenate([part[figure] for part in parts]) for figure in parts[0]}

    return of


def _draws(random: np.random.Generator, rows: int, resamples: int) -> Iterator[np.ndarray]:
    """How often each resample drew each row, shape (some resamples, rows) at a time."""
    at_once = max(1, _CELLS // rows)
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        cells = random.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(cells.ravel(), minlength=count * rows).reshape(count, rows).astype(float)


def _worse(now: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        metric: before[metric] - now[metric] if way == "higher" else now[metric] - before[metric]
        for metric, way in BETTER.items()
    }


def _interval(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]  # a resample of few rows may have drawn one class only
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
