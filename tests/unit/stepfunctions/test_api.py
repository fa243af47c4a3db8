"""The API around the engine: names, idempotency, stop, redrive, versions, tags, tokens, status events, persistence."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from local.clock import RealClock, VirtualClock
from local.service import ApiError
from tests.conformance.machinery import ROLE, Engine, FunctionError, lambda_task, machine

PASS = machine({"A": {"Type": "Pass", "End": True}})
WAIT = machine(
    {
        "A": {"Type": "Pass", "Assign": {"v": 1}, "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 3600, "Next": "Z"},
        "Z": {"Type": "Pass", "Output": "{% $v %}", "End": True},
    }
)
TOKEN = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "Arguments": {"FunctionName": "keep", "Payload": "{% $states.context.Task.Token %}"},
    "End": True,
}


def refused(code: str, call: Any) -> str:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.code == code
    return caught.value.message


def kept(engine: Engine) -> list[str]:
    """The tokens that the function `keep` was given; wait for the first with `first`."""
    tokens: list[str] = []
    engine.aws.functions["keep"] = tokens.append
    return tokens


def first(tokens: list[str], count: int = 1) -> str:
    end = time.monotonic() + 30
    while len(tokens) < count:
        assert time.monotonic() < end, "the task never called its function"
        time.sleep(0.002)
    return tokens[count - 1]


def test_create_is_idempotent_and_refuses_another_definition() -> None:
    with Engine() as engine:
        arn = engine.create(PASS, "m")
        assert engine.create(PASS, "m") == arn
        refused("StateMachineAlreadyExists", lambda: engine.create(WAIT, "m"))
        refused("InvalidName", lambda: engine.create(PASS, "a b"))
        described = engine("DescribeStateMachine", stateMachineArn=arn)
        assert (described["status"], described["type"], described["roleArn"]) == ("ACTIVE", "STANDARD", ROLE)


def test_start_is_idempotent_on_name_and_input_while_it_runs() -> None:
    with Engine(RealClock()) as engine:
        arn = engine.create(WAIT)
        execution = engine.start(arn, {"a": 1})
        assert engine.start(arn, {"a": 1}) == execution
        refused("ExecutionAlreadyExists", lambda: engine.start(arn, {"a": 2}))
        engine("StopExecution", executionArn=execution)
        refused("ExecutionAlreadyExists", lambda: engine.start(arn, {"a": 1}))
        refused("InvalidExecutionInput", lambda: engine("StartExecution", stateMachineArn=arn, input="{"))
        refused("StateMachineDoesNotExist", lambda: engine("StartExecution", stateMachineArn=arn + "x"))


def test_stop_stops_what_runs_and_stays_aborted() -> None:
    with Engine(RealClock()) as engine:
        tokens = kept(engine)
        execution = engine.start(engine.create(machine({"T": TOKEN})))
        token = first(tokens)
        engine("StopExecution", executionArn=execution, error="Stopped", cause="by hand")
        ended = engine("DescribeExecution", executionArn=execution)
        assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Stopped", "by hand")
        refused("TaskTimedOut", lambda: engine("SendTaskSuccess", taskToken=token, output="1"))
        assert engine("DescribeExecution", executionArn=execution)["status"] == "ABORTED"
        assert engine.history(execution).splitlines()[-1].endswith("ExecutionAborted cause=by hand error=Stopped")


def test_a_task_token_is_answered_once() -> None:
    with Engine(RealClock()) as engine:
        tokens = kept(engine)
        execution = engine.start(engine.create(machine({"T": {**TOKEN, "HeartbeatSeconds": 60}})))
        token = first(tokens)
        engine("SendTaskHeartbeat", taskToken=token)
        refused("InvalidOutput", lambda: engine("SendTaskSuccess", taskToken=token, output="{"))
        refused("InvalidToken", lambda: engine("SendTaskSuccess", taskToken="nonsense", output="{}"))
        engine("SendTaskSuccess", taskToken=token, output='{"job": 1}')
        assert engine.wait(execution)["output"] == '{"job": 1}'
        refused("TaskTimedOut", lambda: engine("SendTaskFailure", taskToken=token, error="Late"))


def test_a_task_that_failed_says_error_and_cause() -> None:
    with Engine(RealClock()) as engine:
        tokens = kept(engine)
        execution = engine.start(engine.create(machine({"T": TOKEN})))
        engine("SendTaskFailure", taskToken=first(tokens), error="AlgorithmError", cause="no rows")
        ended = engine.wait(execution)
        assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "AlgorithmError", "no rows")


def test_heartbeats_keep_a_task_alive() -> None:
    clock = VirtualClock()
    worker = clock.new_loop()  # busy until it first sleeps, so no time passes before
    with Engine(clock) as engine:
        tokens = kept(engine)
        execution = engine.start(engine.create(machine({"T": {**TOKEN, "HeartbeatSeconds": 4}})))
        token = first(tokens)

        async def beat() -> str:
            for _ in range(4):
                await clock.sleep(3)
                engine("SendTaskHeartbeat", taskToken=token)
            return str(engine("DescribeExecution", executionArn=execution)["status"])

        assert worker.run_until_complete(beat()) == "RUNNING"
        worker.close()
        assert engine.wait(execution)["error"] == "States.Timeout"


def test_redrive_goes_on_at_the_state_that_failed() -> None:
    with Engine() as engine:
        calls: list[Any] = []

        def flaky(payload: Any) -> Any:
            calls.append(payload)
            if len(calls) == 1:
                raise FunctionError("Broken")
            return payload

        engine.aws.functions["flaky"] = flaky
        definition = machine(
            {
                "A": {"Type": "Pass", "Assign": {"v": 7}, "Output": {"a": 1}, "Next": "T"},
                "T": lambda_task(
                    "flaky",
                    {"v": "{% $v %}", "in": "{% $states.input %}", "n": "{% $states.context.Execution.RedriveCount %}"},
                ),
            }
        )
        execution = engine.start(engine.create(definition))
        assert engine.wait(execution)["redriveStatus"] == "REDRIVABLE"
        engine("RedriveExecution", executionArn=execution)
        ended = engine.wait(execution)
        assert (ended["status"], ended["redriveCount"]) == ("SUCCEEDED", 1)
        assert json.loads(ended["output"]) == {"v": 7, "in": {"a": 1}, "n": 1}
        assert sum("PassStateEntered" in row for row in engine.history(execution).splitlines()) == 1
        refused("ExecutionNotRedrivable", lambda: engine("RedriveExecution", executionArn=execution))


@pytest.mark.parametrize("mode", ["map", "parallel", "distributed"])
def test_redrive_runs_only_what_failed_inside_a_state(mode: str) -> None:
    with Engine() as engine:
        calls: list[Any] = []

        def second_fails_once(payload: Any) -> Any:
            calls.append(payload)
            if payload == 2 and calls.count(2) == 1:
                time.sleep(0.3)  # let the others end first
                raise FunctionError("Broken")
            return payload

        engine.aws.functions["work"] = second_fails_once
        task = lambda_task("work", "{% $states.input %}")
        processor: dict[str, Any] = {"StartAt": "T", "States": {"T": task}}
        state: dict[str, Any] = {"Type": "Map", "Items": [1, 2, 3], "ItemProcessor": processor, "End": True}
        if mode == "distributed":
            processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
            state |= {"ToleratedFailurePercentage": 1}
        if mode == "parallel":
            branches = [{"StartAt": f"T{n}", "States": {f"T{n}": lambda_task("work", n)}} for n in (1, 2, 3)]
            state = {"Type": "Parallel", "Branches": branches, "End": True}
        execution = engine.start(engine.create(machine({"S": state})))
        assert engine.wait(execution)["status"] == "FAILED"
        engine("RedriveExecution", executionArn=execution)
        ended = engine.wait(execution)
        assert (ended["status"], ended.get("output")) == ("SUCCEEDED", "[1,2,3]"), ended
        assert sorted(calls) == [1, 2, 2, 3]


def test_executions_are_listed_and_paged() -> None:
    with Engine() as engine:
        arn = engine.create(PASS)
        for number in range(5):
            engine.wait(engine.start(arn, name=f"e{number}"))
        page = engine("ListExecutions", stateMachineArn=arn, maxResults=3)
        rest = engine("ListExecutions", stateMachineArn=arn, maxResults=3, nextToken=page["nextToken"])
        names = [e["name"] for e in page["executions"] + rest["executions"]]
        assert sorted(names) == [f"e{number}" for number in range(5)] and "nextToken" not in rest
        assert engine("ListExecutions", stateMachineArn=arn, statusFilter="FAILED")["executions"] == []


def test_history_is_paged_reversed_and_without_data() -> None:
    with Engine() as engine:
        execution = engine.start(engine.create(PASS), {"secret": 1})
        engine.wait(execution)
        page = engine("GetExecutionHistory", executionArn=execution, maxResults=3, reverseOrder=True)
        assert [event["id"] for event in page["events"]] == [4, 3, 2]
        rest = engine(
            "GetExecutionHistory", executionArn=execution, maxResults=3, reverseOrder=True, nextToken=page["nextToken"]
        )
        assert [event["id"] for event in rest["events"]] == [1]
        bare = engine("GetExecutionHistory", executionArn=execution, includeExecutionData=False)
        assert "secret" not in json.dumps(bare)


def test_status_events_come_in_order_and_in_aws_shape() -> None:
    with Engine() as engine:
        execution = engine.start(engine.create(machine({"F": {"Type": "Fail", "Error": "E", "Cause": "c"}})), {"a": 1})
        engine.wait(execution)
    running, failed = engine.events
    assert (running["source"], running["detail-type"], running["resources"]) == (
        "aws.states",
        "Step Functions Execution Status Change",
        [execution],
    )
    assert [event["detail"]["status"] for event in engine.events] == ["RUNNING", "FAILED"]
    assert (running["detail"]["stopDate"], running["detail"]["output"], running["detail"]["error"]) == (
        None,
        None,
        None,
    )
    detail = failed["detail"]
    assert (detail["error"], detail["cause"], detail["input"], detail["inputDetails"]) == (
        "E",
        "c",
        '{"a":1}',
        {"included": True},
    )
    assert isinstance(detail["startDate"], int) and detail["stopDate"] >= detail["startDate"] > 10**12


def test_an_update_leaves_running_executions_alone() -> None:
    with Engine(RealClock()) as engine:
        tokens = kept(engine)
        arn = engine.create(
            machine({"T": {**TOKEN, "End": False, "Next": "Z"}, "Z": {"Type": "Pass", "Output": "old", "End": True}})
        )
        execution = engine.start(arn)
        token = first(tokens)
        engine("UpdateStateMachine", stateMachineArn=arn, definition=json.dumps(PASS))
        engine("SendTaskSuccess", taskToken=token, output="1")
        assert engine.wait(execution)["output"] == '"old"'
        assert "T" in engine("DescribeStateMachineForExecution", executionArn=execution)["definition"]
        assert engine("DescribeStateMachine", stateMachineArn=arn)["definition"] == json.dumps(PASS)


def test_versions_and_aliases_route_executions() -> None:
    with Engine() as engine:
        arn = engine.create(machine({"A": {"Type": "Pass", "Output": 1, "End": True}}), publish=True)
        engine(
            "UpdateStateMachine",
            stateMachineArn=arn,
            definition=json.dumps(machine({"A": {"Type": "Pass", "Output": 2, "End": True}})),
            publish=True,
        )
        versions = [
            v["stateMachineVersionArn"]
            for v in engine("ListStateMachineVersions", stateMachineArn=arn)["stateMachineVersions"]
        ]
        assert versions == [f"{arn}:2", f"{arn}:1"]
        alias = engine(
            "CreateStateMachineAlias",
            name="live",
            routingConfiguration=[{"stateMachineVersionArn": f"{arn}:1", "weight": 100}],
        )["stateMachineAliasArn"]
        ended = engine.wait(engine.start(alias, name="a"))
        assert (ended["output"], ended["stateMachineAliasArn"], ended["stateMachineVersionArn"]) == (
            "1",
            alias,
            f"{arn}:1",
        )
        refused("ConflictException", lambda: engine("DeleteStateMachineVersion", stateMachineVersionArn=f"{arn}:1"))
        engine(
            "UpdateStateMachineAlias",
            stateMachineAliasArn=alias,
            routingConfiguration=[{"stateMachineVersionArn": f"{arn}:2", "weight": 100}],
        )
        assert engine.wait(engine.start(alias, name="b"))["output"] == "2"
        assert engine.wait(engine.start(f"{arn}:1", name="c"))["output"] == "1"


def test_tags() -> None:
    with Engine() as engine:
        arn = engine.create(PASS, tags=[{"key": "team", "value": "science"}])
        engine("TagResource", resourceArn=arn, tags=[{"key": "cost", "value": "1"}])
        engine("UntagResource", resourceArn=arn, tagKeys=["team"])
        assert engine("ListTagsForResource", resourceArn=arn)["tags"] == [{"key": "cost", "value": "1"}]


def test_express_machines_run_synchronously() -> None:
    with Engine() as engine:
        arn = engine.create(PASS, type="EXPRESS")
        answer = engine("StartSyncExecution", stateMachineArn=arn, input='{"z": 1}')
        assert (answer["status"], answer["output"]) == ("SUCCEEDED", '{"z": 1}')
        refused(
            "StateMachineTypeNotSupported", lambda: engine("StartSyncExecution", stateMachineArn=engine.create(PASS))
        )


def test_what_is_not_there_is_refused_by_name() -> None:
    with Engine() as engine:
        assert "CreateActivity" in refused("UnknownOperationException", lambda: engine("CreateActivity", name="a"))


def test_machines_and_executions_outlive_the_process(tmp_path: Path) -> None:
    with Engine(state=tmp_path) as engine:
        arn = engine.create(PASS)
        engine.wait(engine.start(arn, {"a": 1}))
    with Engine(state=tmp_path) as engine:
        assert engine("DescribeStateMachine", stateMachineArn=arn)["name"] == "machine"
        execution = engine("ListExecutions", stateMachineArn=arn)["executions"][0]["executionArn"]
        assert len(engine.history(execution).splitlines()) == 4


def test_what_ran_when_the_process_ended_can_be_redriven(tmp_path: Path) -> None:
    with Engine(RealClock(), state=tmp_path) as engine:
        execution = engine.start(engine.create(WAIT))
        time.sleep(0.05)
    with Engine(VirtualClock(time.time()), state=tmp_path) as engine:
        ended = engine("DescribeExecution", executionArn=execution)
        assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
        engine("RedriveExecution", executionArn=execution)
        assert engine.wait(execution)["output"] == "1"


def test_what_ran_when_the_process_was_killed_ends_as_failed(tmp_path: Path) -> None:
    with Engine(RealClock(), state=tmp_path) as killed:
        execution = killed.start(killed.create(WAIT))
        with Engine(RealClock(), state=tmp_path) as engine:  # as if the first had died without a word
            ended = engine("DescribeExecution", executionArn=execution)
            assert (ended["status"], ended["cause"]) == ("FAILED", "Step Functions was killed while the execution ran.")
        assert [event["detail"]["status"] for event in engine.events] == ["FAILED"]


def test_calls_carry_the_role_of_the_execution_or_of_the_task() -> None:
    with Engine() as engine:
        other = "arn:aws:iam::999999999999:role/other"
        definition = machine(
            {"A": lambda_task("echo", Next="B"), "B": lambda_task("echo", Credentials={"RoleArn": other})}
        )
        assert engine.run(definition)["status"] == "SUCCEEDED"
        assert [role for _, role, _ in engine.aws.calls] == [ROLE, other]


def test_many_callers_at_once() -> None:
    with Engine() as engine:
        arn = engine.create(PASS)
        threads = [threading.Thread(target=lambda n=n: engine.wait(engine.start(arn, name=f"e{n}"))) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(engine("ListExecutions", stateMachineArn=arn, statusFilter="SUCCEEDED")["executions"]) == 20
