"""TestState: what a state does with an input or a mock, and which mocks it refuses. Source: API reference, TestState."""

import json
from typing import Any

import pytest

from local.service import ApiError
from tests.conformance.machinery import ROLE, Engine, lambda_task, machine

JSONATA = {"QueryLanguage": "JSONata"}
TASK: dict[str, Any] = {**JSONATA, **lambda_task("f", "{% $v %}")}
MAP: dict[str, Any] = {
    **JSONATA,
    "Type": "Map",
    "Items": "{% $states.input.xs %}",
    "MaxConcurrency": 3,
    "End": True,
    "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
}
PARALLEL: dict[str, Any] = {
    **JSONATA,
    "Type": "Parallel",
    "Branches": [{"StartAt": n, "States": {n: {"Type": "Pass", "End": True}}} for n in "ab"],
    "End": True,
}


def ask(definition: dict[str, Any], **request: Any) -> dict[str, Any]:
    with Engine() as engine:
        return engine("TestState", definition=json.dumps(definition), **request)


def test_info_shows_the_outcome_debug_also_the_way_there() -> None:
    state = {**JSONATA, "Type": "Pass", "Assign": {"w": 2}, "Output": "{% $states.input.n + $v %}", "Next": "Z"}
    assert ask(state, input='{"n": 1}', variables='{"v": 4}') == {
        "status": "SUCCEEDED",
        "output": "5",
        "nextState": "Z",
    }
    seen = ask(state, input='{"n": 1}', variables='{"v": 4}', inspectionLevel="DEBUG")["inspectionData"]
    assert (seen["input"], json.loads(seen["variables"])) == ('{"n": 1}', {"v": 4, "w": 2})


def test_a_wait_is_not_waited_for_but_its_time_must_be_one() -> None:
    wait = {**JSONATA, "Type": "Wait", "Timestamp": "{% $states.input.at %}", "End": True}
    assert ask(wait, input='{"at": "2126-01-01T00:00:00Z"}')["status"] == "SUCCEEDED"
    answer = ask(wait, input='{"at": "tomorrow"}')
    assert (answer["status"], answer["error"]) == ("FAILED", "States.Runtime")


def test_a_mocked_result() -> None:
    mock = {"result": '{"StatusCode": 200, "Payload": {"z": 8}}', "fieldValidationMode": "NONE"}
    answer = ask(
        {**TASK, "Output": "{% $states.result.Payload.z %}"}, variables='{"v": 3}', mock=mock, inspectionLevel="TRACE"
    )
    assert (answer["status"], answer["output"]) == ("SUCCEEDED", "8")
    assert answer["inspectionData"]["result"] == mock["result"]
    assert json.loads(answer["inspectionData"]["afterArguments"]) == {"FunctionName": "f", "Payload": 3}


def test_a_mock_stands_in_for_an_integration_that_is_not_run_here() -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Arguments": {"Method": "GET"}, "End": True}
    definition = machine({"A": {"Type": "Pass", "Next": "B"}, "B": task})
    answer = ask(definition, stateName="B", mock={"result": '{"ok": true}'})
    assert (answer["status"], answer["output"]) == ("SUCCEEDED", '{"ok": true}')
    assert ask(definition, stateName="A")["nextState"] == "B"
    with pytest.raises(ApiError, match="is not run by this engine"):
        ask(definition, stateName="B", roleArn=ROLE)


def test_a_mocked_error_is_retried_then_caught_then_fails() -> None:
    rules = {
        "Retry": [{"ErrorEquals": ["E"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 3}],
        "Catch": [
            {"ErrorEquals": ["X"], "Next": "A"},
            {"ErrorEquals": ["States.TaskFailed"], "Next": "B", "Output": "{% $states.errorOutput.Cause %}"},
        ],
    }
    mock = {"errorOutput": {"error": "E", "cause": "c"}}
    request: dict[str, Any] = {"variables": '{"v": 1}', "mock": mock, "inspectionLevel": "DEBUG"}
    retried = ask({**TASK, **rules}, **request, stateConfiguration={"retrierRetryCount": 1})
    assert (retried["status"], retried["error"], retried["cause"]) == ("RETRIABLE", "E", "c")
    assert retried["inspectionData"]["errorDetails"] == {"retryIndex": 0, "retryBackoffIntervalSeconds": 6}
    caught = ask({**TASK, **rules}, **request, stateConfiguration={"retrierRetryCount": 2})
    assert (caught["status"], caught["output"], caught["nextState"]) == ("CAUGHT_ERROR", '"c"', "B")
    assert caught["inspectionData"]["errorDetails"] == {"retryIndex": 0, "catchIndex": 1}
    spent = ask({**TASK, "Retry": rules["Retry"]}, **request, stateConfiguration={"retrierRetryCount": 2})
    assert (spent["status"], spent["inspectionData"]["errorDetails"]) == ("FAILED", {"retryIndex": 0})
    assert ask(TASK, **request)["status"] == "FAILED"


def test_a_task_is_called_when_nothing_is_mocked() -> None:
    with Engine() as engine:
        answer = engine("TestState", definition=json.dumps({**JSONATA, **lambda_task("echo", {"a": 1})}), roleArn=ROLE)
    assert answer["output"] == '{"a":1}'


def test_a_map_shows_its_selection_and_its_limits() -> None:
    state = {
        **MAP,
        "ItemSelector": {"v": "{% $states.context.Map.Item.Value %}"},
        "ToleratedFailureCount": 1,
        "ItemProcessor": {
            **MAP["ItemProcessor"],
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        },
    }
    request: dict[str, Any] = {"input": '{"xs": [1, 2]}', "mock": {"result": "[1, 2]"}, "inspectionLevel": "DEBUG"}
    answer = ask(state, **request)
    seen = answer["inspectionData"]
    assert (answer["output"], seen["maxConcurrency"], seen["toleratedFailureCount"]) == ("[1, 2]", 3, 1)
    assert json.loads(seen["afterItemSelector"]) == [{"v": 1}, {"v": 2}]
    over = ask(state, **request, stateConfiguration={"mapIterationFailureCount": 2})
    assert (over["error"], over["cause"]) == (
        "States.ExceedToleratedFailureThreshold",
        "The specified tolerated failure threshold was exceeded",
    )


def test_a_state_of_a_machine() -> None:
    definition = machine({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Fail", "Error": "E"}})
    assert ask(definition, stateName="A") == {"status": "SUCCEEDED", "output": "{}", "nextState": "B"}
    assert ask(definition, stateName="B") == {"status": "FAILED", "error": "E"}


def test_a_given_context_is_used_as_it_is() -> None:
    state = {**TASK, "Output": "{% $states.context %}"}
    given = {"Execution": {"Name": "mine"}, "State": {"RetryCount": 2}}
    answer = ask(state, variables='{"v": 1}', mock={"result": '{"StatusCode": 200}'}, context=json.dumps(given))
    assert json.loads(answer["output"]) == given


S3 = {
    **JSONATA,
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
    "Arguments": {"Bucket": "b", "Key": "k"},
    "End": True,
}
START = {
    **JSONATA,
    "Type": "Task",
    "Resource": "arn:aws:states:::states:startExecution",
    "Arguments": {"StateMachineArn": "m"},
    "End": True,
}
EVENTS = {
    **JSONATA,
    "Type": "Task",
    "Resource": "arn:aws:states:::events:putEvents",
    "Arguments": {"Entries": []},
    "End": True,
}
WRITTEN = {
    **MAP,
    "ItemProcessor": {**MAP["ItemProcessor"], "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
    "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b"}},
}
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({**JSONATA, "Type": "Pass", "End": True}, {"mock": {"result": "1"}}, "State type 'Pass' is not supported when a mock is specified"),
    (TASK, {"mock": {"result": "1", "errorOutput": {}}}, "A test mock should have only one of the following fields: [result, errorOutput]."),
    (TASK, {"mock": {"result": "1"}, "revealSecrets": True}, "TestState does not support RevealSecrets when a mock is specified."),
    (TASK, {}, "RoleArn must be specified when testing a Task state"),
    (MAP, {"mock": {"result": "1"}}, "Mocked result must be an array."),
    (WRITTEN, {"mock": {"result": "[]"}}, "Mocked result must be a JSON object."),
    (PARALLEL, {"mock": {"result": "[1]"}}, "Mocked result must contain the same number of items as number of Parallel branches."),
    (MAP, {}, "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]"),
    (EVENTS, {"mock": {"result": '{"Entries": 1}'}}, "Mock result schema validation error: Field 'Entries' must be an array"),
    (EVENTS, {"mock": {"result": '{"Entries": [{"EventId": 1}]}'}}, "Mock result schema validation error: Field 'EventId' must be a string"),
    (START, {"mock": {"result": "{}"}}, "Mock result schema validation error: Required field 'ExecutionArn' is missing"),
    (S3, {"mock": {"result": '{"ContentLength": "1"}'}}, "Mock result schema validation error: Field 'ContentLength' must be a number"),
    (S3, {"mock": {"result": '{"StorageClass": "COLD"}'}}, "Mock result schema validation error: Field 'StorageClass' is not an expected value"),
    (TASK, {"mock": {"result": "{}"}, "context": '{"Map": {}}'}, "Invalid Context object provided: 'Map' field is not supported when mocking a Context object"),
    (TASK, {"mock": {"result": "{}"}, "context": '{"Execution": {"x": 1}}'}, "Invalid Context object provided: Field 'x' is not allowed"),
    (TASK, {"mock": {"result": "{}"}, "context": '{"Execution": {"Id": 1}}'}, "Invalid Context object provided: Execution.Id must be a string"),
    (machine({"A": {"Type": "Pass", "End": True}}), {"stateName": "B"}, "State not found in definition"),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "request_", "said"), REFUSED, ids=[case[2][:60] for case in REFUSED])
def test_refusals(definition: dict[str, Any], request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError) as caught:
        ask(definition, **request_)
    assert caught.value.message == said


@pytest.mark.parametrize("mode", ["PRESENT", "NONE"])
def test_a_mock_need_not_be_whole(mode: str) -> None:
    assert ask(START, mock={"result": "{}", "fieldValidationMode": mode})["status"] == "SUCCEEDED"


def test_a_mock_must_look_like_what_it_stands_for() -> None:
    def said(state: dict[str, Any], mock: dict[str, Any], **more: Any) -> str:
        with pytest.raises(ApiError) as refused:
            ask(state, mock=mock, **more)
        return refused.value.message

    assert said(TASK, {}, variables='{"v": 3}').startswith("One of the following fields is required for a test mock")
    assert said(TASK, {"errorOutput": {}}) == "An error was not specified in the mocked error output."
    assert said(TASK, {"result": "null"}) == "Mocked result must be a valid JSON object."
    assert said(TASK, {"result": '{"Payload": {"z": 8}}'}).endswith("Field 'Payload' must be a string")
    count = {"mapIterationFailureCount": 1}
    assert "only supported when testing a Map state" in said(TASK, {"result": "{}"}, stateConfiguration=count)


def test_a_map_is_shown_as_its_items_are_read_selected_and_batched() -> None:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "C",
        "States": {"C": {"Type": "Pass", "End": True}},
    }
    state = {
        **JSONATA, "Type": "Map", "ItemProcessor": processor, "ItemBatcher": {"MaxItemsPerBatch": 2}, "ToleratedFailureCount": 1,
        "ItemSelector": {"v": "{% $states.context.Map.Item.Value %}"}, "End": True,
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject", "Arguments": {"Bucket": "b", "Key": "k"},
            "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/items"},
        },
    }  # fmt: skip
    data: dict[str, Any] = {"mapItemReaderData": '{"items": [4, 5, 6]}'}
    answer = ask(state, mock={"result": "[1, 2]"}, stateConfiguration=data, inspectionLevel="DEBUG")
    seen = answer["inspectionData"]
    assert (answer["status"], answer["output"], seen["afterItemsPointer"]) == ("SUCCEEDED", "[1, 2]", "[4,5,6]")
    assert seen["afterItemSelector"] == '[{"v":4}, {"v":5}, {"v":6}]'
    assert json.loads(seen["afterItemBatcher"])[1] == {"Items": ['{"v":6}']}
    failed = ask(state, mock={"result": "[1]"}, stateConfiguration=data | {"mapIterationFailureCount": 2})
    assert failed["error"] == "States.ExceedToleratedFailureThreshold"
    for mock, settings in (("[1]", data), ("[1, 2]", data | {"mapIterationFailureCount": 3}), ("[1]", {})):
        with pytest.raises(ApiError):
            ask(state, mock={"result": mock}, stateConfiguration=settings)


def test_variables_have_limits() -> None:
    def cause(**assign: int) -> str:
        made = {name: f"{{% $pad('', {size}, 'x') %}}" for name, size in assign.items()}
        answer = ask({**JSONATA, "Type": "Pass", "Assign": made, "Output": {}, "End": True})
        return str(answer.get("cause", answer["status"]))

    assert cause(x=262_142) == "SUCCEEDED" == cause(x=131_070, y=131_070)
    assert cause(x=262_143) == (
        "Variable size limit exceeded. Variable 'x' in state 'StateName' was assigned 262145 bytes."
    )
    assert cause(x=131_071, y=131_071).endswith(
        "the size of variables assigned in the state to exceed its limit by 2 bytes."
    )
    assert cause(x=262_145).endswith("memory limit exceeded: Check for excessive memory usage")
