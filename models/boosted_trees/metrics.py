"""Figures about scores: NumPy alone, since scikit-learn takes longer to load than all of an evaluation."""

from __future__ import annotations

import numpy as np

# Which way is better.
BETTER = {"roc_auc": "higher", "average_precision": "higher", "log_loss": "lower"}


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a random 1 scores above a random 0, ties counting half (Hanley and McNeil 1982)."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[places]  # tied scores share the mean of their ranks
    ones = labels.sum()
    zeros = len(labels) - ones
    return float((ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Precision at each threshold, weighed by the recall it adds; tied scores are one threshold."""
    thresholds, places = np.unique(scores, return_inverse=True)
    hits = np.bincount(places, weights=labels, minlength=len(thresholds))[::-1]
    rows = np.bincount(places, minlength=len(thresholds))[::-1]
    precision = np.cumsum(hits) / np.cumsum(rows)
    return float((precision * hits).sum() / labels.sum())


def row_log_loss(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Negative log likelihood of each row, in nats. Scores are kept off 0 and 1 by the resolution of 32-bit floats."""
    tiny = np.finfo(np.float32).eps
    chance = np.clip(scores, tiny, 1 - tiny)
    return -(labels * np.log(chance) + (1 - labels) * np.log(1 - chance))


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean negative log likelihood, in nats."""
    return float(np.mean(row_log_loss(labels, scores)))


def all_scores(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Every metric, to six decimals."""
    measured = {
        "roc_auc": roc_auc(labels, scores),
        "average_precision": average_precision(labels, scores),
        "log_loss": log_loss(labels, scores),
    }
    return {name: round(value, 6) for name, value in measured.items()}


def confusion(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, int]:
    """Rows by what they are and what they are called: a score at or above the threshold is called 1."""
    called, true = scores >= threshold, labels == 1
    return {
        "tp": int((called & true).sum()),
        "fp": int((called & ~true).sum()),
        "fn": int((~called & true).sum()),
        "tn": int((~called & ~true).sum()),
    }
