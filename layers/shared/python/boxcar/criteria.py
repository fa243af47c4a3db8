"""The criteria of a verdict, one function each: the figure, its limit, and one sentence about both.

A figure that cannot be computed breaches its criterion: what nobody measured has not passed. A figure beyond its limit
by no more than chance would make of it does not, and the sentence says so.
"""

from boxcar.criterion import METRICS, ROUNDING, Criterion, finite, missing
from boxcar.evaluations import Comparison, Drop, Evaluation
from boxcar.plans import Gate
from boxcar.shifts import SIGNIFICANT, chi_square_p, population_stability_index


def score(candidate: Evaluation, gate: Gate) -> Criterion:
    """The score itself, against the floor if there is one."""
    value, floor = candidate.score(gate.metric), gate.min_score
    if value is None:
        reason = f"{gate.metric} is missing from the evaluation, or not a number: what was not measured has not passed"
        return missing("score", floor, gate, reason)
    causes = gate.causes("score")
    if floor is None:
        reason = f"{gate.metric} is {value:.4f}; the gate sets no floor"
        return Criterion(name="score", figure=value, limit=None, breached=False, causes=causes, reason=reason)
    higher = METRICS[gate.metric] == "higher"
    breached = value < floor - ROUNDING if higher else value > floor + ROUNDING
    side = "at least" if higher else "at most"
    reason = f"{gate.metric} is {value:.4f}; the gate's floor asks for {side} {floor:.4f}"
    return Criterion(name="score", figure=value, limit=floor, breached=breached, causes=causes, reason=reason)


def rows(candidate: Evaluation, gate: Gate, limit: int) -> Criterion:
    """Enough validation rows to say anything at all."""
    found = candidate.rows.get("validation")
    if found is None:
        return missing("rows", limit, gate, "the number of validation rows is missing from the evaluation")
    return Criterion(
        name="rows",
        figure=found,
        limit=limit,
        breached=found < limit,
        causes=gate.causes("rows"),
        reason=f"{found:,} rows validate the model; at least {limit:,} are asked for",
    )


def calibration(candidate: Evaluation, gate: Gate, limit: float) -> Criterion:
    """Whether scores mean what they say."""
    measured = candidate.calibration
    error = finite(measured.error) if measured else None
    if measured is None or error is None:
        return missing("calibration", limit, gate, "the calibration error is missing from the evaluation")
    noise = finite(measured.noise)
    beyond = error > limit + ROUNDING
    by_chance = noise is not None and error <= noise
    reason = f"scores are off by {error:.4f} on average (expected calibration error); at most {limit:g} is allowed"
    if beyond and by_chance:
        reason += f"; on so few rows even perfect scores reach {noise:.4f}, so this says nothing"
    return Criterion(
        name="calibration",
        figure=error,
        limit=limit,
        noise=noise,
        breached=beyond and not by_chance,
        causes=gate.causes("calibration"),
        reason=reason,
    )


def fairness(candidate: Evaluation, gate: Gate) -> Criterion:
    """The largest gap of a figure between two values of the named column."""
    asked = gate.fairness
    assert asked  # the caller has looked
    figure = gate.metric if asked.figure == "score" else asked.figure
    slices = candidate.slices
    if slices is None or slices.column != asked.slice:
        reason = f"figures by {asked.slice} are missing from the evaluation, so nobody knows whether they differ"
        return missing("fairness", asked.max_gap, gate, reason)
    gap = slices.gaps.get(figure)
    width = finite(gap.gap) if gap else None
    if gap is None or width is None:
        reason = (
            f"the gap of {figure} by {asked.slice} is missing: fewer than two of its values have {slices.min_rows:,} "
            f"validation rows with both labels"
        )
        return missing("fairness", asked.max_gap, gate, reason)
    noise = finite(gap.noise)
    beyond = width > asked.max_gap + ROUNDING
    by_chance = noise is not None and width <= noise
    reason = (
        f"{figure} differs by {width:.4f}{_between(gap.low, gap.high)} between {asked.slice} {gap.highest!r} and "
        f"{gap.lowest!r}; at most {asked.max_gap:g} is allowed"
    )
    if beyond and by_chance:
        reason += f"; slices of their sizes differ by up to {noise:.4f} by chance, so this is not a gap"
    return Criterion(
        name="fairness",
        figure=width,
        limit=asked.max_gap,
        low=finite(gap.low),
        high=finite(gap.high),
        noise=noise,
        breached=beyond and not by_chance,
        causes=gate.causes("fairness"),
        reason=reason,
    )


def score_drop(candidate: Evaluation, approved: Evaluation, gate: Gate) -> Criterion:
    """How much worse the candidate is: positive when it is worse, whichever way the metric runs.

    Both versions are measured on the candidate's validation rows, and the difference has the interval of the paired
    bootstrap. Where evaluate could not do that, the scores are compared as each was recorded, without an interval.
    """
    limit, value, metric = gate.max_score_drop, candidate.score(gate.metric), gate.metric
    before, paired = score_before(candidate, approved, metric)
    if value is None or before is None:
        whose = "candidate" if value is None else "approved version"
        reason = f"{metric} of the {whose} is missing, so nobody knows whether it got worse"
        return missing("score_drop", limit, gate, reason)
    drop = before - value if METRICS[metric] == "higher" else value - before
    low, high = (finite(paired.low), finite(paired.high)) if paired else (None, None)
    noise = low is not None and low <= ROUNDING
    beyond = drop > limit + ROUNDING
    moved = f"stayed at {value:.4f}"
    if abs(drop) >= ROUNDING:
        moved = f"{'fell' if value < before else 'rose'} from {before:.4f} to {value:.4f}"
    worse = f"worse by {drop:.4f}{_between(low, high)}" if drop >= ROUNDING else ""
    parts = [f"{metric} {moved}" + (_on_rows(candidate.comparison) if paired else ""), worse]
    if beyond and noise:
        parts.append(f"more than the {limit:g} that is allowed, but within the noise of these rows: not a drop")
    elif low is not None and high is not None and abs(drop) >= ROUNDING and low <= ROUNDING and high >= -ROUNDING:
        parts.append(f"which is within the noise; at most {limit:g} worse is allowed")
    else:
        parts.append(f"at most {limit:g} worse is allowed")
    if low is not None and high is not None and (high - low) / 2 > limit > 0:
        parts.append(f"a drop of {limit:g} can stay unseen on so few rows")
    if not paired:
        parts.append(f"each on its own rows and without an interval, since {_why(candidate.comparison)}")
    return Criterion(
        name="score_drop",
        figure=drop,
        limit=limit,
        low=low,
        high=high,
        breached=beyond and not noise,
        causes=gate.causes("score_drop"),
        reason="; ".join(part for part in parts if part),
    )


def score_before(candidate: Evaluation, approved: Evaluation, metric: str) -> tuple[float | None, Drop | None]:
    """The approved version's score, on the candidate's rows if it was taken there, and the paired difference then."""
    compared = candidate.comparison
    there = finite(compared.scores.get(metric)) if compared else None
    if compared is None or there is None or metric not in compared.drops:
        return approved.score(metric), None
    return there, compared.drops[metric]


def label_shift(candidate: Evaluation, approved: Evaluation, gate: Gate) -> Criterion:
    """The labels' distribution: how far it moved by the index, and whether chance would move it as far."""
    limit, shift = gate.max_label_shift, population_stability_index(approved.labels, candidate.labels)
    likely = chi_square_p(approved.labels, candidate.labels)
    if shift is None or likely is None:
        whose = "candidate" if not sum(candidate.labels.values()) else "approved version"
        reason = f"label counts of the {whose} are missing or all zero, so their shift is unknown"
        return missing("label_shift", limit, gate, reason)
    beyond, by_chance = shift > limit + ROUNDING, likely >= SIGNIFICANT
    reason = f"the labels shifted by {shift:.4f} (population stability index); at most {limit:g} is allowed"
    if beyond and by_chance:
        reason += f"; so few rows shift as far by chance (chi-square, p = {likely:.2f}): not a shift"
    return Criterion(
        name="label_shift",
        figure=shift,
        limit=limit,
        p_value=likely,
        breached=beyond and not by_chance,
        causes=gate.causes("label_shift"),
        reason=reason,
    )


def row_change(candidate: Evaluation, approved: Evaluation, gate: Gate) -> Criterion:
    """Whether rows vanished or multiplied."""
    limit, found, before = gate.max_row_change, candidate.row_count, approved.row_count
    if not found or not before:
        whose = "candidate" if not found else "approved version"
        reason = f"the row count of the {whose} is missing or zero, so its change is unknown"
        return missing("row_change", limit, gate, reason)
    change = found / before - 1
    return Criterion(
        name="row_change",
        figure=change,
        limit=limit,
        breached=abs(change) > limit + ROUNDING,
        causes=gate.causes("row_change"),
        reason=f"rows went from {before:,} to {found:,} ({change:+.1%}); a change of at most {limit:.0%} is allowed",
    )


def drifts(candidate: Evaluation, approved: Evaluation) -> dict[str, tuple[float, float]]:
    """For each feature that both versions know, its index and the chance of one as large; largest first."""
    counted = candidate.comparison.features if candidate.comparison else {}
    found = {}
    for name, now in counted.items():
        if name in approved.features:
            before, after = approved.features[name].by_bin(), now.by_bin()
            shift, likely = population_stability_index(before, after), chi_square_p(before, after)
            if shift is not None and likely is not None:
                found[name] = (shift, likely)
    return dict(sorted(found.items(), key=lambda pair: -pair[1][0]))


def feature_drift(candidate: Evaluation, approved: Evaluation, gate: Gate, limit: float) -> Criterion:
    """The feature whose training rows moved most from those of the approved version."""
    found = drifts(candidate, approved)
    if not found:
        why = "what the approved version's features looked like was not written down"
        if approved.features:
            why = f"the candidate's were not counted, since {_why(candidate.comparison)}"
        return missing("feature_drift", limit, gate, f"the drift of the features is missing: {why}")
    # The more features, the more of them move by chance: Bonferroni's correction.
    real = [name for name, (shift, likely) in found.items() if likely < SIGNIFICANT / len(found)]
    beyond = [name for name in real if found[name][0] > limit + ROUNDING]
    first = (beyond or list(found))[0]
    shift, likely = found[first]
    reason = f"{first} drifted by {shift:.4f} (population stability index), most of {len(found)} features"
    if len(beyond) > 1:
        reason = f"{', '.join(beyond)} drifted by up to {shift:.4f} (population stability index)"
    reason += f"; at most {limit:g} is allowed"
    if not beyond and shift > limit + ROUNDING:
        reason += f"; so few rows drift as far by chance (chi-square, p = {likely:.2f}): not a drift"
    return Criterion(
        name="feature_drift",
        figure=shift,
        limit=limit,
        p_value=likely,
        breached=bool(beyond),
        causes=gate.causes("feature_drift"),
        reason=reason,
    )


def latency(candidate: Evaluation, gate: Gate, limit: float) -> Criterion:
    """How much longer the candidate takes to score the same rows than the approved version, in the same process.

    Both took turns for some rounds, and the ratio has the interval of the bootstrap over them: on a busy machine a
    round takes several times as long for no reason of the model's. Evaluations without it are compared by their
    fastest rounds alone.
    """
    now, before = candidate.latency, candidate.comparison.latency if candidate.comparison else None
    if not now or not before or min(now.rows, before.rows) < 1 or not (now.seconds > 0 and before.seconds > 0):
        whose = "candidate's time to score is missing from the evaluation"
        if now:
            whose = f"approved version's time to score is missing, since {_why(candidate.comparison)}"
        return missing("latency", limit, gate, f"the {whose}")
    paired = candidate.comparison.slowdown if candidate.comparison else None
    ratio = finite(paired.times) if paired else (now.seconds / now.rows) / (before.seconds / before.rows)
    if ratio is None:
        return missing("latency", limit, gate, "the candidate's time beside the approved version's is not a number")
    low, high = (finite(paired.low), finite(paired.high)) if paired else (None, None)
    beyond = ratio > limit + ROUNDING
    by_chance = low is not None and low <= limit + ROUNDING
    each = 1e6 * now.seconds / now.rows
    reason = (
        f"takes {ratio:.2f} times as long{_between(low, high, 2)} to score a row ({each:.0f} µs); at most {limit:g} "
        "times is allowed"
    )
    if beyond and by_chance:
        reason += "; the rounds differ too much to say so: not slower"
    return Criterion(
        name="latency",
        figure=ratio,
        limit=limit,
        low=low,
        high=high,
        breached=beyond and not by_chance,
        causes=gate.causes("latency"),
        reason=reason,
    )


def _between(low: float | None, high: float | None, decimals: int = 4) -> str:
    low, high = finite(low), finite(high)
    return "" if low is None or high is None else f" (95 % interval {low:.{decimals}f} to {high:.{decimals}f})"


def _on_rows(compared: Comparison | None) -> str:
    return f" on the same {compared.rows:,} rows" if compared and compared.rows else " on the same rows"


def _why(compared: Comparison | None) -> str:
    if compared is None:
        return "evaluate did not compare with the approved version"
    return compared.problem or "evaluate left it out"
