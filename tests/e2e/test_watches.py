"""What did not happen in time is told: a schedule that started nothing, a run that takes twice as long as usual."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boxcar.attributes import decode_all, encode
from boxcar.watches import Watches
from local.client import wait_for
from local.mailbox import Mail
from tests.e2e.deployed import Deployed

QUOTA = "ml.m5.large for processing job usage"


def watches(stack: Deployed) -> list[dict[str, Any]]:
    """What is watched, as the jobs table has it."""
    pages = (
        stack.session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.session.outputs["JobsTableName"],
            FilterExpression="begins_with(pk, :watch)",
            ExpressionAttributeValues={":watch": {"S": "watch#"}},
        )
    )
    return [decode_all(item) for page in pages for item in page["Items"]]


def let_them_be_due(stack: Deployed) -> None:
    """As if the time had passed, and the minute's sweep came."""
    for watch in watches(stack):
        stack.session.client("dynamodb").update_item(
            TableName=stack.session.outputs["JobsTableName"],
            Key={"pk": encode(watch["pk"])},
            UpdateExpression="SET due = :past",
            ExpressionAttributeValues={":past": encode("2026-01-01T00:00:00.000Z")},
        )
    stack.cloud.fire_schedule(f"{stack.session.stack}-sweep")


def told(stack: Deployed, words: str) -> list[Mail]:
    return [mail for mail in stack.cloud.mails() if words in mail.subject]


def test_of_schedules_the_one_that_started_nothing_is_told(empty_stack: Deployed) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    seen, lost = ("weekly-training", "digest"), ("daily-inference",)
    for name in (*seen, *(f"{name}-check" for name in (*seen, *lost))):
        when = {"ScheduleExpression": f"at({soon:%Y-%m-%dT%H:%M:%S})", "State": "ENABLED"}
        empty_stack.change_schedule(f"{empty_stack.session.stack}-{name}", **when)
    wait_for(lambda: len(watches(empty_stack)) == 3, why="the checks of the schedules did not come")
    empty_stack.settle()  # the training fails for want of a family: that is its own alarm
    let_them_be_due(empty_stack)
    [mail] = wait_for(lambda: told(empty_stack, "started nothing"), why="nobody was told")
    assert mail.to.startswith("engineering") and "boxcar-daily-inference of" in mail.subject
    assert "EventBridge Scheduler" in mail.text
    wait_for(lambda: not watches(empty_stack), why="a watch is left")
    assert len(told(empty_stack, "started nothing")) == 1


@pytest.mark.parametrize(("schedule", "alarm"), [("sweep", "no-sweep"), ("endpoint-sweep", "no-endpoint-sweep")])
def test_a_sweep_that_ends_no_more_is_told_past_all_that_it_sees_to(
    empty_stack: Deployed, schedule: str, alarm: str
) -> None:
    alarm = f"{empty_stack.session.stack}-watchdog/{alarm}"
    cloudwatch = empty_stack.session.client("cloudwatch")

    def swept() -> bool:
        empty_stack.cloud.tick()
        return bool(cloudwatch.describe_alarms(AlarmNames=[alarm], StateValue="OK")["MetricAlarms"])

    empty_stack.cloud.fire_schedule(f"{empty_stack.session.stack}-{schedule}")
    wait_for(swept, 60, why="the alarm does not see the sweep")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="INSUFFICIENT_DATA", StateReason="as after 15 minutes")
    [mail] = wait_for(lambda: told(empty_stack, alarm), why="nobody was told")
    assert mail.to.startswith("engineering") and "EventBridge Scheduler" in mail.text


@pytest.fixture
def full(stack: Deployed) -> Any:
    stack.cloud.set_quotas({QUOTA: 0})
    yield
    stack.cloud.set_quotas({QUOTA: None})


def test_a_run_that_takes_twice_as_long_as_usual_is_told_once_with_its_open_steps(stack: Deployed, full: None) -> None:
    family = stack.small_family("mailer")
    usual = Watches(stack.session.client("dynamodb"), stack.session.outputs["JobsTableName"])
    for number in range(3):
        usual.run_succeeded("training", family, f"before-{number}", 0.1)
    before = set(stack.executions())
    stack.upload({"family": family})
    run = stack.started_since(before)
    wait_for(lambda: "mailer/prepare" in stack.jobs(run), why="prepare was not submitted")
    let_them_be_due(stack)
    wait_for(lambda: told(stack, f"run {run} takes long"), why="nobody was told")
    let_them_be_due(stack)
    stack.settle()
    mails = told(stack, f"run {run} takes long")
    assert sorted(mail.to.split("@")[0] for mail in mails) == ["engineering", "science"]
    assert "mailer/prepare" in mails[0].text and "boxcar jobs list" in mails[0].text
    arn = stack.execution_arn(run)
    stack.session.client("stepfunctions").stop_execution(executionArn=arn)
