import json

import pytest

from boxcar.reports.steps import duration
from boxcar.reports.story import status_of, tell
from tests.unit.reports.conftest import BEGIN, failed_run, partial_run, unplanned_run, whole_run


def test_a_run_of_which_all_was_judged_succeeded_even_when_a_candidate_was_rejected():
    facts, results = whole_run()
    report = tell(facts, results, None, BEGIN + 380)
    assert report["status"] == "succeeded"
    assert report["sentence"] == (
        "3 of 4 models were approved (mailer, bag, own_container); 1 of 4 models was rejected (box). "
        "The run took 6 min 20 s."
    )
    assert [model["model"] for model in report["models"]] == ["mailer", "bag", "box", "own_container"]
    box = report["models"][2]
    assert box["score_before"] == 0.9051 and box["score"] == 0.8423 and box["version"] == "1.2.1"
    assert len(box["reasons"]) == 2
    assert json.loads(json.dumps(report)) == report


def test_a_candidate_to_review_waits_for_a_decision_and_the_run_succeeded():
    facts, results = whole_run()
    results[0][2]["status"] = "review"
    report = tell(facts, results, None, BEGIN + 380)
    assert report["status"] == "succeeded"
    assert "1 of 4 models waits for a decision (box)" in report["sentence"]


def test_every_step_is_told_with_its_waiting_and_running():
    facts, results = whole_run()
    steps = tell(facts, results, None, BEGIN + 380)["steps"]
    assert [step["step"] for step in steps[:5]] == ["unload", "prepare", "train", "predict", "evaluate"]
    assert len(steps) == 17
    train = next(step for step in steps if step["model"] == "box" and step["step"] == "train")
    assert train["wait_s"] == pytest.approx(39) and train["run_s"] == pytest.approx(102)
    retried = next(step for step in steps if step["model"] == "bag" and step["step"] == "predict")
    assert retried["attempts"] == 2 and retried["run_s"] == pytest.approx(25)
    assert retried["wait_s"] == pytest.approx(6 + 5), "between the attempts it waited too"


def test_one_failed_model_makes_a_run_partial_and_its_later_steps_not_started():
    facts, results = partial_run()
    report = tell(facts, results, None, BEGIN + 380)
    assert report["status"] == "partial"
    bag = {step["step"]: step for step in report["steps"] if step["model"] == "bag"}
    assert bag["train"]["failure"] == "AlgorithmError" and bag["train"]["status"] == "Failed"
    assert bag["predict"]["status"] == "NotStarted" and bag["predict"]["run_s"] is None


def test_a_run_without_a_plan_is_told_too():
    report = tell(*unplanned_run(), BEGIN)
    assert report["status"] == "failed" and report["models"] == [] and report["steps"] == []
    assert "TriggerError" in report["sentence"]


def test_a_run_that_failed_on_the_way_names_the_error_and_keeps_its_plan():
    report = tell(*failed_run(), BEGIN + 30)
    assert report["status"] == "failed"
    assert {model["status"] for model in report["models"]} == {"unfinished"}
    assert sum(step["status"] == "NotStarted" for step in report["steps"]) == 16


@pytest.mark.parametrize(
    ("statuses", "error", "expected"),
    [
        (["approved", "rejected"], None, "succeeded"),
        (["approved", "failed"], None, "partial"),
        (["failed", "failed"], None, "failed"),
        ([], None, "failed"),
        (["approved"], {"error": "States.Runtime"}, "failed"),
    ],
)
def test_the_status_of_a_run(statuses, error, expected):
    assert status_of({str(n): {"status": status} for n, status in enumerate(statuses)}, error) == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.04, "40 ms"),
        (2.04, "2 s"),
        (2.44, "2.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3599.7, "1 h"),
        (3660, "1 h 1 min"),
        (86400 * 3, "3 d 0 h"),
    ],
)
def test_durations_are_said_as_people_do(seconds, words):
    assert duration(seconds) == words
