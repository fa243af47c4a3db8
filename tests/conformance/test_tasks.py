"""Tasks: calls, their events, timeouts, retries and catchers. Source: developer guide, "Task", "Handling errors", "lambda"."""

from typing import Any

import pytest

from tests.conformance.machinery import Case, FunctionError, check, lambda_task, machine

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:echo"
TOKEN = "arn:aws:states:::lambda:invoke.waitForTaskToken"


def raising(*names: str) -> Any:
    """A function that raises these errors one after another, then answers."""
    left = list(names)

    def function(payload: Any) -> Any:
        if left:
            raise FunctionError(left.pop(0), "no")
        return "done"

    return function


CASES = [
    Case(
        "a function through the integration: the whole answer is the result",
        machine(
            {
                "T": {
                    **lambda_task("echo", {"x": "{% $states.input.x %}"}),
                    "Output": {
                        "status": "{% $states.result.StatusCode %}",
                        "payload": "{% $states.result.Payload %}",
                        "version": "{% $states.result.ExecutedVersion %}",
                    },
                }
            }
        ),
        input={"x": 5},
        history="""
1 <0 ExecutionStarted input={"x":5} roleArn=<role>
2 <0 TaskStateEntered input={"x":5} name=T
3 <2 TaskScheduled parameters={"FunctionName":"echo","Payload":{"x":5}} region=us-east-1 resource=invoke resourceType=lambda
4 <3 TaskStarted resource=invoke resourceType=lambda
5 <4 TaskSucceeded output={"ExecutedVersion":"$LATEST","Payload":{"x":5},"SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"request"},"StatusCode":200} resource=invoke resourceType=lambda
6 <5 TaskStateExited name=T output={"status":200,"payload":{"x":5},"version":"$LATEST"}
7 <6 ExecutionSucceeded output={"status":200,"payload":{"x":5},"version":"$LATEST"}
""",
    ),
    Case(
        "a function's own ARN: only the payload is the result",
        machine({"T": {"Type": "Task", "Resource": FUNCTION, "Arguments": {"a": 1}, "TimeoutSeconds": 9, "End": True}}),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=T
3 <2 LambdaFunctionScheduled input={"a":1} resource=arn:aws:lambda:us-east-1:123456789012:function:echo timeoutInSeconds=9
4 <3 LambdaFunctionStarted
5 <4 LambdaFunctionSucceeded output={"a":1}
6 <5 TaskStateExited name=T output={"a":1}
7 <6 ExecutionSucceeded output={"a":1}
""",
    ),
    Case(
        "a function that raises, retried by the name of its error, then caught",
        machine(
            {
                "T": lambda_task(
                    "flaky",
                    Retry=[
                        {"ErrorEquals": ["Busy"], "IntervalSeconds": 5, "MaxAttempts": 1},
                        {"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 0},
                    ],
                    Catch=[
                        {"ErrorEquals": ["Other"], "Next": "C"},
                        {
                            "ErrorEquals": ["States.ALL"],
                            "Next": "C",
                            "Assign": {"why": "{% $states.errorOutput.Error %}"},
                            "Output": "{% $parse($states.errorOutput.Cause).errorMessage %}",
                        },
                    ],
                ),
                "C": {"Type": "Pass", "Output": {"why": "{% $why %}", "said": "{% $states.input %}"}, "End": True},
            }
        ),
        functions={"flaky": raising("Busy", "Busy")},
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=T
3 <2 TaskScheduled parameters={"FunctionName":"flaky","Payload":{}} region=us-east-1 resource=invoke resourceType=lambda
4 <3 TaskStarted resource=invoke resourceType=lambda
5 <4 TaskFailed cause={"errorMessage":"no","errorType":"Busy"} error=Busy resource=invoke resourceType=lambda
6 <5 TaskScheduled parameters={"FunctionName":"flaky","Payload":{}} region=us-east-1 resource=invoke resourceType=lambda
7 <6 TaskStarted resource=invoke resourceType=lambda
8 <7 TaskFailed cause={"errorMessage":"no","errorType":"Busy"} error=Busy resource=invoke resourceType=lambda
9 <8 TaskStateExited assignedVariables={"why": "\\"Busy\\""} name=T output="no"
10 <9 PassStateEntered input="no" name=C
11 <10 PassStateExited name=C output={"why":"Busy","said":"no"}
12 <11 ExecutionSucceeded output={"why":"Busy","said":"no"}
""",
    ),
    Case(
        "a function that does not exist",
        machine({"T": lambda_task("nowhere")}),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=T
3 <2 TaskScheduled parameters={"FunctionName":"nowhere","Payload":{}} region=us-east-1 resource=invoke resourceType=lambda
4 <3 TaskStarted resource=invoke resourceType=lambda
5 <4 TaskFailed cause=Function not found: nowhere (Service: Lambda, Status Code: 404, Request ID: request) error=Lambda.ResourceNotFoundException resource=invoke resourceType=lambda
6 <5 ExecutionFailed cause=Function not found: nowhere (Service: Lambda, Status Code: 404, Request ID: request) error=Lambda.ResourceNotFoundException
""",
    ),
    Case(
        "a token that nobody answers",
        machine(
            {
                "T": {
                    "Type": "Task",
                    "Resource": TOKEN,
                    "Arguments": {"FunctionName": "echo", "Payload": {"token": "{% $states.context.Task.Token %}"}},
                    "TimeoutSeconds": "{% 60 * 60 %}",
                    "End": True,
                }
            }
        ),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=T
3 <2 TaskScheduled parameters={"FunctionName":"echo","Payload":{"token":"<token>"}} region=us-east-1 resource=invoke.waitForTaskToken resourceType=lambda timeoutInSeconds=3600
4 <3 TaskStarted resource=invoke.waitForTaskToken resourceType=lambda
5 <4 TaskSubmitted output={"ExecutedVersion":"$LATEST","Payload":{"token":"<token>"},"SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"request"},"StatusCode":200} resource=invoke.waitForTaskToken resourceType=lambda
6 <5 TaskTimedOut error=States.Timeout resource=invoke.waitForTaskToken resourceType=lambda
7 <6 ExecutionFailed error=States.Timeout
""",
    ),
    Case(
        "a heartbeat that is missed is a timeout, which States.HeartbeatTimeout names",
        machine(
            {
                "T": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                    "HeartbeatSeconds": 10,
                    "TimeoutSeconds": 600,
                    "Arguments": {"QueueUrl": "q", "MessageBody": {"token": "{% $states.context.Task.Token %}"}},
                    "Catch": [{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "C"}],
                    "End": True,
                },
                "C": {"Type": "Succeed"},
            }
        ),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=T
3 <2 TaskScheduled heartbeatInSeconds=10 parameters={"QueueUrl":"q","MessageBody":{"token":"<token>"}} region=us-east-1 resource=sendMessage.waitForTaskToken resourceType=sqs timeoutInSeconds=600
4 <3 TaskStarted resource=sendMessage.waitForTaskToken resourceType=sqs
5 <4 TaskSubmitted output={"MD5OfMessageBody":"d","MessageId":"m-1","SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"request"}} resource=sendMessage.waitForTaskToken resourceType=sqs
6 <5 TaskTimedOut error=States.Timeout resource=sendMessage.waitForTaskToken resourceType=sqs
7 <6 TaskStateExited name=T output={"Error":"States.Timeout"}
8 <7 SucceedStateEntered input={"Error":"States.Timeout"} name=C
9 <8 SucceedStateExited name=C output={"Error":"States.Timeout"}
10 <9 ExecutionSucceeded output={"Error":"States.Timeout"}
""",
    ),
    Case(
        "arguments that yield nothing",
        machine(
            {
                "T": lambda_task(
                    "echo",
                    {"x": ["{% $states.input.nope %}"]},
                    Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}],
                )
            }
        ),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=T
3 <0 EvaluationFailed cause=An error occurred while executing the state 'T' (entered at the event id #2). The JSONata expression '$states.input.nope' specified for the field 'Arguments/Payload/x[0]' returned nothing (undefined). error=States.QueryEvaluationError location=Arguments/Payload/x[0] state=T
4 <3 EvaluationFailed cause=An error occurred while executing the state 'T' (entered at the event id #2). The JSONata expression '$states.input.nope' specified for the field 'Arguments/Payload/x[0]' returned nothing (undefined). error=States.QueryEvaluationError location=Arguments/Payload/x[0] state=T
5 <4 ExecutionFailed cause=An error occurred while executing the state 'T' (entered at the event id #2). The JSONata expression '$states.input.nope' specified for the field 'Arguments/Payload/x[0]' returned nothing (undefined). error=States.QueryEvaluationError
""",
    ),
    Case(
        "an output that yields nothing, after the call",
        machine(
            {
                "T": lambda_task(
                    "echo",
                    1,
                    Output="{% $states.result.nope %}",
                    Catch=[{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "C", "Output": "caught"}],
                ),
                "C": {"Type": "Succeed"},
            }
        ),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=T
3 <2 TaskScheduled parameters={"FunctionName":"echo","Payload":1} region=us-east-1 resource=invoke resourceType=lambda
4 <3 TaskStarted resource=invoke resourceType=lambda
5 <4 TaskSucceeded output={"ExecutedVersion":"$LATEST","Payload":1,"SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"request"},"StatusCode":200} resource=invoke resourceType=lambda
6 <5 EvaluationFailed cause=An error occurred while executing the state 'T' (entered at the event id #2). The JSONata expression '$states.result.nope' specified for the field 'Output' returned nothing (undefined). error=States.QueryEvaluationError location=Output state=T
7 <6 TaskStateExited name=T output="caught"
8 <7 SucceedStateEntered input="caught" name=C
9 <8 SucceedStateExited name=C output="caught"
10 <9 ExecutionSucceeded output="caught"
""",
    ),
    Case(
        "events carry the execution among their resources",
        machine(
            {
                "E": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::events:putEvents",
                    "Arguments": {"Entries": [{"Source": "boxcar", "DetailType": "x", "Detail": {"a": 1}}]},
                    "Output": "{% $states.result.FailedEntryCount %}",
                    "End": True,
                }
            }
        ),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 TaskStateEntered input={} name=E
3 <2 TaskScheduled parameters={"Entries":[{"Source":"boxcar","DetailType":"x","Detail":{"a":1}}]} region=us-east-1 resource=putEvents resourceType=events
4 <3 TaskStarted resource=putEvents resourceType=events
5 <4 TaskSucceeded output={"Entries":[{"EventId":"e"}],"FailedEntryCount":0,"SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"request"}} resource=putEvents resourceType=events
6 <5 TaskStateExited name=E output=0
7 <6 ExecutionSucceeded output=0
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tasks(case: Case) -> None:
    check(case)
