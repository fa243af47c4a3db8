"""The role of a model repository's pipelines, ci/github/role.yaml, is enough for every line of them that speaks to the stack."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import boxcar
from lint import template
from tests.e2e.deployed import MODELS, ROOT, Deployed
from tests.e2e.test_jobs_cli import Scientist, scientist


@pytest.fixture(scope="module")
def pipeline(empty_stack: Deployed) -> Scientist:
    """A user with the policies of the role, for the family `packaging`."""
    session = empty_stack.session
    user = scientist(empty_stack, "pipeline", "TriggerCallersArn")
    values = {
        "AWS::Partition": "aws",
        "AWS::AccountId": session.outputs["TrainingMachineArn"].split(":")[4],
        "AWS::Region": session.cloud.region,
        "BoxcarStack": session.stack,
        "Family": "packaging",
    }

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Fn::Sub"}:
            return re.sub(r"\$\{([\w:]+)\}", lambda found: values[found[1]], value["Fn::Sub"])
        if set(value) == {"Fn::GetAtt"}:
            return f"arn:aws:ecr:{values['AWS::Region']}:{values['AWS::AccountId']}:repository/images"
        return {name: filled(one) for name, one in value.items()}

    role = template.read(ROOT / "ci/github/role.yaml").written["Resources"]["PipelineRole"]["Properties"]
    for policy in role["Policies"]:
        session.client("iam").put_user_policy(
            UserName="pipeline",
            PolicyName=policy["PolicyName"],
            PolicyDocument=json.dumps(filled(policy["PolicyDocument"])),
        )
    return user


def run(user: Scientist, *arguments: str) -> Result:
    command = boxcar.commands[arguments[0]]
    return CliRunner().invoke(command, arguments[1:], obj=user)


def test_the_role_may_apply_its_family_train_and_release(pipeline: Scientist, tmp_path: Path) -> None:
    family = str(ROOT / "families/packaging.yaml")
    applied = run(pipeline, "families", "apply", family, "--models-folder", str(MODELS))
    assert applied.exit_code == 0 and "packaging is now at version 1" in applied.output, applied.output
    asked = tmp_path / "training.json"
    asked.write_text(json.dumps({"family": "packaging"}))
    trained = run(pipeline, "trigger", "training", "--input", str(asked), "--token", "7-42", "--wait", "--every", "0.5")
    assert trained.exit_code == 1 and "FAILED" in trained.output, trained.output  # the warehouse is empty
    released = run(pipeline, "endpoints", "release", "packaging/box", "--wait")
    assert released.exit_code == 1 and "run failed after" in released.output, released.output  # nothing is approved


def test_the_role_writes_no_code_that_another_family_runs(pipeline: Scientist, tmp_path: Path) -> None:
    other = tmp_path / "labels.yaml"
    other.write_text((ROOT / "families/packaging.yaml").read_text().replace("family: packaging", "family: labels"))
    refused = run(pipeline, "families", "apply", str(other), "--models-folder", str(MODELS))
    assert refused.exit_code != 0 and "s3:PutObject" in f"{refused.output} {refused.exception}", refused.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "start", "packaging"],  # training starts by the trigger function alone, which checks what is asked
        ["models", "approve", "packaging/box", "--why", "because"],
        ["endpoints", "delete", "packaging/box", "--yes"],
    ],
)
def test_the_role_may_do_no_more(pipeline: Scientist, arguments: list[str]) -> None:
    refused = run(pipeline, *arguments)
    assert refused.exit_code != 0 and "not authorized to perform" in f"{refused.output} {refused.exception}", (
        refused.output
    )


def test_who_may_not_call_the_trigger_function_starts_nothing_and_is_told_what_is_missing(
    empty_stack: Deployed, tmp_path: Path
) -> None:
    stranger, before = scientist(empty_stack, "stranger"), empty_stack.executions()
    (tmp_path / "asked.json").write_text(json.dumps({"family": "packaging"}))
    refused = run(stranger, "trigger", "training", "--input", str(tmp_path / "asked.json"))
    assert refused.exit_code != 0 and "lambda:InvokeFunction" in str(refused.exception), refused.output
    assert empty_stack.executions() == before
