"""Is a candidate good enough to take the place of the approved version, or must a person say?

Each criterion has its figure, its limit, a sentence, and what its breach leads to; the gravest breach decides. A figure
that cannot be computed breaches its criterion: what nobody measured has not passed.
"""

from boxcar import criteria
from boxcar.criterion import METRICS, Criterion
from boxcar.errors import FamilyError
from boxcar.evaluations import Evaluation
from boxcar.plans import Gate, Outcome
from boxcar.steps import Document
from boxcar.versions import Change

_GRAVITY: dict[Outcome, int] = {"approve": 0, "review": 1, "reject": 2}


class Verdict(Document):
    """What was decided about one candidate, on which figures.

    Lies at `runs/<run>/<model>/verdict.json`, later beside the version's artifact and in the models table.
    """

    schema_number: int = 2  # 1 knew approve and reject, and no intervals
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
    score_before: float | None = None  # of the approved version: on the candidate's validation rows when `paired`
    score_before_recorded: float | None = None  # as it was when that version was registered, on its own rows
    paired: bool = False  # both were measured on the same rows
    label_shift: float | None = None  # population stability index
    row_change: float | None = None  # rows / approved rows - 1
    rows: int | None = None
    rows_before: int | None = None
    rows_validation: int | None = None
    drift: dict[str, float] = {}  # population stability index of each feature, largest first
    labels: dict[str, int] = {}
    labels_before: dict[str, int] = {}
    criteria: list[Criterion]
    reasons: list[str]  # of the breaches, gravest first; of an approval: one sentence that sums up
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
    ratio of rows minus one. Without an approved version only what a candidate must be by itself is looked at. The other
    arguments say what is judged and end up in the document.

    Raises:
        FamilyError: the gate's metric is not known, so nobody can tell a rise from a fall.
    """
    if gate.metric not in METRICS:
        raise FamilyError(f"gate.metric: is {gate.metric!r}; write one of {', '.join(METRICS)}")
    looked_at = _criteria(candidate, approved, gate)
    breaches = sorted((one for one in looked_at if one.breached), key=lambda one: -_GRAVITY[one.causes])
    outcome: Outcome = breaches[0].causes if breaches else "approve"
    figures = {criterion.name: criterion.figure for criterion in looked_at}
    before, paired = criteria.score_before(candidate, approved, gate.metric) if approved else (None, None)
    reasons = [one.reason for one in breaches]
    if outcome == "approve":
        reasons = [_approval(looked_at, approved), *(f"noted: {reason}" for reason in reasons)]
    return Verdict(
        run=run,
        family=family,
        model=model,
        outcome=outcome,
        version=version,
        change=change,
        compared_with=compared_with,
        judged_at=judged_at,
        metric=gate.metric,
        score=candidate.score(gate.metric),
        score_before=before,
        score_before_recorded=approved.score(gate.metric) if approved else None,
        paired=paired is not None,
        label_shift=figures.get("label_shift"),
        row_change=figures.get("row_change"),
        rows=candidate.row_count,
        rows_before=approved.row_count if approved else None,
        rows_validation=candidate.rows.get("validation"),
        drift={name: round(drift[0], 6) for name, drift in criteria.drifts(candidate, approved).items()}
        if approved
        else {},
        labels=candidate.labels,
        labels_before=approved.labels if approved else {},
        criteria=looked_at,
        reasons=reasons,
        evaluation=evaluation,
        evaluation_before=evaluation_before,
    )


def _criteria(candidate: Evaluation, approved: Evaluation | None, gate: Gate) -> list[Criterion]:
    """What the gate looks at: first the candidate by itself, then beside the approved version."""
    found = [criteria.score(candidate, gate)]
    if gate.min_rows is not None:
        found.append(criteria.rows(candidate, gate, gate.min_rows))
    if gate.max_calibration_error is not None:
        found.append(criteria.calibration(candidate, gate, gate.max_calibration_error))
    if gate.fairness is not None:
        found.append(criteria.fairness(candidate, gate))
    if approved is None:
        return found
    found.append(criteria.score_drop(candidate, approved, gate))
    found.append(criteria.label_shift(candidate, approved, gate))
    found.append(criteria.row_change(candidate, approved, gate))
    if gate.max_feature_drift is not None:
        found.append(criteria.feature_drift(candidate, approved, gate, gate.max_feature_drift))
    if gate.max_latency_ratio is not None:
        found.append(criteria.latency(candidate, gate, gate.max_latency_ratio))
    return found


def _approval(looked_at: list[Criterion], approved: Evaluation | None) -> str:
    if approved is None:
        return f"first version, nothing to compare with; {looked_at[0].reason}"
    known = {criterion.name: criterion for criterion in looked_at}
    drop, shift, change = (known[name].figure or 0.0 for name in ("score_drop", "label_shift", "row_change"))
    moved = f"{abs(drop):.4f} {'worse' if drop > 0 else 'better'}" if abs(drop) >= 0.00005 else "unchanged"
    low, high = known["score_drop"].low, known["score_drop"].high
    if moved != "unchanged" and low is not None and high is not None:
        near, far = sorted((abs(low), abs(high)))
        moved += ", which is noise" if low <= 0 <= high else f" (95 % interval {near:.4f} to {far:.4f})"
    within = "within every limit" if not any(one.breached for one in looked_at) else "nothing that stops it"
    return f"{within}: score {moved}, label shift {shift:.3f}, rows {change:+.1%}"
