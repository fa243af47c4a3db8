"""Limits: payloads, events, names; and that the engine goes on after what broke one execution."""

import json

import pytest

from local.service import ApiError
from local.stepfunctions import history
from tests.conformance.machinery import Engine, lambda_task, machine


def test_a_result_of_more_than_256_kb_fails_its_task() -> None:
    with Engine() as engine:
        engine.aws.functions["big"] = lambda _: "x" * 300_000
        ended = engine.run(machine({"T": lambda_task("big")}))
        assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")
        assert (
            ended["cause"]
            == "The state/task 'lambda' returned a result with a size exceeding the maximum number of bytes service limit."
        )


def test_bytes_count_not_characters() -> None:
    with Engine() as engine:
        engine.aws.functions["wide"] = lambda _: "é" * 140_000
        assert engine.run(machine({"T": lambda_task("wide")}))["error"] == "States.DataLimitExceeded"


def test_an_input_of_more_than_256_kb_is_refused() -> None:
    with Engine() as engine:
        arn = engine.create(machine({"A": {"Type": "Pass", "End": True}}))
        with pytest.raises(ApiError) as caught:
            engine("StartExecution", stateMachineArn=arn, input=json.dumps("x" * 300_000))
        assert caught.value.code == "ValidationException"


def test_an_endless_loop_ends_at_event_25000() -> None:
    with Engine() as engine:
        definition = machine(
            {
                "C": {"Type": "Choice", "Choices": [{"Condition": True, "Next": "C"}], "Default": "Z"},
                "Z": {"Type": "Succeed"},
            }
        )
        execution = engine.start(engine.create(definition))
        ended = engine.wait(execution, 60)
        assert (ended["error"], ended["cause"]) == (
            "States.Runtime",
            "The execution reached the maximum number of history events (25000).",
        )
        last = engine("GetExecutionHistory", executionArn=execution, reverseOrder=True, maxResults=2)["events"]
        assert [(event["id"], event["previousEventId"], event["type"]) for event in last] == [
            (25000, 24999, "ExecutionFailed"),
            (24999, 24998, "ChoiceStateExited"),
        ]


def test_one_long_execution_does_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_EVENTS", 10**9)  # the loop would fail by itself, on a slow machine too early
    with Engine() as engine:
        loop = machine(
            {
                "C": {"Type": "Choice", "Choices": [{"Condition": True, "Next": "C"}], "Default": "Z"},
                "Z": {"Type": "Succeed"},
            }
        )
        slow = engine.start(engine.create(loop))
        engine.wait(engine.start(engine.create(machine({"A": {"Type": "Pass", "End": True}}))))
        assert engine("DescribeExecution", executionArn=slow)["status"] == "RUNNING"
        engine("StopExecution", executionArn=slow)


def test_an_expression_that_never_ends_fails_its_state_only() -> None:
    with Engine() as engine:
        from local.stepfunctions import limits

        limits.SECONDS, before = 0.2, limits.SECONDS
        try:
            ended = engine.run(
                machine(
                    {"A": {"Type": "Pass", "Output": "{% ($f := function($n) { $f($n + 1) }; $f(1)) %}", "End": True}}
                )
            )
        finally:
            limits.SECONDS = before
        assert "Expression evaluation timeout: Check for infinite loop" in ended["cause"]
