"""State machines with one thing wrong each: the check finds that thing, where it is, and nothing else."""

import copy
import json

import pytest

from lint import asl

RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2}]


def task(next_state: str, **more):
    return {
        "Comment": "Does the work.",
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "${WorkArn}", "Payload": {"run": "{% $states.context.Execution.Name %}"}},
        "TimeoutSeconds": 60,
        "Retry": RETRY,
        "Catch": [
            {"ErrorEquals": ["States.ALL"], "Assign": {"why": "{% $states.errorOutput.Cause %}"}, "Next": "Tell"}
        ],
        "Assign": {"plan": "{% $states.result.Payload %}"},
        "Next": next_state,
    } | more


GOOD = {
    "Comment": "Plan, work on each item, tell.",
    "QueryLanguage": "JSONata",
    "StartAt": "Plan",
    "States": {
        "Plan": task("Each"),
        "Each": {
            "Comment": "One after another.",
            "Type": "Map",
            "Items": "{% $plan.items %}",
            "ItemSelector": {"item": "{% $states.context.Map.Item.Value %}", "family": "{% $plan.family %}"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "Work",
                "States": {
                    "Work": {
                        "Comment": "Sees the variables of the machine around it.",
                        "Type": "Pass",
                        "Output": "{% $map($plan.items, function($v, $i) { $v & $string($i) }) %}",
                        "End": True,
                    }
                },
            },
            "Next": "Done",
        },
        "Tell": {
            "Comment": "Somebody must hear of it.",
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Arguments": {"QueueUrl": "${QueueUrl}", "MessageBody": {"cause": "{% $why %}"}},
            "TimeoutSeconds": 30,
            "Retry": RETRY,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
            "Next": "Failed",
        },
        "Failed": {"Comment": "The run ends here.", "Type": "Fail", "Error": "RunFailed", "Cause": "See the alarm."},
        "Done": {"Comment": "All is well.", "Type": "Succeed"},
    },
}


def test_a_good_machine_passes():
    assert asl.faults(GOOD) == []


def broken(path, value):
    """Return GOOD with the value at `path` (keys between slashes) replaced, or removed for None."""
    machine = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place = machine
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return machine


WORK = "States/Each/ItemProcessor/States/Work"


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        ("QueryLanguage", None, "", "QueryLanguage"),
        ("States/Plan/Comment", None, "Plan", "no Comment"),
        ("States/Plan/Retry", None, "Plan", "a Task needs Retry"),
        ("States/Plan/Retry", [], "Plan", "a Task needs Retry"),
        ("States/Tell/Catch", None, "Tell", "a Task needs Catch"),
        ("States/Plan/TimeoutSeconds", None, "Plan", "a Task needs TimeoutSeconds"),
        ("States/Plan/Next", "Nowhere", "Plan", "'Nowhere', which is no state"),
        ("StartAt", "Nowhere", "StartAt", "StartAt is 'Nowhere'"),
        ("States/Lost", {"Comment": "x", "Type": "Succeed"}, "Lost", "nothing leads here"),
        ("States/Each/Next", "Each", "Each", "never ends"),
        (f"{WORK}/Output", "{% $nobody %}", "Each/Work.Output", "$nobody is assigned nowhere"),
        (f"{WORK}/Output", "{% $why %}", "Each/Work.Output", "$why is not set on every path"),
        (f"{WORK}/Assign", {"plan": 1}, "Each/", "assigns $plan, which an outer machine has too"),
        (f"{WORK}/Output", "{% $states.result %}", "Each/Work.Output", "$states.result is not available here"),
        (f"{WORK}/Output", "{% $states.context.Exceution.Id %}", "Each/Work.Output", "Exceution does not exist"),
        (f"{WORK}/Output", "{% $substr($states.input, 1) %}", "Each/Work.Output", "$substr() is no function"),
        (f"{WORK}/Output", "{% $eval('1') %}", "Each/Work.Output", "$eval() is no function"),
        (f"{WORK}/Output", "{% item.name %}", "Each/Work.Output", "'item' has no value here"),
        (f"{WORK}/Output", "{% $$.item %}", "Each/Work.Output", "'$$' has no value here"),
        (f"{WORK}/Output", "{% $states.input. %}", "Each/Work.Output", "is not JSONata"),
        (f"{WORK}/Output", "item {% $plan %}", "Each/Work.Output", "must be the whole string"),
        (f"{WORK}/Output", "{% $plan", "Each/Work.Output", "does not end with"),
        ("States/Plan/Arguments/Payload", "{% $states.result %}", "Plan.Arguments.Payload", "$states.result"),
        ("States/Plan/Assign/plan", "{% $states.errorOutput %}", "Plan.Assign.plan", "$states.errorOutput"),
        ("States/Plan/Resource", "arn:aws:states:::sagemaker:createTrainigJob", "Plan.Arguments", "has no action"),
        ("States/Plan/Arguments/Paylaod", 1, "Plan.Arguments.Paylaod", "has no parameter Paylaod"),
        ("States/Tell/Arguments/QueueUrl", None, "Tell.Arguments", "needs QueueUrl"),
        ("States/Tell/Arguments/DelaySeconds", "soon", "Tell.Arguments.DelaySeconds", "is not an integer"),
        ("States/Plan/Resource", "arn:aws:states:::lambda:invoke.waitForTaskToken", "Plan", "passes none"),
    ],
)
def test_one_thing_wrong(path, value, place, message):
    found = asl.faults(broken(path, value))
    assert [where for where, said in found if message in said] == [place], found


def test_a_catch_on_the_map_does_not_stand_in_for_one_on_the_task():
    work = {key: value for key, value in task("").items() if key not in ("Catch", "Next", "Assign")}
    machine = broken(WORK, work | {"End": True})
    machine["States"]["Each"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}]
    assert ("Each/Work", "a Task needs Catch: a failure must reach an alarm") in asl.faults(machine)


def test_a_distributed_map_sees_no_variables_of_the_machine_around_it():
    machine = broken("States/Each/ItemProcessor/ProcessorConfig/Mode", "DISTRIBUTED")
    assert ("Each/Work.Output", "$plan is assigned nowhere") in asl.faults(machine)


def test_a_variable_that_one_branch_leaves_unset():
    machine = copy.deepcopy(GOOD)
    machine["States"]["Plan"]["Next"] = "Which"
    machine["States"]["Which"] = {
        "Comment": "Only one way sets it.",
        "Type": "Choice",
        "Choices": [{"Condition": "{% $plan.ready %}", "Assign": {"ready": True}, "Next": "Use"}],
        "Default": "Use",
    }
    machine["States"]["Use"] = {"Comment": "Uses it.", "Type": "Pass", "Output": "{% $ready %}", "Next": "Each"}
    assert asl.faults(machine) == [
        ("Use.Output", "$ready is not set on every path that leads here; assign it on all of them")
    ]
    machine["States"]["Which"]["Assign"] = {"ready": False}
    assert asl.faults(machine) == []


def test_check_reads_the_files_and_says_when_one_is_not_json(tmp_path):
    folder = tmp_path / "statemachines"
    folder.mkdir()
    (folder / "good.asl.json").write_text(json.dumps(GOOD))
    (folder / "torn.asl.json").write_text('{\n"StartAt": "Plan",\n')
    found = asl.check(tmp_path)
    assert [(finding.file, finding.place) for finding in found] == [("statemachines/torn.asl.json", "3")]
    assert "not JSON" in found[0].message
