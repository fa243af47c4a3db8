"""Is a candidate good enough to take the place of the approved version?

Four criteria, each with its figure, its limit and a sentence. A figure that cannot be computed breaches its criterion:
what nobody measured has not passed.
"""

import math
from typing import Literal

from boxcar.errors import FamilyError
from boxcar.evaluations import Evaluation
from boxcar.plans import Gate
from boxcar.steps import Document
from boxcar.versions import Change

Outcome = Literal["approve", "reject"]

# Which way is better. A metric that is not here cannot be a gate.
METRICS: dict[str, Literal["higher", "lower"]] = {
    "roc_auc": "higher",
    "average_precision": "higher",
    "log_loss": "lower",
}
# Differences of binary fractions miss their decimal value by less than this; it must not tip a figure over its limit.
_ROUNDING = 1e-9
# What an empty label counts as, in rows, so that the logarithm exists.
_EMPTY = 0.5


class Criterion(Document):
    """One thing that was looked at."""

    name: Literal["score", "score_drop", "label_shift", "row_change"]
    figure: float | None  # None: it could not be computed
    limit: float | None  # None: only has to exist
    breached: bool
    reason: str  # one sentence, whether it is breached or not


class Verdict(Document):
    """What was decided about one candidate, on which figures. Lies at `runs/<run>/<model>/verdict.json`."""

    schema_number: int = 1
    run: str = ""
    family: str = ""
    model: str = ""
    outcome: Outcome
    version: str = ""  # proposed by Compare; Register has the last word when two runs register at once
    change: Change = "first"
    compared_with: str | None = None  # the approved version at that time; None: there was none
    judged_at: str = ""  # ISO 8601, UTC
    metric: str
    score: float | None
    score_before: float | None = None
    label_shift: float | None = None  # population stability index
    row_change: float | None = None  # rows / approved rows - 1
    rows: int | None = None
    rows_before: int | None = None
    labels: dict[str, int] = {}
    labels_before: dict[str, int] = {}
    criteria: list[Criterion]
    reasons: list[str]  # of the breaches; of an approval: one sentence that sums up
    evaluation: str = ""  # s3://…/evaluation.json of the candidate
    evaluation_before: str | None = None


def verdict_key(run: str, model: str) -> str:
    """Where the verdict on a model lies in the bucket."""
    return f"runs/{run}/{model}/verdict.json"


def judge(
    candidate: Evaluation,
    approved: Evaluation | None,
    gate: Gate,
    *,
    run: str = "",
    family: str = "",
    model: str = "",
    version: str = "",
    change: Change = "first",
    compared_with: str | None = None,
    judged_at: str = "",
    evaluation: str = "",
    evaluation_before: str | None = None,
) -> Verdict:
    """Weigh a candidate against the approved version.

    Scores are in the metric's own unit, label shift is a population stability index (Siddiqi 2006), row change is the
    ratio of rows minus one. Without an approved version only the score itself is looked at. The other arguments say
    what is judged and end up in the document.

    Raises:
        FamilyError: the gate's metric is not known, so nobody can tell a rise from a fall.
    """
    if gate.metric not in METRICS:
        raise FamilyError(f"gate.metric: is {gate.metric!r}; write one of {', '.join(METRICS)}")
    criteria = [_score(candidate, gate)]
    if approved is not None:
        criteria += [
            _score_drop(candidate, approved, gate),
            _label_shift(candidate, approved, gate),
            _row_change(candidate, approved, gate),
        ]
    breaches = [criterion.reason for criterion in criteria if criterion.breached]
    figures = {criterion.name: criterion.figure for criterion in criteria}
    return Verdict(
        run=run,
        family=family,
        model=model,
        outcome="reject" if breaches else "approve",
        version=version,
        change=change,
        compared_with=compared_with,
        judged_at=judged_at,
        metric=gate.metric,
        score=candidate.score(gate.metric),
        score_before=approved.score(gate.metric) if approved else None,
        label_shift=figures.get("label_shift"),
        row_change=figures.get("row_change"),
        rows=candidate.row_count,
        rows_before=approved.row_count if approved else None,
        labels=candidate.labels,
        labels_before=approved.labels if approved else {},
        criteria=criteria,
        reasons=breaches or [_approval(criteria, approved)],
        evaluation=evaluation,
        evaluation_before=evaluation_before,
    )


def population_stability_index(expected: dict[str, int], actual: dict[str, int]) -> float | None:
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


def _score(candidate: Evaluation, gate: Gate) -> Criterion:
    score, floor = candidate.score(gate.metric), gate.min_score
    if score is None:
        reason = f"{gate.metric} is missing from the evaluation, or not a number: what was not measured has not passed"
        return Criterion(name="score", figure=None, limit=floor, breached=True, reason=reason)
    if floor is None:
        reason = f"{gate.metric} is {score:.4f}; the gate sets no floor"
        return Criterion(name="score", figure=score, limit=None, breached=False, reason=reason)
    higher = METRICS[gate.metric] == "higher"
    breached = score < floor - _ROUNDING if higher else score > floor + _ROUNDING
    side = "at least" if higher else "at most"
    reason = f"{gate.metric} is {score:.4f}; the gate's floor asks for {side} {floor:.4f}"
    return Criterion(name="score", figure=score, limit=floor, breached=breached, reason=reason)


def _score_drop(candidate: Evaluation, approved: Evaluation, gate: Gate) -> Criterion:
    """The drop is positive when the candidate is worse, whichever way the metric runs."""
    limit, score, before = gate.max_score_drop, candidate.score(gate.metric), approved.score(gate.metric)
    if score is None or before is None:
        whose = "candidate" if score is None else "approved version"
        reason = f"{gate.metric} of the {whose} is missing, so nobody knows whether it got worse"
        return Criterion(name="score_drop", figure=None, limit=limit, breached=True, reason=reason)
    drop = before - score if METRICS[gate.metric] == "higher" else score - before
    if abs(drop) < _ROUNDING:
        moved = f"stayed at {score:.4f}"
    else:
        moved = f"{'fell' if score < before else 'rose'} from {before:.4f} to {score:.4f}"
    worse = f"worse by {drop:.4f}, " if drop >= _ROUNDING else ""
    return Criterion(
        name="score_drop",
        figure=drop,
        limit=limit,
        breached=drop > limit + _ROUNDING,
        reason=f"{gate.metric} {moved}; {worse}at most {limit:g} worse is allowed",
    )


def _label_shift(candidate: Evaluation, approved: Evaluation, gate: Gate) -> Criterion:
    limit, shift = gate.max_label_shift, population_stability_index(approved.labels, candidate.labels)
    if shift is None:
        whose = "candidate" if not sum(candidate.labels.values()) else "approved version"
        reason = f"label counts of the {whose} are missing or all zero, so their shift is unknown"
        return Criterion(name="label_shift", figure=None, limit=limit, breached=True, reason=reason)
    reason = f"the labels shifted by {shift:.4f} (population stability index); at most {limit:g} is allowed"
    return Criterion(name="label_shift", figure=shift, limit=limit, breached=shift > limit + _ROUNDING, reason=reason)


def _row_change(candidate: Evaluation, approved: Evaluation, gate: Gate) -> Criterion:
    limit, rows, before = gate.max_row_change, candidate.row_count, approved.row_count
    if not rows or not before:
        whose = "candidate" if not rows else "approved version"
        reason = f"the row count of the {whose} is missing or zero, so its change is unknown"
        return Criterion(name="row_change", figure=None, limit=limit, breached=True, reason=reason)
    change = rows / before - 1
    return Criterion(
        name="row_change",
        figure=change,
        limit=limit,
        breached=abs(change) > limit + _ROUNDING,
        reason=f"rows went from {before:,} to {rows:,} ({change:+.1%}); a change of at most {limit:.0%} is allowed",
    )


def _approval(criteria: list[Criterion], approved: Evaluation | None) -> str:
    if approved is None:
        return f"first version, nothing to compare with; {criteria[0].reason}"
    drop, shift, change = (criterion.figure or 0.0 for criterion in criteria[1:4])
    moved = f"{abs(drop):.4f} {'worse' if drop > 0 else 'better'}" if abs(drop) >= 0.00005 else "unchanged"
    return f"within every limit: score {moved}, label shift {shift:.3f}, rows {change:+.1%}"
