"""AWS on a bad day: what waiting mends is mended without a mail; a missing permission reaches engineering by name."""

import json

import pytest

from local.client import wait_for
from tests.e2e.deployed import Deployed


def succeeded_without_alarm(stack: Deployed, run: str) -> None:
    ended = stack.wait(run)
    assert (ended.status, ended.output.get("status")) == ("SUCCEEDED", "succeeded"), ended
    assert stack.mails(run) == []


@pytest.mark.parametrize("error", ["ResourceLimitExceeded", "ThrottlingException"])
def test_a_job_that_cannot_start_yet_waits_and_then_succeeds(stack: Deployed, error: str) -> None:
    family = stack.small_family()
    fault = stack.cloud.add_fault(service="sagemaker", action="CreateTrainingJob", error=error, count=3)
    before = set(stack.executions())
    stack.upload({"family": family})
    run = stack.started_since(before)
    succeeded_without_alarm(stack, run)
    assert len([fired for fired in stack.cloud.faults()["fired"] if fired["id"] == fault]) == 3
    assert len(stack.versions(family, "mailer")) == 1


def test_an_event_that_is_lost_is_found_by_the_sweep(stack: Deployed) -> None:
    family = stack.small_family()
    before = set(stack.executions())
    fault = stack.cloud.add_fault(
        event="aws.sagemaker",
        detail_type="SageMaker Training *",
        effect="lose",
        match={"TrainingJobStatus": "Completed"},
    )
    stack.upload({"family": family})
    run = stack.started_since(before)
    wait_for(lambda: [fired for fired in stack.cloud.faults()["fired"] if fired["id"] == fault], 60)

    def found_by_a_sweep() -> bool:
        stack.cloud.fire_schedule("boxcar-sweep")
        return stack.jobs(run)["mailer/train"]["status"] == "Completed"

    wait_for(found_by_a_sweep, 60, every=1)
    succeeded_without_alarm(stack, run)


@pytest.mark.parametrize("rule", [{"effect": "double"}, {"effect": "late", "delay": 3, "count": 4}])
def test_events_that_come_twice_or_late_change_nothing(stack: Deployed, rule: dict) -> None:
    family = stack.small_family()
    before = set(stack.executions())
    stack.cloud.add_fault(event="aws.sagemaker", **rule)
    stack.upload({"family": family})
    run = stack.started_since(before)
    succeeded_without_alarm(stack, run)
    assert all(len(job["attempts"]) == 1 for job in stack.jobs(run).values())
    assert [version["version"] for version in stack.versions(family, "mailer")] == ["1.0.0"]
    assert stack.disagreements(family, "mailer") == []


def denied(stack: Deployed, function: str, action: str):
    """Take a permission from the role of a function, as a wrong change of a policy would."""
    iam, role = stack.session.client("iam"), _role(stack, function)
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="taken-away", PolicyDocument=document)
    return lambda: iam.delete_role_policy(RoleName=role, PolicyName="taken-away")


def _role(stack: Deployed, function: str) -> str:
    configuration = stack.session.client("lambda").get_function_configuration(FunctionName=f"boxcar-{function}")
    return str(configuration["Role"]).rsplit("/", 1)[-1]


@pytest.mark.parametrize(
    ("function", "action", "run_fails"),
    [
        ("plan-run", "s3:PutObject", True),
        ("submit-job", "dynamodb:PutItem", True),
        ("launch-jobs", "sagemaker:CreateTrainingJob", True),
        ("compare-versions", "s3:GetObject", True),
        ("register-version", "sagemaker:CreateModelPackage", True),
    ],
)
def test_a_function_without_a_permission_is_reported_as_such(
    stack: Deployed, function: str, action: str, run_fails: bool
) -> None:
    family = stack.small_family()
    give_back = denied(stack, function, action)
    try:
        run = stack.run({"family": family})
    finally:
        give_back()
    assert run.status == "FAILED"
    text = stack.one_alarm(run.name, "engineering")
    assert "AccessDenied" in text and action in text
    assert stack.versions(family, "mailer") == []
    assert stack.disagreements(family, "mailer") == []


def test_a_job_whose_role_may_not_read_its_input_fails_by_name(stack: Deployed) -> None:
    family = stack.small_family()
    iam = stack.session.client("iam")
    resources = stack.session.client("cloudformation").describe_stack_resources(StackName="boxcar")["StackResources"]
    role = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == "JobRole")
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]}
    )
    iam.put_role_policy(RoleName=role, PolicyName="taken-away", PolicyDocument=document)
    try:
        run = stack.run({"family": family})
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="taken-away")
    assert run.status == "FAILED"
    assert "AccessDenied" in stack.one_alarm(run.name, "engineering")
