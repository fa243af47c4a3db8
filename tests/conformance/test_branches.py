"""Parallel and inline Map: order, concurrency, failures. Source: developer guide, "Parallel" and "Map in Inline mode"."""

import time
from typing import Any

import pytest

from tests.conformance.machinery import Case, FunctionError, check, lambda_task, machine


def branch(name: str, **fields: Any) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: {"Type": "Pass", "End": True, **fields}}}


def iterate(state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return machine(
        {"Each": {"Type": "Map", "ItemProcessor": {"StartAt": "Do", "States": {"Do": state}}, "End": True, **fields}}
    )


def fail(payload: Any) -> Any:
    raise FunctionError("Broken", "it broke")


def in_order(payload: Any) -> Any:
    time.sleep(payload % 7 / 4)  # 7 answers at once, 8 well after it, on a busy machine too
    return payload


DO = {"Type": "Pass", "Output": "{% $states.input * 10 %}", "End": True}
CASES = [
    Case(
        "the outputs of the branches in their order",
        machine(
            {
                "P": {
                    "Type": "Parallel",
                    "Arguments": {"q": "{% $states.input.n %}"},
                    "Branches": [branch("L", Output="{% $states.input.q + 1 %}"), branch("R")],
                    "Output": {"in": "{% $states.input %}", "out": "{% $states.result %}"},
                    "End": True,
                }
            }
        ),
        input={"n": 1},
        history="""
1 <0 ExecutionStarted input={"n":1} roleArn=<role>
2 <0 ParallelStateEntered input={"n":1} name=P
3 <2 ParallelStateStarted
4 <3 PassStateEntered input={"q":1} name=L
5 <4 PassStateExited name=L output=2
6 <3 PassStateEntered input={"q":1} name=R
7 <6 PassStateExited name=R output={"q":1}
8 <7 ParallelStateSucceeded
9 <7 ParallelStateExited name=P output={"in":{"n":1},"out":[2,{"q":1}]}
10 <9 ExecutionSucceeded output={"in":{"n":1},"out":[2,{"q":1}]}
""",
    ),
    Case(
        "one iteration after another",
        iterate(DO, Items="{% $states.input.xs %}", MaxConcurrency=1),
        input={"xs": [1, 2]},
        history="""
1 <0 ExecutionStarted input={"xs":[1,2]} roleArn=<role>
2 <0 MapStateEntered input={"xs":[1,2]} name=Each
3 <2 MapStateStarted length=2
4 <3 MapIterationStarted index=0 name=Each
5 <4 PassStateEntered input=1 name=Do
6 <5 PassStateExited name=Do output=10
7 <6 MapIterationSucceeded index=0 name=Each
8 <6 MapIterationStarted index=1 name=Each
9 <8 PassStateEntered input=2 name=Do
10 <9 PassStateExited name=Do output=20
11 <10 MapIterationSucceeded index=1 name=Each
12 <11 MapStateSucceeded
13 <11 MapStateExited name=Each output=[10,20]
14 <13 ExecutionSucceeded output=[10,20]
""",
    ),
    Case(
        "iterations side by side are all started first",
        iterate(lambda_task("in_order", "{% $states.input %}"), Items=[7, 8]),
        functions={"in_order": in_order},
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 MapStateEntered input={} name=Each
3 <2 MapStateStarted length=2
4 <3 MapIterationStarted index=0 name=Each
5 <3 MapIterationStarted index=1 name=Each
6 <4 TaskStateEntered input=7 name=Do
7 <6 TaskScheduled parameters={"FunctionName":"in_order","Payload":7} region=us-east-1 resource=invoke resourceType=lambda
8 <5 TaskStateEntered input=8 name=Do
9 <8 TaskScheduled parameters={"FunctionName":"in_order","Payload":8} region=us-east-1 resource=invoke resourceType=lambda
10 <7 TaskStarted resource=invoke resourceType=lambda
11 <9 TaskStarted resource=invoke resourceType=lambda
12 <10 TaskSucceeded output={"ExecutedVersion":"$LATEST","Payload":7,"SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"request"},"StatusCode":200} resource=invoke resourceType=lambda
13 <12 TaskStateExited name=Do output=7
14 <13 MapIterationSucceeded index=0 name=Each
15 <11 TaskSucceeded output={"ExecutedVersion":"$LATEST","Payload":8,"SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"request"},"StatusCode":200} resource=invoke resourceType=lambda
16 <15 TaskStateExited name=Do output=8
17 <16 MapIterationSucceeded index=1 name=Each
18 <17 MapStateSucceeded
19 <17 MapStateExited name=Each output=[7,8]
20 <19 ExecutionSucceeded output=[7,8]
""",
    ),
    Case(
        "no items",
        iterate(DO, Items=[]),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 MapStateEntered input={} name=Each
3 <2 MapStateStarted length=0
4 <3 MapStateSucceeded
5 <3 MapStateExited name=Each output=[]
6 <5 ExecutionSucceeded output=[]
""",
    ),
    Case(
        "the item selector sees the item, its index and the state's input",
        iterate(
            {"Type": "Pass", "End": True},
            Items="{% $states.input.xs %}",
            MaxConcurrency=1,
            ItemSelector={
                "i": "{% $states.context.Map.Item.Index %}",
                "v": "{% $states.context.Map.Item.Value %}",
                "n": "{% $states.input.n %}",
            },
            Output="{% $states.result.i %}",
        ),
        input={"xs": ["a", "b"], "n": 5},
        history="""
1 <0 ExecutionStarted input={"xs":["a","b"],"n":5} roleArn=<role>
2 <0 MapStateEntered input={"xs":["a","b"],"n":5} name=Each
3 <2 MapStateStarted length=2
4 <3 MapIterationStarted index=0 name=Each
5 <4 PassStateEntered input={"i":0,"v":"a","n":5} name=Do
6 <5 PassStateExited name=Do output={"i":0,"v":"a","n":5}
7 <6 MapIterationSucceeded index=0 name=Each
8 <6 MapIterationStarted index=1 name=Each
9 <8 PassStateEntered input={"i":1,"v":"b","n":5} name=Do
10 <9 PassStateExited name=Do output={"i":1,"v":"b","n":5}
11 <10 MapIterationSucceeded index=1 name=Each
12 <11 MapStateSucceeded
13 <11 MapStateExited name=Each output=[0,1]
14 <13 ExecutionSucceeded output=[0,1]
""",
    ),
    Case(
        "an iteration that fails aborts the others and fails the state",
        machine(
            {
                "Each": {
                    "Type": "Map",
                    "Items": [1, 2],
                    "ItemProcessor": {
                        "StartAt": "Which",
                        "States": {
                            "Which": {
                                "Type": "Choice",
                                "Choices": [{"Condition": "{% $states.input = 1 %}", "Next": "Bad"}],
                                "Default": "Long",
                            },
                            "Bad": lambda_task("fail"),
                            "Long": {"Type": "Wait", "Seconds": 60, "End": True},
                        },
                    },
                    "Catch": [{"ErrorEquals": ["Broken"], "Next": "Caught"}],
                    "End": True,
                },
                "Caught": {"Type": "Succeed", "Output": "{% $states.input.Error %}"},
            }
        ),
        functions={"fail": fail},
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 MapStateEntered input={} name=Each
3 <2 MapStateStarted length=2
4 <3 MapIterationStarted index=0 name=Each
5 <3 MapIterationStarted index=1 name=Each
6 <4 ChoiceStateEntered input=1 name=Which
7 <6 ChoiceStateExited name=Which output=1
8 <7 TaskStateEntered input=1 name=Bad
9 <8 TaskScheduled parameters={"FunctionName":"fail","Payload":{}} region=us-east-1 resource=invoke resourceType=lambda
10 <5 ChoiceStateEntered input=2 name=Which
11 <10 ChoiceStateExited name=Which output=2
12 <11 WaitStateEntered input=2 name=Long
13 <9 TaskStarted resource=invoke resourceType=lambda
14 <13 TaskFailed cause={"errorMessage":"it broke","errorType":"Broken"} error=Broken resource=invoke resourceType=lambda
15 <14 MapIterationFailed index=0 name=Each
16 <14 TaskStateAborted
17 <14 MapIterationAborted index=1 name=Each
18 <14 WaitStateAborted
19 <14 MapStateFailed
20 <19 MapStateExited name=Each output={"Error":"Broken","Cause":"{\\"errorMessage\\":\\"it broke\\",\\"errorType\\":\\"Broken\\"}"}
21 <20 SucceedStateEntered input={"Error":"Broken","Cause":"{\\"errorMessage\\":\\"it broke\\",\\"errorType\\":\\"Broken\\"}"} name=Caught
22 <21 SucceedStateExited name=Caught output="Broken"
23 <22 ExecutionSucceeded output="Broken"
""",
    ),
    Case(
        "a map that is retried starts anew",
        iterate({"Type": "Fail", "Error": "E"}, Items=[1], Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}]),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 MapStateEntered input={} name=Each
3 <2 MapStateStarted length=1
4 <3 MapIterationStarted index=0 name=Each
5 <4 FailStateEntered input=1 name=Do
6 <5 MapIterationFailed index=0 name=Each
7 <5 MapStateStarted length=1
8 <7 MapIterationStarted index=0 name=Each
9 <8 FailStateEntered input=1 name=Do
10 <9 MapIterationFailed index=0 name=Each
11 <9 MapStateFailed
12 <11 ExecutionFailed error=E
""",
    ),
    Case(
        "items that are no array",
        iterate(DO, Items="{% $states.input.xs %}"),
        input={"xs": {"a": 1}},
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={"xs":{"a":1}} roleArn=<role>
2 <0 MapStateEntered input={"xs":{"a":1}} name=Each
3 <0 EvaluationFailed cause=An error occurred while executing the state 'Each' (entered at the event id #2). The JSONata expression '$states.input.xs' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was 'object' for value: {"a":1} error=States.QueryEvaluationError location=Items state=Each
4 <3 MapStateFailed
5 <4 ExecutionFailed cause=An error occurred while executing the state 'Each' (entered at the event id #2). The JSONata expression '$states.input.xs' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was 'object' for value: {"a":1} error=States.QueryEvaluationError
""",
    ),
    Case(
        "an input that is no array, where items are not named",
        iterate(DO),
        input={"xs": 1},
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={"xs":1} roleArn=<role>
2 <0 MapStateEntered input={"xs":1} name=Each
3 <0 EvaluationFailed cause=An error occurred while executing the state 'Each' (entered at the event id #2). Map state input must be an array but was: {"xs":1} error=States.QueryEvaluationError state=Each
4 <3 MapStateFailed
5 <4 ExecutionFailed cause=An error occurred while executing the state 'Each' (entered at the event id #2). Map state input must be an array but was: {"xs":1} error=States.QueryEvaluationError
""",
    ),
    Case(
        "a branch that fails aborts the others",
        machine(
            {
                "P": {
                    "Type": "Parallel",
                    "Branches": [
                        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 9, "End": True}}},
                        {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}},
                    ],
                    "End": True,
                }
            }
        ),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 ParallelStateEntered input={} name=P
3 <2 ParallelStateStarted
4 <3 WaitStateEntered input={} name=W
5 <3 FailStateEntered input={} name=F
6 <5 WaitStateAborted
7 <5 ParallelStateFailed
8 <7 ExecutionFailed cause=c error=E
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_branches(case: Case) -> None:
    check(case)
