"""Criteria that know what chance does: intervals, noise, missing figures, and which outcome a breach leads to."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxcar.criterion import Criterion
from boxcar.evaluations import Evaluation
from boxcar.plans import ON_BREACH, Gate
from boxcar.shifts import chi_square_p, chi_square_tail, population_stability_index
from boxcar.verdicts import Verdict, judge

PRICE = {"edges": [1.0, 2.0], "counts": [300, 300, 190], "missing": 10}


def figures(**changes: Any) -> Evaluation:
    """An evaluation of schema 2, all of it fine."""
    document = {
        "schema": 2,
        "rows": {"train": 800, "validation": 200},
        "scores": {"roc_auc": 0.90, "log_loss": 0.30},
        "labels": {"0": 750, "1": 250},
        "calibration": {"error": 0.01, "noise": 0.02},
        "features": {"price": PRICE},
        "slices": {
            "column": "department",
            "min_rows": 50,
            "gaps": {"roc_auc": gap(0.03), "positive_rate": gap(0.2)},
        },
        "latency": {"rows": 1000, "seconds": 0.01},
        "comparison": {
            "rows": 200,
            "scores": {"roc_auc": 0.90, "log_loss": 0.30},
            "drops": {"roc_auc": drop(0.0, -0.01, 0.01), "log_loss": drop(0.0, -0.01, 0.01)},
            "features": {"price": {"counts": [310, 290, 190], "missing": 10}},
            "latency": {"rows": 1000, "seconds": 0.01},
        },
    }
    return Evaluation.model_validate(merged(document, changes))


def merged(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Changes laid over a document; `comparison__drops` reaches inside, None removes."""
    for path, value in changes.items():
        *way, last = path.split("__")
        place = document
        for name in way:
            place = place[name]
        place[last] = value
    return {name: value for name, value in document.items() if value is not None}


def gap(width: float, low: float = 0.0, high: float = 1.0, noise: float = 0.05) -> dict[str, Any]:
    return {"gap": width, "low": low, "high": high, "noise": noise, "lowest": "DELI", "highest": "GROCERY"}


def drop(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"drop": value, "low": low, "high": high}


def compared(before: float, low: float | None, high: float | None, now: float = 0.90) -> Evaluation:
    """A candidate whose predecessor had another score on the same rows."""
    return figures(
        scores={"roc_auc": now},
        comparison__scores={"roc_auc": before},
        comparison__drops={"roc_auc": drop(before - now, low, high)},
    )


ALL = Gate(
    min_rows=100,
    max_calibration_error=0.05,
    max_feature_drift=0.25,
    max_latency_ratio=2,
    fairness={"slice": "department", "max_gap": 0.1},
)


def of(verdict: Verdict, name: str) -> Criterion:
    return next(one for one in verdict.criteria if one.name == name)


def test_a_candidate_that_is_fine_passes_every_criterion_of_a_gate_that_names_all():
    verdict = judge(figures(), figures(), ALL)
    assert verdict.outcome == "approve"
    assert {one.name for one in verdict.criteria} == set(ON_BREACH)


def test_a_gate_looks_at_what_it_names_and_at_no_more():
    names = [one.name for one in judge(figures(), figures(), Gate()).criteria]
    assert names == ["score", "score_drop", "label_shift", "row_change"]
    assert [one.name for one in judge(figures(), None, ALL).criteria] == ["score", "rows", "calibration", "fairness"]


@pytest.mark.parametrize(
    ("before", "low", "high", "breached", "said"),
    [
        (0.95, 0.03, 0.07, True, "worse by 0.0500 (95 % interval 0.0300 to 0.0700)"),
        (0.95, -0.01, 0.11, False, "within the noise of these rows: not a drop"),
        (0.91, 0.004, 0.016, False, "worse by 0.0100 (95 % interval 0.0040 to 0.0160); at most 0.02"),
        (0.91, -0.004, 0.024, False, "which is within the noise"),
        (0.85, -0.06, -0.04, False, "rose from 0.8500 to 0.9000 on the same 200 rows"),
        (0.90, 0.0, 0.0, False, "stayed at 0.9000"),
        (0.95, math.nan, math.nan, True, "worse by 0.0500; at most"),
    ],
)
def test_a_drop_within_the_noise_is_not_a_drop(before, low, high, breached, said):
    criterion = of(judge(compared(before, low, high), figures(), Gate()), "score_drop")
    assert (criterion.breached, said in criterion.reason) == (breached, True), criterion.reason


def test_what_so_few_rows_cannot_show_is_said():
    verdict = judge(compared(0.90, -0.08, 0.08), figures(), Gate())
    assert "a drop of 0.02 can stay unseen on so few rows" in of(verdict, "score_drop").reason
    assert verdict.outcome == "approve" and "unchanged" in verdict.reasons[0]


def test_both_versions_are_weighed_on_the_new_rows_not_as_they_were_once():
    approved = figures(scores={"roc_auc": 0.99})  # on the easier rows of its own week
    verdict = judge(compared(0.91, 0.0, 0.02), approved, Gate())
    assert verdict.outcome == "approve" and verdict.paired
    assert (verdict.score_before, verdict.score_before_recorded) == (0.91, 0.99)


def test_without_a_comparison_recorded_scores_count_and_the_reason_says_so():
    candidate = figures(comparison={"problem": "the approved version predicts 'bag', this one 'box'"})
    verdict = judge(candidate, figures(scores={"roc_auc": 0.99}), Gate())
    assert verdict.outcome == "reject" and not verdict.paired and verdict.score_before == 0.99
    assert "without an interval, since the approved version predicts 'bag'" in verdict.reasons[0]


def test_a_loss_that_rose_is_a_drop():
    candidate = figures(
        scores={"log_loss": 0.40}, comparison__drops={"log_loss": drop(0.1, 0.05, 0.15)},
    )  # fmt: skip
    verdict = judge(candidate, figures(), Gate(metric="log_loss"))
    assert verdict.outcome == "reject" and "rose from 0.3000 to 0.4000" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("changes", "criterion"),
    [
        ({"rows": {"train": 800, "validation": 99}}, "rows"),
        ({"calibration": {"error": 0.06, "noise": 0.02}}, "calibration"),
        ({"slices__gaps": {"roc_auc": gap(0.11)}}, "fairness"),
        ({"comparison__features": {"price": {"counts": [10, 10, 770], "missing": 10}}}, "feature_drift"),
        ({"latency": {"rows": 1000, "seconds": 0.021}}, "latency"),
        ({"comparison__slowdown": {"times": 2.2, "low": 2.1, "high": 2.3}}, "latency"),
    ],
)
def test_each_criterion_leads_to_the_outcome_that_the_gate_gives_it(changes, criterion):
    candidate = figures(**changes)
    verdict = judge(candidate, figures(), ALL)
    assert [one.name for one in verdict.criteria if one.breached] == [criterion]
    assert verdict.outcome == ON_BREACH[criterion]
    for outcome in ("approve", "review", "reject"):
        gate = ALL.model_copy(update={"on_breach": {criterion: outcome}})
        assert judge(candidate, figures(), gate).outcome == outcome
    noted = judge(candidate, figures(), ALL.model_copy(update={"on_breach": {criterion: "approve"}}))
    assert noted.reasons[1].startswith("noted: ") and of(noted, criterion).breached


@pytest.mark.parametrize(
    ("changes", "criterion", "said"),
    [
        ({"rows": {"train": 800}}, "rows", "missing"),
        ({"calibration": None}, "calibration", "missing"),
        ({"calibration": {"error": math.nan}}, "calibration", "missing"),
        ({"slices": None}, "fairness", "figures by department are missing"),
        ({"slices__column": "brand"}, "fairness", "figures by department are missing"),
        ({"slices__gaps": {}}, "fairness", "fewer than two of its values have 50 validation rows"),
        ({"comparison__features": {}, "comparison__problem": "it burnt"}, "feature_drift", "it burnt"),
        ({"latency": None}, "latency", "candidate's time to score is missing"),
        ({"comparison__latency": None, "comparison__problem": "gone"}, "latency", "missing, since gone"),
        ({"latency": {"rows": 0, "seconds": 0}}, "latency", "missing"),
        ({"comparison__slowdown": {"times": math.nan}}, "latency", "not a number"),
    ],
)
def test_what_is_missing_never_passes_even_where_a_breach_would(changes, criterion, said):
    lenient = ALL.model_copy(update={"on_breach": {criterion: "approve"}})
    verdict = judge(figures(**changes), figures(), lenient)
    assert verdict.outcome == "review"
    assert said in of(verdict, criterion).reason and of(verdict, criterion).figure is None
    assert judge(figures(**changes), figures(), ALL).outcome in ("review", "reject")


def test_an_approved_version_of_before_schema_2_leaves_drift_to_a_person():
    verdict = judge(figures(comparison__features={}), figures(features={}), ALL)
    assert verdict.outcome == "review" and "was not written down" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("changes", "criterion", "said"),
    [
        ({"calibration": {"error": 0.06, "noise": 0.07}}, "calibration", "even perfect scores reach 0.0700"),
        ({"slices__gaps": {"roc_auc": gap(0.11, noise=0.2)}}, "fairness", "so this is not a gap"),
        ({"comparison__slowdown": {"times": 3.1, "low": 0.9, "high": 5}}, "latency", "the rounds differ too much"),
    ],
)
def test_what_chance_does_too_is_no_breach_and_says_so(changes, criterion, said):
    found = of(judge(figures(**changes), figures(), ALL), criterion)
    assert not found.breached and found.figure > found.limit and said in found.reason


def test_fairness_may_be_about_who_is_called_yes():
    gate = Gate(fairness={"slice": "department", "figure": "positive_rate", "max_gap": 0.1})
    verdict = judge(figures(), None, gate)
    assert verdict.outcome == "review" and "'GROCERY' and 'DELI'" in verdict.reasons[0]


def test_few_labels_that_shift_by_chance_are_not_a_shift_and_many_are():
    few = judge(figures(labels={"0": 3, "1": 5}), figures(labels={"0": 6, "1": 3}), Gate())
    shift = of(few, "label_shift")
    assert shift.figure > shift.limit and not shift.breached and "chi-square, p = 0" in shift.reason
    many = judge(figures(labels={"0": 300, "1": 500}), figures(labels={"0": 600, "1": 300}), Gate())
    assert of(many, "label_shift").breached


def test_the_gravest_breach_decides_and_is_named_first():
    candidate = figures(rows={"train": 80, "validation": 20}, calibration={"error": 0.3, "noise": 0.01})
    verdict = judge(candidate, figures(), ALL)
    assert verdict.outcome == "reject"
    assert "validate the model" in verdict.reasons[0] and "scores are off" in verdict.reasons[-1]


def test_of_many_features_one_that_moves_by_chance_is_no_drift():
    draw = random.Random(1)

    def counts(rows: int) -> dict[str, Any]:
        places = [draw.randrange(10) for _ in range(rows)]
        return {"counts": [places.count(place) for place in range(10)], "missing": 0}

    before = {f"f{n}": {"edges": list(range(9)), **counts(60)} for n in range(30)}
    candidate = figures(comparison__features={name: counts(60) for name in before})
    found = of(judge(candidate, figures(features=before), ALL), "feature_drift")
    assert found.figure > 0.25 and not found.breached and "not a drift" in found.reason
    assert len(judge(candidate, figures(features=before), ALL).drift) == 30


@pytest.mark.parametrize(
    ("statistic", "degrees", "expected"),
    # Critical values of printed tables (Abramowitz and Stegun, table 26.8).
    [(3.84146, 1, 0.05), (5.99147, 2, 0.05), (16.9190, 9, 0.05), (23.2093, 10, 0.01), (124.342, 100, 0.05), (0, 3, 1)],
)
def test_the_tail_of_chi_square_is_the_tables(statistic, degrees, expected):
    assert chi_square_tail(statistic, degrees) == pytest.approx(expected, rel=1e-4)


def test_the_test_of_two_samples_is_the_textbooks():
    # 2 x 2 table 10 20 / 30 20 by hand: 80 (10·20 - 20·30)² / (30·50·40·40) = 5.3333
    assert chi_square_p({"a": 10, "b": 20}, {"a": 30, "b": 20}) == pytest.approx(math.erfc(math.sqrt(5.3333333 / 2)))
    assert chi_square_p({}, {"a": 1}) is None
    assert chi_square_p({"a": 3}, {"a": 9}) == 1.0


counted = st.dictionaries(st.sampled_from("01234"), st.integers(0, 10_000), min_size=1)


@given(counted, counted)
def test_a_chance_is_one_and_both_ways_the_same(one, other):
    likely = chi_square_p(one, other)
    assert (likely is None) == (population_stability_index(one, other) is None)
    if likely is not None:
        assert 0 <= likely <= 1 and likely == pytest.approx(chi_square_p(other, one), abs=1e-9)


def test_a_verdict_of_the_first_schema_is_still_read():
    old = {
        "schema_number": 1, "outcome": "reject", "metric": "roc_auc", "score": 0.8, "reasons": ["fell"],
        "criteria": [{"name": "score", "figure": 0.8, "limit": 0.9, "breached": True, "reason": "fell"}],
    }  # fmt: skip
    assert Verdict.model_validate(old).criteria[0].causes == "reject"


def test_a_verdict_with_everything_survives_json():
    verdict = judge(compared(0.95, 0.03, 0.07), figures(), ALL, run="r", model="m", version="1.0.1")
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
