"""Transitions, Pass, Choice, Wait, Succeed and Fail. Source: states-language.net and the developer guide's state pages."""

import pytest

from tests.conformance.machinery import Case, check, machine

CASES = [
    Case(
        "pass hands its input on",
        machine({"A": {"Type": "Pass", "End": True}}),
        input={"n": 1},
        history="""
1 <0 ExecutionStarted input={"n":1} roleArn=<role>
2 <0 PassStateEntered input={"n":1} name=A
3 <2 PassStateExited name=A output={"n":1}
4 <3 ExecutionSucceeded output={"n":1}
""",
    ),
    Case(
        "output replaces the input, null included",
        machine(
            {
                "A": {"Type": "Pass", "Output": None, "Next": "B"},
                "B": {"Type": "Pass", "Output": [1, "{% 1 + 1 %}", " {% 1 %}"], "End": True},
            }
        ),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 PassStateEntered input={} name=A
3 <2 PassStateExited name=A output=null
4 <3 PassStateEntered input=null name=B
5 <4 PassStateExited name=B output=[1,2," {% 1 %}"]
6 <5 ExecutionSucceeded output=[1,2," {% 1 %}"]
""",
    ),
    Case(
        "the first choice that holds is taken, with its own output and variables",
        machine(
            {
                "Size": {
                    "Type": "Choice",
                    "Choices": [
                        {"Condition": "{% $states.input.n > 100 %}", "Next": "Huge"},
                        {
                            "Condition": "{% $states.input.n > 10 %}",
                            "Next": "Big",
                            "Output": "{% $states.input.n %}",
                            "Assign": {"size": "big"},
                        },
                        {"Condition": True, "Next": "Huge"},
                    ],
                    "Default": "Huge",
                },
                "Big": {"Type": "Succeed", "Output": {"size": "{% $size %}", "n": "{% $states.input %}"}},
                "Huge": {"Type": "Fail"},
            }
        ),
        input={"n": 11},
        history="""
1 <0 ExecutionStarted input={"n":11} roleArn=<role>
2 <0 ChoiceStateEntered input={"n":11} name=Size
3 <2 ChoiceStateExited assignedVariables={"size": "\\"big\\""} name=Size output=11
4 <3 SucceedStateEntered input=11 name=Big
5 <4 SucceedStateExited name=Big output={"size":"big","n":11}
6 <5 ExecutionSucceeded output={"size":"big","n":11}
""",
    ),
    Case(
        "no choice holds: the default, with the state's own variables",
        machine(
            {
                "C": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% false %}", "Next": "No"}],
                    "Default": "Yes",
                    "Assign": {"v": 1},
                },
                "Yes": {"Type": "Pass", "Output": "{% $v %}", "End": True},
                "No": {"Type": "Fail"},
            }
        ),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 ChoiceStateEntered input={} name=C
3 <2 ChoiceStateExited assignedVariables={"v": "1"} name=C output={}
4 <3 PassStateEntered input={} name=Yes
5 <4 PassStateExited name=Yes output=1
6 <5 ExecutionSucceeded output=1
""",
    ),
    Case(
        "no choice holds and there is no default",
        machine(
            {"C": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "D"}]}, "D": {"Type": "Succeed"}}
        ),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 ChoiceStateEntered input={} name=C
3 <2 ExecutionFailed cause=An error occurred while executing the state 'C' (entered at the event id #2). Failed to transition out of the state. The state does not point to a next state. error=States.Runtime
""",
    ),
    Case(
        "wait for seconds",
        machine(
            {
                "W": {
                    "Type": "Wait",
                    "Seconds": "{% $states.input.s %}",
                    "Output": "{% $states.input.s * 2 %}",
                    "End": True,
                }
            }
        ),
        input={"s": 86400},
        history="""
1 <0 ExecutionStarted input={"s":86400} roleArn=<role>
2 <0 WaitStateEntered input={"s":86400} name=W
3 <2 WaitStateExited name=W output=172800
4 <3 ExecutionSucceeded output=172800
""",
    ),
    Case(
        "wait until a time, as written and as computed; a time that is past does not wait",
        machine(
            {
                "W": {"Type": "Wait", "Timestamp": "2026-01-02T03:04:05Z", "Next": "V"},
                "V": {"Type": "Wait", "Timestamp": "{% $states.input.at %}", "End": True},
            }
        ),
        input={"at": "2025-01-01T00:00:00+01:00"},
        history="""
1 <0 ExecutionStarted input={"at":"2025-01-01T00:00:00+01:00"} roleArn=<role>
2 <0 WaitStateEntered input={"at":"2025-01-01T00:00:00+01:00"} name=W
3 <2 WaitStateExited name=W output={"at":"2025-01-01T00:00:00+01:00"}
4 <3 WaitStateEntered input={"at":"2025-01-01T00:00:00+01:00"} name=V
5 <4 WaitStateExited name=V output={"at":"2025-01-01T00:00:00+01:00"}
6 <5 ExecutionSucceeded output={"at":"2025-01-01T00:00:00+01:00"}
""",
    ),
    Case(
        "a time without its offset from UTC is none",
        machine({"W": {"Type": "Wait", "Timestamp": "{% $states.input.at %}", "End": True}}),
        input={"at": "2026-01-02T03:04:05"},
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={"at":"2026-01-02T03:04:05"} roleArn=<role>
2 <0 WaitStateEntered input={"at":"2026-01-02T03:04:05"} name=W
3 <2 ExecutionFailed cause=An error occurred while executing the state 'W' (entered at the event id #2). The Timestamp parameter does not reference a valid ISO-8601 extended offset date-time format string: 2026-01-02T03:04:05 error=States.Runtime
""",
    ),
    Case(
        "fail says why",
        machine({"F": {"Type": "Fail", "Error": "NoRows", "Cause": "{% 'family ' & $states.input.family %}"}}),
        input={"family": "packaging"},
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={"family":"packaging"} roleArn=<role>
2 <0 FailStateEntered input={"family":"packaging"} name=F
3 <2 ExecutionFailed cause=family packaging error=NoRows
""",
    ),
    Case(
        "fail may say nothing",
        machine({"F": {"Type": "Fail"}}),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 FailStateEntered input={} name=F
3 <2 ExecutionFailed
""",
    ),
    Case(
        "the machine's own timeout",
        machine({"W": {"Type": "Wait", "Seconds": 60, "End": True}}, TimeoutSeconds=30),
        status="TIMED_OUT",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 WaitStateEntered input={} name=W
3 <0 ExecutionTimedOut error=States.Timeout
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_flow(case: Case) -> None:
    check(case)
