"""How far the rows and scores of a run are from those that its models were trained on."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from boxcar.evaluations import Distribution, Evaluation
from boxcar.families import Drift
from boxcar.shifts import population_stability_index


@dataclass(frozen=True)
class Drifted:
    """One feature, or the scores, of one model."""

    model: str
    feature: str  # "" for the scores
    index: float | None  # population stability index; None: one side has no rows
    limit: float
    before: dict[str, int]  # training rows by bin
    now: dict[str, int]
    labels: list[str]  # what the bins are, in order

    @property
    def beyond(self) -> bool:
        """Whether somebody should be told."""
        return self.index is not None and self.index > self.limit

    @property
    def sentence(self) -> str:
        """What a mail says."""
        what = f"feature {self.feature}" if self.feature else "scores"
        return f"{self.model}: {what} drifted by {self.index:.3f}, more than {self.limit:g}"


def drifts(
    model: str, evaluation: Evaluation, features: dict[str, Any], bins: list[dict[str, int]], limits: Drift
) -> list[Drifted]:
    """Every feature that was counted at both times, and the scores; largest first.

    Args:
        model: its name.
        evaluation: of the version that predicts; its bins are what is counted by.
        features: feature -> `{"counts", "missing"}` of this run.
        bins: of the scores, as the load counted them.
        limits: of the family.
    """
    found = []
    for name, before in evaluation.features.items():
        if name in features:
            now = before.model_copy(update=features[name])
            found.append(_drifted(model, name, before, now, limits.max_feature_drift, limits.min_rows))
    if evaluation.score_bins:
        counts = [0] * len(evaluation.score_bins.counts)
        for line in bins:
            counts[int(line["bin"])] = int(line["row_count"])
        now = evaluation.score_bins.model_copy(update={"counts": counts})
        found.append(_drifted(model, "", evaluation.score_bins, now, limits.max_score_drift, limits.min_rows))
    return sorted(found, key=lambda one: -(one.index or 0.0))


def _drifted(model: str, feature: str, before: Distribution, now: Distribution, limit: float, min_rows: int) -> Drifted:
    expected, actual = before.by_bin(), now.by_bin()
    enough = sum(actual.values()) >= min_rows
    index = population_stability_index(expected, actual) if enough else None
    return Drifted(model, feature, index, limit, expected, actual, [*_labels(before), "missing"])


def _labels(bins: Distribution) -> list[str]:
    if bins.values is not None:
        return [*bins.values, "others"]
    edges = [f"{edge:.4g}" for edge in bins.edges or []]
    if not edges:
        return ["all"]
    return [f"< {edges[0]}", *(f"{a} – {b}" for a, b in pairwise(edges)), f"≥ {edges[-1]}"]
