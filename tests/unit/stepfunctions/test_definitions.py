"""What is refused when a machine is created, and in which words."""

import json
from typing import Any

import pytest

from local.service import ApiError
from tests.conformance.machinery import Engine, lambda_task, machine

END = {"Type": "Pass", "End": True}


def one(**fields: Any) -> dict[str, Any]:
    return machine({"A": {"Type": "Pass", "End": True, **fields}})


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "a target that is not there",
        machine({"A": {"Type": "Pass", "Next": "Nope"}, "B": END}),
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: Nope at /States/A/Next",
    ),
    ("nothing", {}, "These fields are required: [States, StartAt] at /"),
    (
        "a start that is not there",
        machine({"A": END}, start="B"),
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /StartAt",
    ),
    ("a state that nothing leads to", machine({"A": END, "B": END}), "The state 'B' is not reachable at /States/B"),
    (
        "no end",
        machine({"A": {"Type": "Pass", "Next": "A"}}),
        "MISSING_END_STATE: No state ends the workflow at /States",
    ),
    ("neither Next nor End", one(End=False), "Exactly one of 'Next' and 'End: true' must be there at /States/A"),
    ("an unknown type", machine({"A": {"Type": "Loop", "End": True}}), "The field 'Type' must be one of Pass"),
    ("an unknown field", one(Colour="red"), "SCHEMA_VALIDATION_FAILED: Field 'Colour' is not supported at /States/A"),
    (
        "a JSONPath field",
        one(InputPath="$"),
        "The QueryLanguage is set to 'JSONata', but field 'InputPath' is only supported for the 'JSONPath' QueryLanguage at /States/A",
    ),
    (
        "a JSONPath machine",
        {"StartAt": "A", "States": {"A": END}},
        "The state 'A' uses JSONPath, which this engine does not run",
    ),
    (
        "a JSONPath state",
        machine({"A": {**END, "QueryLanguage": "JSONPath"}}),
        "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine at /States/A",
    ),
    (
        "a language there is none of",
        {"QueryLanguage": "jsonata", "StartAt": "A", "States": {"A": END}},
        "Value should be one of the following: [JSONPath, JSONata] at /QueryLanguage",
    ),
    ("the context item", one(Output="{% $$ %}"), "Reference to '$$' is not supported. at /States/A/Output"),
    ("Catch where there is nothing to catch", one(Catch=[]), "Field 'Catch' is not supported at /States/A"),
    (
        "a syntax error",
        one(Output={"v": "{% 1 + %}"}),
        "INVALID_JSONATA_EXPRESSION: Unexpected end of expression at /States/A/Output/v",
    ),
    (
        "a bare name",
        one(Output={"v": "{% phone %}"}),
        "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported. at /States/A/Output/v",
    ),
    (
        "the result before there is one",
        machine({"T": lambda_task("f", "{% $states.result %}")}),
        "Field '$states.result' does not exist. at /States/T/Arguments/Payload",
    ),
    (
        "errorOutput outside Catch",
        one(Output="{% $states.errorOutput.Error %}"),
        "Field '$states.errorOutput' does not exist. at /States/A/Output",
    ),
    (
        "an outer variable set inside",
        machine(
            {
                "A": {"Type": "Pass", "Assign": {"v": 1}, "Next": "P"},
                "P": {
                    "Type": "Parallel",
                    "Branches": [{"StartAt": "B", "States": {"B": {**END, "Assign": {"v": 2}}}}],
                    "End": True,
                },
            }
        ),
        "The variable name 'v' was already defined in a parent scope. at /States/P/Branches[0]/States/B/Assign/v",
    ),
    (
        "a name used twice",
        machine({"P": {"Type": "Parallel", "Branches": [{"StartAt": "P", "States": {"P": END}}], "End": True}}),
        "Duplicate State name: P at /States/P/Branches[0]/States/P",
    ),
    (
        "a service that is not run",
        machine({"T": {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "End": True}}),
        "The resource 'arn:aws:states:::ecs:runTask.sync' is not run by this engine",
    ),
    (
        "an action that does not exist",
        machine({"T": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:explode", "End": True}}),
        "The service 's3' has no action 'explode'",
    ),
    (
        "an activity",
        machine({"T": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:123456789012:activity:a", "End": True}}),
        "is an activity, which this engine does not run",
    ),
    (
        "a time that is none",
        machine({"W": {"Type": "Wait", "Timestamp": "tomorrow", "End": True}}),
        "String does not match RFC3339 timestamp at /States/W/Timestamp",
    ),
    (
        "a fraction of a retry",
        machine({"T": lambda_task("f", Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1.5}])}),
        "The field 'MaxAttempts' must be an integer of at least 0 at /States/T/Retry[0]/MaxAttempts",
    ),
    (
        "States.ALL among others",
        machine(
            {"T": lambda_task("f", Catch=[{"ErrorEquals": ["States.ALL", "E"], "Next": "Z"}]), "Z": {"Type": "Succeed"}}
        ),
        "'States.ALL' must stand alone in 'ErrorEquals'",
    ),
    (
        "a reader on an inline map",
        machine(
            {
                "M": {
                    "Type": "Map",
                    "ItemReader": {},
                    "ItemProcessor": {"StartAt": "A", "States": {"A": END}},
                    "End": True,
                }
            }
        ),
        "The field 'ItemReader' needs the processor mode 'DISTRIBUTED'",
    ),
]


@pytest.mark.parametrize(("definition", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_creation_refuses_by_state_and_field(definition: dict[str, Any], said: str) -> None:
    with Engine() as engine:
        with pytest.raises(ApiError) as caught:
            engine.create(definition)
        assert caught.value.code == "InvalidDefinition"
        assert said in caught.value.message
        told = engine("ValidateStateMachineDefinition", definition=json.dumps(definition))
        assert told["result"] == "FAIL" and told["diagnostics"]


def test_json_that_is_none() -> None:
    with Engine() as engine:
        assert (
            engine("ValidateStateMachineDefinition", definition="{")["diagnostics"][0]["code"]
            == "INVALID_JSON_DESCRIPTION"
        )


def test_what_aws_accepts_is_accepted() -> None:
    accepted = machine({
        "A": {"Type": "Pass", "Comment": "an undefined variable only fails when it is evaluated", "Output": "{% $never %}", "Next": "B"},
        "B": {"Type": "Pass", "Output": {"k": "{% ($v := 1; $v + $states.input.xs[0].a) %}", "literal": "a {% b %}"}, "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.k in [1, 2] %}", "Next": "D"}], "Default": "D"},
        "D": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:query", "Arguments": {"TableName": "t"}, "End": True},
    }, Comment="x", TimeoutSeconds=9, Version="1.0")  # fmt: skip
    with Engine() as engine:
        assert engine("ValidateStateMachineDefinition", definition=json.dumps(accepted)) == {
            "result": "OK",
            "diagnostics": [],
            "truncated": False,
        }
        arn = engine.create(accepted)
        assert engine("DescribeStateMachine", stateMachineArn=arn)["variableReferences"] == {"A": ["never"]}


def test_a_variable_that_nothing_assigns_is_a_warning() -> None:
    branch = {"StartAt": "I", "States": {"I": {"Type": "Pass", "Assign": {"inner": 2}, "End": True}}}
    definition = json.dumps(
        machine(
            {
                "P": {"Type": "Parallel", "Branches": [branch], "Assign": {"v": 1}, "Next": "R"},
                "R": {"Type": "Pass", "Output": "{% $v + $inner %}", "End": True},
            }
        )
    )
    with Engine() as engine:
        quiet = engine("ValidateStateMachineDefinition", definition=definition)
        assert (quiet["result"], quiet["diagnostics"]) == ("OK", [])
        told = engine("ValidateStateMachineDefinition", definition=definition, severity="WARNING")
        assert (told["result"], [(d["code"], d["location"]) for d in told["diagnostics"]]) == (
            "OK",
            [("POSSIBLY_UNDEFINED_VARIABLE", "/States/R/Output")],
        )
