"""The rules of injected faults: what they match, how often they fire, what is refused."""

import json

import pytest

from local.faults import Faults
from local.service import ApiError

ROLE = "arn:aws:sts::000000000000:assumed-role/boxcar-launch-jobs/boxcar-launch-jobs"


def test_a_fault_fires_count_times_after_letting_some_pass() -> None:
    faults = Faults()
    faults.add({"service": "sagemaker", "action": "Create*", "error": "ThrottlingException", "after": 1, "count": 2})
    fired = [faults.on_call("sagemaker", "CreateTrainingJob", ROLE, b"{}") is not None for _ in range(5)]
    assert fired == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ({"service": "sagemaker", "error": "X"}, True),
        ({"service": "s3", "error": "X"}, False),
        ({"service": "sagemaker", "action": "Stop*", "error": "X"}, False),
        ({"service": "sagemaker", "caller": "boxcar-launch-*", "error": "X"}, True),
        ({"service": "sagemaker", "caller": "boxcar-submit-*", "error": "X"}, False),
        ({"service": "sagemaker", "match": {"TrainingJobName": "*-train-*"}, "error": "X"}, True),
        ({"service": "sagemaker", "match": {"TrainingJobName": "*-evaluate-*"}, "error": "X"}, False),
        ({"service": "sagemaker", "match": {"Gone.Field": "?*"}, "error": "X"}, True),  # absent reads as None
    ],
)
def test_what_a_call_fault_matches(rule: dict, hit: bool) -> None:
    faults = Faults()
    faults.add(rule)
    body = json.dumps({"TrainingJobName": "boxcar-box-train-1"}).encode()
    assert (faults.on_call("sagemaker", "CreateTrainingJob", ROLE, body) is not None) == hit


def test_an_event_fault_looks_into_the_detail() -> None:
    faults = Faults()
    faults.add({"event": "aws.sagemaker", "match": {"TrainingJobStatus": "Completed"}, "effect": "lose"})
    kind = "SageMaker Training Job State Change"
    assert faults.on_event("aws.sagemaker", kind, {"TrainingJobStatus": "InProgress"}) is None
    assert faults.on_event("aws.sagemaker", kind, '{"TrainingJobStatus": "Completed"}') is not None
    assert faults.report()["fired"][0]["detail_type"] == kind


def test_the_first_rule_that_matches_wins_and_removal_is_by_id() -> None:
    faults = Faults()
    first = faults.add({"service": "s3", "error": "One", "count": 1})
    faults.add({"service": "s3", "error": "Two"})
    assert [faults.on_call("s3", "GetObject", ROLE, b"")["error"] for _ in range(2)] == ["One", "Two"]
    faults.remove(first)
    assert [rule["error"] for rule in faults.report()["rules"]] == ["Two"]
    faults.remove()
    assert faults.report() == {"rules": [], "fired": []}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"service": "s3", "colour": "red", "error": "X"}, "field 'colour' is unknown"),
        ({"error": "X"}, "give either service"),
        ({"service": "s3", "event": "aws.s3", "error": "X"}, "give either service"),
        ({"service": "s3"}, "say what happens"),
        ({"event": "aws.s3", "effect": "explode"}, "must be one of lose, double, late"),
    ],
)
def test_what_makes_no_sense_is_refused(rule: dict, words: str) -> None:
    with pytest.raises(ApiError, match=words):
        Faults().add(rule)
