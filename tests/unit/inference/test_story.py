"""The report of an inference run: what it says in each case, drift and skew, and a page that renders."""

from typing import Any

import pytest

from boxcar.evaluations import Evaluation
from boxcar.families import Drift
from boxcar.inference.counts import with_sizes
from boxcar.inference.drift import drifts
from boxcar.inference.story import InferenceFacts, render, tell
from tests.unit.inference.test_planning import COUNTS, MODELS, plan

ENDED = 1_795_687_230.0
EVALUATION = Evaluation.model_validate(
    {
        "features": {
            "price": {"edges": [1.0, 2.0], "counts": [40, 40, 20], "missing": 0},
            "brand": {"values": ["A", "B"], "counts": [50, 30, 20], "missing": 0},
        },
        "score_bins": {"edges": [0.5], "counts": [60, 40]},
    }
)  # fmt: skip
SAME = {"price": {"counts": [400, 400, 200], "missing": 0}, "brand": {"counts": [500, 300, 200], "missing": 0}}
BINS = [{"bin": 0, "row_count": 600, "yes": 0}, {"bin": 1, "row_count": 400, "yes": 400}]


def facts(**changes: Any) -> InferenceFacts:
    skew = {"rows": 10, "differ": {}, "examples": {}}
    of_model = {"rows": 97, "features": SAME, "files": COUNTS["models"]["bag"]["files"], "skew": skew}
    counts = {**COUNTS, "models": dict.fromkeys(MODELS, of_model)}
    made = with_sizes(plan({"family": "packaging"}), counts)
    known = {"plan": made, "unloaded": 100, "counts": counts, "figures": dict.fromkeys(MODELS, BINS)}
    return InferenceFacts("run-1", **{**known, "evaluations": dict.fromkeys(MODELS, EVALUATION), **changes})


def loaded(*names: str) -> list[dict[str, Any]]:
    return [{"model": name, "status": "loaded", "version": "1.2.3", "rows": 1000} for name in names]


FAILED = [{"model": "bag", "status": "failed", "error": "CountMismatch", "cause": "3 rows"}]


@pytest.mark.parametrize(
    ("changes", "results", "error", "status", "words"),
    [
        ({}, loaded(*MODELS), None, "succeeded", "1,000 rows were predicted by 4 of 4 models; 3 rows were rejected"),
        ({}, [*loaded("mailer", "box", "own_container"), *FAILED], None, "partial", "bag failed"),
        ({"counts": {**COUNTS, "rejected_before": 2, "models": {}}}, loaded(*MODELS), None, "succeeded", "3 rows were rejected, 2 from before the watermark"),
        ({"unloaded": 0, "counts": {}}, [], None, "succeeded", "There were no new rows."),
        ({"unloaded": 3, "counts": {**COUNTS, "rows": 3, "models": {}}}, [], None, "succeeded", "all rows were rejected (3)"),
        ({"plan": plan({"family": "packaging"}, without=tuple(MODELS))}, [], None, "failed", "No model has an approved version"),
        ({}, [], {"error": "StepError", "cause": "x"}, "failed", "The run failed: StepError."),
        ({}, [], None, "unfinished", ""),
        ({"plan": None, "unloaded": None, "counts": {}}, [], {"error": "TriggerError", "cause": "x"}, "failed", "TriggerError"),
    ],
)  # fmt: skip
def test_what_it_says_of_each_end_and_a_page_of_it(changes, results, error, status, words):
    report = tell(facts(**changes), results, error, ENDED)
    assert report["status"] == status
    assert words in report["sentence"]
    assert "</html>" in render(report)


def test_the_page_tells_old_rejects_apart():
    counts = {**facts().counts, "rejected_before": 2}
    assert "From before the watermark: 2." in render(tell(facts(counts=counts), loaded(*MODELS), None, ENDED))
    assert "before the watermark" not in render(tell(facts(), loaded(*MODELS), None, ENDED))


def test_skipped_models_are_told():
    report = tell(
        facts(plan=plan({"family": "packaging"}, without=("bag",))),
        loaded("mailer", "box", "own_container"),
        None,
        ENDED,
    )
    assert {model["model"]: model["status"] for model in report["models"]}["bag"] == "skipped"
    assert report["status"] == "succeeded" and "bag skipped" in report["sentence"]


def test_rows_like_those_of_training_have_not_drifted():
    assert tell(facts(), loaded(*MODELS), None, ENDED)["drifted"] == []


def test_what_has_drifted_is_named_with_figure_and_limit_and_pictured():
    other = {**SAME, "price": {"counts": [0, 100, 900], "missing": 0}}
    known = facts()
    known.counts["models"] = {name: {**one, "features": other} for name, one in known.counts["models"].items()}
    report = tell(known, loaded(*MODELS), None, ENDED)
    assert len(report["drifted"]) == 4
    assert report["drifted"][0].startswith("mailer: feature price drifted by ")
    assert render(report).count("<svg") > 4 * 3


def test_scores_drift_too_and_few_rows_say_nothing():
    limits = Drift(max_score_drift=0.1, min_rows=500)
    turned = [{"bin": 0, "row_count": 100, "yes": 0}, {"bin": 1, "row_count": 900, "yes": 900}]
    assert [one.feature for one in drifts("bag", EVALUATION, SAME, turned, limits) if one.beyond] == [""]
    few = [{**line, "row_count": line["row_count"] // 10} for line in turned]
    assert not any(one.beyond for one in drifts("bag", EVALUATION, {}, few, limits))


@pytest.mark.parametrize(
    ("changed", "now", "rows", "said"),
    [
        ([], {"1": 0.25, "2": 0.75}, 2, ""),
        ([], {"1": 0.25}, 1, ""),
        ([], {"1": 0.5, "2": 0.75}, 2, "of 2 rows with the values of training, 1 have other scores, by up to 0.25"),
        (["1"], {"1": 0.5, "2": 0.75}, 1, ""),  # whose values are others
    ],
)
def test_rows_of_the_same_values_have_the_score_that_they_were_judged_with(changed, now, rows, said):
    known = facts(sampled={"bag": now})
    known.evaluations = {
        **known.evaluations,
        "bag": EVALUATION.model_copy(update={"sample": [{"key": "1", "score": 0.25}, {"key": "2", "score": 0.75}]}),
    }
    skew = {"rows": 2, "differ": dict.fromkeys(["price"] if changed else [], 1), "examples": {}, "changed": changed}
    skew["examples"] = {"price": {"key": "1", "training": 1, "serving": 2}} if changed else {}
    known.counts["models"] = {**known.counts["models"], "bag": {**known.counts["models"]["bag"], "skew": skew}}
    report = tell(known, loaded(*MODELS), None, ENDED)
    bag = {model["model"]: model for model in report["models"]}["bag"]
    assert bag["skew"]["scores"]["rows"] == rows
    assert [reason for reason in bag["reasons"] if "scores" in reason] == ([said] if said else [])
    assert ("have another score now" in render(report)) == bool(said)


def test_skew_between_training_and_serving_is_said():
    known = facts()
    skew = {"rows": 10, "differ": {"price": 2}, "examples": {"price": {"key": "7", "training": 1.0, "serving": 2.0}}}
    known.counts["models"]["bag"] = {**known.counts["models"]["bag"], "skew": skew}
    report = tell(known, loaded(*MODELS), None, ENDED)
    bag = next(model for model in report["models"] if model["model"] == "bag")
    assert bag["reasons"] == ["of 10 rows known from training, values differ: price in 2"]
    assert "7: 1.0 in training, 2.0 now" in render(report)


def test_a_model_whose_rows_were_read_by_other_code_than_in_training_says_so():
    known = facts()
    known.plan = known.plan.model_copy(update={"read_otherwise": ["bag"]})
    said = {model["model"]: model["reasons"] for model in tell(known, loaded(*MODELS), None, ENDED)["models"]}
    assert said.pop("bag") == ["its rows were read by other code than it was trained with; train it again"]
    assert not any(said.values())
