"""Variables: when they are set, and who sees them. Source: developer guide, "Passing data between states with variables"."""

import pytest

from tests.conformance.machinery import Case, check, machine

BRANCH = {
    "StartAt": "In",
    "States": {
        "In": {"Type": "Pass", "Assign": {"mine": "{% $outer & '!' %}"}, "Next": "Out"},
        "Out": {"Type": "Pass", "Output": "{% $mine & $outer %}", "End": True},
    },
}
CASES = [
    Case(
        "assign sees the values before the state, and so does output",
        machine(
            {
                "A": {"Type": "Pass", "Assign": {"x": 1, "list": [1, "{% 1 + 1 %}"], "none": None}, "Next": "B"},
                "B": {
                    "Type": "Pass",
                    "Assign": {"x": "{% $x + 1 %}", "y": "{% $x %}"},
                    "Output": "{% $x %}",
                    "Next": "C",
                },
                "C": {
                    "Type": "Pass",
                    "Output": {"x": "{% $x %}", "y": "{% $y %}", "list": "{% $list %}", "none": "{% $none %}"},
                    "End": True,
                },
            }
        ),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 PassStateEntered input={} name=A
3 <2 PassStateExited assignedVariables={"list": "[1,2]", "none": "null", "x": "1"} name=A output={}
4 <3 PassStateEntered input={} name=B
5 <4 PassStateExited assignedVariables={"x": "2", "y": "1"} name=B output=1
6 <5 PassStateEntered input=1 name=C
7 <6 PassStateExited name=C output={"x":2,"y":1,"list":[1,2],"none":null}
8 <7 ExecutionSucceeded output={"x":2,"y":1,"list":[1,2],"none":null}
""",
    ),
    Case(
        "a branch reads outer variables; its own die with it",
        machine(
            {
                "A": {"Type": "Pass", "Assign": {"outer": "o"}, "Next": "P"},
                "P": {
                    "Type": "Parallel",
                    "Branches": [BRANCH],
                    "Assign": {"got": "{% $states.result[0] %}"},
                    "Next": "Z",
                },
                "Z": {"Type": "Pass", "Output": {"got": "{% $got %}", "mine": "{% $exists($mine) %}"}, "End": True},
            }
        ),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 PassStateEntered input={} name=A
3 <2 PassStateExited assignedVariables={"outer": "\\"o\\""} name=A output={}
4 <3 ParallelStateEntered input={} name=P
5 <4 ParallelStateStarted
6 <5 PassStateEntered input={} name=In
7 <6 PassStateExited assignedVariables={"mine": "\\"o!\\""} name=In output={}
8 <7 PassStateEntered input={} name=Out
9 <8 PassStateExited name=Out output="o!o"
10 <9 ParallelStateSucceeded
11 <9 ParallelStateExited assignedVariables={"got": "\\"o!o\\""} name=P output=["o!o"]
12 <11 PassStateEntered input=["o!o"] name=Z
13 <12 PassStateExited name=Z output={"got":"o!o","mine":false}
14 <13 ExecutionSucceeded output={"got":"o!o","mine":false}
""",
    ),
    Case(
        "a variable that was never set is nothing",
        machine({"A": {"Type": "Pass", "Output": {"v": ["{% $never %}"]}, "End": True}}),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 PassStateEntered input={} name=A
3 <0 EvaluationFailed cause=An error occurred while executing the state 'A' (entered at the event id #2). The JSONata expression '$never' specified for the field 'Output/v[0]' returned nothing (undefined). error=States.QueryEvaluationError location=Output/v[0] state=A
4 <3 ExecutionFailed cause=An error occurred while executing the state 'A' (entered at the event id #2). The JSONata expression '$never' specified for the field 'Output/v[0]' returned nothing (undefined). error=States.QueryEvaluationError
""",
    ),
    Case(
        "assign fails where an expression yields nothing",
        machine(
            {
                "A": {"Type": "Pass", "Next": "B"},
                "B": {"Type": "Pass", "Assign": {"v": "{% $states.input.missing %}"}, "End": True},
            }
        ),
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 PassStateEntered input={} name=A
3 <2 PassStateExited name=A output={}
4 <3 PassStateEntered input={} name=B
5 <3 EvaluationFailed cause=An error occurred while executing the state 'B' (entered at the event id #4). The JSONata expression '$states.input.missing' specified for the field 'Assign/v' returned nothing (undefined). error=States.QueryEvaluationError location=Assign/v state=B
6 <5 ExecutionFailed cause=An error occurred while executing the state 'B' (entered at the event id #4). The JSONata expression '$states.input.missing' specified for the field 'Assign/v' returned nothing (undefined). error=States.QueryEvaluationError
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_variables(case: Case) -> None:
    check(case)
