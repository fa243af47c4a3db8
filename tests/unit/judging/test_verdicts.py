import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxcar.errors import EvaluationError, FamilyError
from boxcar.evaluations import Evaluation, evaluation_uri, parse_evaluation
from boxcar.plans import Gate
from boxcar.shifts import population_stability_index
from boxcar.verdicts import Verdict, judge


def figures(**changes: Any) -> Evaluation:
    document = {
        "rows": {"train": 800, "validation": 200},
        "scores": {"roc_auc": 0.90, "log_loss": 0.30},
        "labels": {"0": 750, "1": 250},
    }
    return Evaluation.model_validate({**document, **changes})


def breached(verdict: Verdict) -> set[str]:
    return {criterion.name for criterion in verdict.criteria if criterion.breached}


def test_a_first_version_is_approved_whatever_its_score():
    verdict = judge(figures(scores={"roc_auc": 0.51}), None, Gate())
    assert verdict.outcome == "approve"
    assert "first version" in verdict.reasons[0]
    assert verdict.score_before is None and verdict.label_shift is None


def test_a_first_version_under_the_floor_is_rejected_with_both_figures_named():
    verdict = judge(figures(scores={"roc_auc": 0.51}), None, Gate(min_score=0.6))
    assert verdict.outcome == "reject"
    assert "0.51" in verdict.reasons[0] and "0.6" in verdict.reasons[0]


def test_the_floor_of_a_loss_is_a_ceiling():
    assert judge(figures(scores={"log_loss": 0.4}), None, Gate(metric="log_loss", min_score=0.5)).outcome == "approve"
    assert judge(figures(scores={"log_loss": 0.6}), None, Gate(metric="log_loss", min_score=0.5)).outcome == "reject"


@pytest.mark.parametrize(
    ("metric", "before", "after", "outcome"),
    [
        ("roc_auc", 0.90, 0.88, "approve"),  # exactly at the limit, though 0.90 - 0.88 > 0.02 in binary
        ("roc_auc", 0.90, 0.8799, "reject"),
        ("roc_auc", 0.90, 0.99, "approve"),
        ("average_precision", 0.90, 0.80, "reject"),
        ("log_loss", 0.30, 0.33, "reject"),
        ("log_loss", 0.30, 0.10, "approve"),
    ],
)
def test_worse_depends_on_which_way_the_metric_runs(metric, before, after, outcome):
    gate = Gate(metric=metric, max_score_drop=0.02)
    verdict = judge(figures(scores={metric: after}), figures(scores={metric: before}), gate)
    assert verdict.outcome == outcome
    assert verdict.score == after and verdict.score_before == before


@pytest.mark.parametrize(
    ("candidate", "approved", "criterion"),
    [
        ({"scores": {}}, {}, "score"),
        ({"scores": {"roc_auc": None}}, {}, "score"),
        ({"scores": {"roc_auc": math.nan}}, {}, "score"),
        ({}, {"scores": {}}, "score_drop"),
        ({"labels": {}}, {}, "label_shift"),
        ({}, {"labels": {"0": 0}}, "label_shift"),
        ({"rows": {}}, {}, "row_change"),
        ({}, {"rows": {"train": 0}}, "row_change"),
    ],
)
def test_what_is_missing_is_a_breach_and_never_a_pass(candidate, approved, criterion):
    loose = Gate(max_score_drop=1e9, max_label_shift=1e9, max_row_change=1e9)
    verdict = judge(figures(**candidate), figures(**approved), loose)
    assert verdict.outcome == "reject"
    assert criterion in breached(verdict)
    assert "missing" in " ".join(verdict.reasons)


def test_a_first_version_without_its_metric_is_rejected():
    assert judge(figures(scores={"log_loss": 0.1}), None, Gate()).outcome == "reject"


def test_rows_may_neither_vanish_nor_explode():
    gate = Gate(max_row_change=0.5)
    for rows, outcome in ((500, "approve"), (499, "reject"), (1500, "approve"), (1501, "reject")):
        assert judge(figures(rows={"train": rows}), figures(), gate).outcome == outcome, rows


def test_shifted_labels_are_rejected_and_every_breach_has_its_reason():
    verdict = judge(figures(labels={"0": 250, "1": 750}, rows={"train": 10}), figures(), Gate())
    assert breached(verdict) == {"label_shift", "row_change"}
    assert len(verdict.reasons) == 2


def test_an_unknown_metric_is_a_fault_of_the_family_file():
    with pytest.raises(FamilyError, match=r"gate\.metric: is 'f1'; write one of roc_auc"):
        judge(figures(), None, Gate(metric="f1"))


def test_a_verdict_survives_json():
    verdict = judge(figures(), figures(), Gate(), run="r1", model="mailer", version="1.0.1", compared_with="1.0.0")
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert Verdict.model_validate_json(judge(figures(scores={}), None, Gate()).model_dump_json()).score is None


def test_psi_is_the_textbooks_when_no_label_is_empty():
    # (0.6 - 0.5) ln(0.6/0.5) + (0.4 - 0.5) ln(0.4/0.5), by hand
    assert population_stability_index({"0": 50, "1": 50}, {"0": 60, "1": 40}) == pytest.approx(0.0405465, abs=1e-7)


def test_psi_counts_an_empty_label_as_half_a_row():
    got = population_stability_index({"0": 100}, {"0": 90, "1": 10})
    e0, e1, a0, a1 = 100 / 100.5, 0.5 / 100.5, 0.9, 0.1
    assert got == pytest.approx((a0 - e0) * math.log(a0 / e0) + (a1 - e1) * math.log(a1 / e1))


def test_a_label_seen_once_does_not_reject_a_model():
    assert population_stability_index({"0": 750, "1": 250}, {"0": 750, "1": 250, "2": 1}) < 0.01


def test_psi_of_nothing_is_unknown():
    assert population_stability_index({}, {"0": 1}) is None
    assert population_stability_index({"0": 1}, {"0": 0}) is None


counts = st.dictionaries(st.sampled_from("01234"), st.integers(0, 10_000), min_size=1)


@given(counts, counts)
def test_psi_is_symmetric_finite_and_never_negative(one, other):
    index = population_stability_index(one, other)
    if index is None:
        assert not sum(one.values()) or not sum(other.values())
    else:
        assert math.isfinite(index) and index >= -1e-12
        assert index == pytest.approx(population_stability_index(other, one))


@given(counts)
def test_psi_of_a_distribution_with_itself_is_zero(one):
    assert population_stability_index(one, one) in (None, 0.0)


def test_an_unreadable_evaluation_names_field_and_value():
    with pytest.raises(EvaluationError, match=r"s3://b/e\.json: scores\.roc_auc: is 'good'"):
        parse_evaluation('{"scores": {"roc_auc": "good"}}', "s3://b/e.json")
    with pytest.raises(EvaluationError, match="is not an evaluation"):
        parse_evaluation("not json", "s3://b/e.json")
    with pytest.raises(EvaluationError, match="schema: is 3; this version of Boxcar reads 1 and 2"):
        parse_evaluation('{"schema": 3}', "s3://b/e.json")
    with pytest.raises(EvaluationError, match=r"features\.price\.counts: is 'many'"):
        parse_evaluation('{"schema": 2, "features": {"price": {"counts": "many"}}}', "s3://b/e.json")


def test_figures_of_a_later_architecture_are_kept():
    evaluation = parse_evaluation('{"schema": 1, "calibration": {"slope": 0.9}, "depth": 7}', "x")
    assert evaluation.calibration.slope == 0.9 and evaluation.depth == 7


def test_the_document_lies_in_the_output_of_its_step():
    assert (
        evaluation_uri("s3://b/runs/r/m/evaluate/1/evaluation/")
        == "s3://b/runs/r/m/evaluate/1/evaluation/evaluation.json"
    )
    assert evaluation_uri("s3://b/x/evaluation.json") == "s3://b/x/evaluation.json"
