"""Do scores mean what they say: of the rows scored 0.3, are three in ten a yes?"""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 10
_SIMULATIONS = 200
_LEVEL = 0.95


def calibration(labels: np.ndarray, scores: np.ndarray, seed: int = 1) -> dict[str, Any]:
    """Expected calibration error over bins of equal mass, what chance makes of it, and the bins.

    The error is the mean over rows of |mean score - share of ones| of a row's bin. Bins hold equally many rows, which
    biases the error less than bins of equal width (Nixon et al. 2019, "Measuring calibration in deep learning";
    Roelofs et al. 2022). Even perfect scores have an error above 0 on so many rows: `noise` is what it stays below in
    95 of 100 cases when the labels are drawn from the scores themselves (consistency resampling, Bröcker and Smith
    2007).
    """
    edges = np.unique(np.quantile(scores, np.arange(1, BINS) / BINS))
    places = np.searchsorted(edges, scores, side="right")  # equal scores are never parted
    rows = np.bincount(places, minlength=len(edges) + 1)
    expected = np.bincount(places, weights=scores, minlength=len(rows))

    def error(outcome: np.ndarray) -> float:
        return float(np.abs(np.bincount(places, weights=outcome, minlength=len(rows)) - expected).sum() / len(scores))

    random = np.random.default_rng(seed)
    chance = [error((random.random(len(scores)) < scores).astype(float)) for _ in range(_SIMULATIONS)]
    ones = np.bincount(places, weights=labels, minlength=len(rows))
    return {
        "error": round(error(labels), 6),
        "noise": round(float(np.quantile(chance, _LEVEL)), 6),
        "bins": [
            {"rows": int(count), "score": round(float(score / count), 6), "ones": round(float(one / count), 6)}
            for count, score, one in zip(rows, expected, ones, strict=True)
            if count
        ],
    }
