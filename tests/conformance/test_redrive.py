"""Redrive: what succeeded stays, what failed goes on from where its state was entered, which is not entered again.

Source: developer guide, "Redriving executions"; API reference, RedriveExecution.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from local.service import ApiError
from tests.conformance.machinery import Engine, FunctionError, lambda_task, machine


def redriven(engine: Engine, definition: dict[str, Any]) -> tuple[str, str]:
    """An execution that failed and was redriven, and the events that followed that."""
    execution = engine.start(engine.create(definition))
    engine.wait(execution)
    before = engine.history(execution)
    engine("RedriveExecution", executionArn=execution)
    engine.wait(execution)
    after = engine.history(execution)
    assert after.startswith(before)
    return execution, after[len(before) :].strip()


def failing_once(*bad: Any) -> Callable[[Any], Any]:
    """A function that fails the first time it gets one of `bad`."""
    left = list(bad)

    def function(payload: Any) -> Any:
        if payload in left:
            left.remove(payload)
            raise FunctionError("Broken")
        return payload

    return function


def until(holds: Callable[[], bool]) -> None:
    """Wait for what happens beside this thread."""
    while not holds():
        time.sleep(0.001)


def kinds(history: str) -> list[str]:
    """`id <previous type` of every event."""
    return [" ".join(row.split()[:3]) for row in history.splitlines()]


def test_a_task_is_scheduled_again_from_its_entry() -> None:
    with Engine() as engine:
        engine.aws.functions["f"] = failing_once(1)
        _, history = redriven(engine, machine({"T": {**lambda_task("f", 1), "Retry": []}}))
        assert kinds(history) == [
            "7 <6 ExecutionRedriven", "8 <2 TaskScheduled", "9 <8 TaskStarted",
            "10 <9 TaskSucceeded", "11 <10 TaskStateExited", "12 <11 ExecutionSucceeded",
        ]  # fmt: skip


def test_a_fail_state_fails_again_without_being_entered() -> None:
    with Engine() as engine:
        _, history = redriven(engine, machine({"F": {"Type": "Fail", "Error": "E"}}))
        assert kinds(history) == ["4 <3 ExecutionRedriven", "5 <4 ExecutionFailed"]


def test_a_wait_waits_anew() -> None:
    with Engine() as engine:
        with engine.clock.hold():  # no time passes
            execution = engine.start(engine.create(machine({"W": {"Type": "Wait", "Seconds": 3600, "End": True}})))
            until(lambda: "WaitStateEntered" in engine.history(execution))
            engine("StopExecution", executionArn=execution)
        engine.wait(execution)
        engine("RedriveExecution", executionArn=execution)
        engine.wait(execution)
        assert kinds(engine.history(execution)) == [
            "1 <0 ExecutionStarted", "2 <0 WaitStateEntered", "3 <0 ExecutionAborted", "4 <3 ExecutionRedriven",
            "5 <2 WaitStateExited", "6 <5 ExecutionSucceeded",
        ]  # fmt: skip


def test_of_a_parallel_only_the_branches_that_did_not_succeed_go_on() -> None:
    with Engine() as engine:
        engine.aws.functions["f"] = failing_once(2)
        wait = {"Type": "Wait", "Seconds": 3600, "End": True}
        branches = [
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "Output": 1, "End": True}}},
            {"StartAt": "B", "States": {"B": lambda_task("f", 2)}},
            {"StartAt": "C", "States": {"C": wait}},
        ]
        _, history = redriven(engine, machine({"P": {"Type": "Parallel", "Branches": branches, "End": True}}))
        assert kinds(history)[:2] == ["15 <14 ExecutionRedriven", "16 <6 TaskScheduled"]
        assert not any("Entered" in row or "ParallelStateStarted" in row for row in history.splitlines())
        assert history.splitlines()[-1].endswith("output=[1,2,{}]")


def test_of_a_map_iterations_go_on_and_the_rest_start() -> None:
    with Engine() as engine:
        engine.aws.functions["f"] = failing_once(2)
        processor = {"StartAt": "T", "States": {"T": lambda_task("f", "{% $states.input %}")}}
        state = {"Type": "Map", "Items": [1, 2, 3], "MaxConcurrency": 1, "ItemProcessor": processor, "End": True}
        _, history = redriven(engine, machine({"M": state}))
        assert kinds(history) == [
            "20 <19 ExecutionRedriven", "21 <12 TaskScheduled", "22 <21 TaskStarted", "23 <22 TaskSucceeded",
            "24 <23 TaskStateExited", "25 <24 MapIterationSucceeded", "26 <24 MapIterationStarted",
            "27 <26 TaskStateEntered", "28 <27 TaskScheduled", "29 <28 TaskStarted", "30 <29 TaskSucceeded",
            "31 <30 TaskStateExited", "32 <31 MapIterationSucceeded", "33 <32 MapStateSucceeded",
            "34 <32 MapStateExited", "35 <34 ExecutionSucceeded",
        ]  # fmt: skip


def test_a_map_run_is_redriven_with_its_unfinished_children() -> None:
    with Engine() as engine:
        engine.aws.functions["f"] = failing_once(2)
        processor = {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "T",
            "States": {"T": lambda_task("f", "{% $states.input %}")},
        }
        state = {"Type": "Map", "Items": [1, 2], "MaxConcurrency": 1, "ItemProcessor": processor, "End": True}
        execution, history = redriven(engine, machine({"M": state}))
        assert kinds(history)[:3] == ["8 <7 ExecutionRedriven", "9 <3 MapRunRedriven", "10 <9 MapRunSucceeded"]
        (run,) = engine("ListMapRuns", executionArn=execution)["mapRuns"]
        children = engine("ListExecutions", mapRunArn=run["mapRunArn"])["executions"]
        assert sorted(child["redriveCount"] for child in children) == [0, 1]
        again = next(child["executionArn"] for child in children if child["redriveCount"])
        assert kinds(engine.history(again))[5:8] == [
            "6 <5 ExecutionFailed",
            "7 <6 ExecutionRedriven",
            "8 <2 TaskScheduled",
        ]
        with pytest.raises(ApiError, match="Labeled Execution ARNs are not supported"):
            engine("RedriveExecution", executionArn=again)


def test_a_redrive_is_idempotent_by_its_token() -> None:
    with Engine() as engine:
        execution = engine.start(engine.create(machine({"F": {"Type": "Fail", "Error": "E"}})))
        engine.wait(execution)
        first = engine("RedriveExecution", executionArn=execution, clientToken="a")
        engine.wait(execution)
        assert engine("RedriveExecution", executionArn=execution, clientToken="a") == first
        assert engine.wait(execution)["redriveCount"] == 1
        engine("RedriveExecution", executionArn=execution, clientToken="b")
        assert engine.wait(execution)["redriveCount"] == 2


def test_what_succeeded_cannot_be_redriven() -> None:
    with Engine() as engine:
        execution = engine.start(engine.create(machine({"P": {"Type": "Pass", "End": True}})))
        engine.wait(execution)
        with pytest.raises(ApiError) as refused:
            engine("RedriveExecution", executionArn=execution)
        said = f"Execution {execution} invalid for redrive as: Execution is SUCCEEDED and cannot be redriven"
        assert (refused.value.code, refused.value.message) == ("ExecutionNotRedrivable", said)
