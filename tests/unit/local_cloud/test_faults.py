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


def test_a_share_is_the_same_at_each_repetition() -> None:
    def fired(seed: int) -> list[bool]:
        faults = Faults()
        faults.add({"service": "sagemaker", "error": "ThrottlingException", "share": 0.1, "seed": seed})
        return [faults.on_call("sagemaker", "CreateTrainingJob", ROLE, b"{}") is not None for _ in range(1000)]

    assert fired(1) == fired(1) != fired(2)
    assert 70 < sum(fired(1)) < 130


def test_a_kill_is_for_calls_of_functions() -> None:
    faults = Faults()
    faults.add({"service": "sagemaker", "kill": "before", "count": 1})
    assert faults.on_call("sagemaker", "CreateTrainingJob", ROLE, b"{}") is None
    told = faults.on_call("sagemaker", "CreateTrainingJob", ROLE, b"{}", killable=True)
    assert told is not None
    assert told["kill"] == "before"


def test_a_job_fault_matches_by_name_action_and_request() -> None:
    faults = Faults()
    faults.add(
        {
            "job": "sweep-*",
            "action": "CreateTrainingJob",
            "match": {"ResourceConfig.InstanceType": "ml.m5.*"},
            "outcome": "hang",
        }
    )
    request = {"ResourceConfig": {"InstanceType": "ml.m5.large"}}
    assert faults.on_job("CreateTrainingJob", "sweep-1", request) is not None
    assert faults.on_job("CreateProcessingJob", "sweep-1", request) is None
    assert faults.on_job("CreateTrainingJob", "other-1", request) is None
    assert faults.on_job("CreateTrainingJob", "sweep-1", {}) is None


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
        ({"service": "s3", "kill": "during"}, "kill 'during' must be one of before, after"),
        ({"job": "*", "outcome": "explode"}, "outcome 'explode' must be one of AlgorithmError"),
        ({"job": "*", "event": "aws.s3", "outcome": "hang"}, "give either service"),
        ({"service": "s3", "error": "X", "share": 5}, "share 5 must be a number from 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(rule: dict, words: str) -> None:
    with pytest.raises(ApiError, match=words):
        Faults().add(rule)
