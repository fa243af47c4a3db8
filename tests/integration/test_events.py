"""Events, schedules, queues and mails: from where they begin to what a user sees."""

import itertools
import json
import time

from local.client import wait_for
from tests.integration.conftest import Deployed


def test_an_upload_reaches_the_queue_and_the_function(deployed: Deployed) -> None:
    deployed.cloud.client("s3").put_object(Bucket=deployed.outputs["Bucket"], Key="in/a.json", Body=b"{}")
    assert json.loads(deployed.item("in/a.json")["said"]["S"])["do"] == "put"


def test_a_target_that_lets_nobody_in_leads_to_the_dead_letters(deployed: Deployed) -> None:
    deployed.cloud.client("s3").put_object(Bucket=deployed.outputs["Bucket"], Key="denied/a.json", Body=b"{}")
    [letter] = deployed.dead_letters()
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["TARGET_ARN"].endswith(".fifo")
    assert json.loads(letter["Body"])["detail"]["object"]["key"] == "denied/a.json"


def test_a_message_that_keeps_failing_ends_in_the_dead_letters(deployed: Deployed) -> None:
    queue = deployed.cloud.client("sqs")
    url = deployed.outputs["Queue"]
    queue.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    try:
        queue.send_message(QueueUrl=url, MessageBody=json.dumps({"do": "raise", "text": "poison"}))
        [letter] = deployed.dead_letters(seconds=20)
    finally:
        queue.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    assert json.loads(letter["Body"])["text"] == "poison"


def test_one_message_group_runs_one_at_a_time(deployed: Deployed) -> None:
    queue = deployed.cloud.client("sqs")
    for number in range(4):
        body = json.dumps({"do": "put", "pk": f"turn-{number}", "seconds": 0.3})
        queue.send_message(QueueUrl=deployed.outputs["Fifo"], MessageBody=body, MessageGroupId="one")
    turns = [deployed.item(f"turn-{number}", 20) for number in range(4)]
    spans = [(float(turn["begun"]["N"]), float(turn["ended"]["N"])) for turn in turns]
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans)), spans


def test_a_schedule_fired_now_starts_the_machine_with_its_time(deployed: Deployed) -> None:
    machines = deployed.cloud.client("stepfunctions")
    before = len(machines.list_executions(stateMachineArn=deployed.outputs["Machine"])["executions"])
    deployed.cloud.fire_schedule(f"{deployed.name}-weekly")

    def done() -> dict | None:
        found = machines.list_executions(stateMachineArn=deployed.outputs["Machine"])["executions"]
        return found[0] if len(found) > before and found[0]["status"] != "RUNNING" else None

    execution = wait_for(done)
    assert execution["status"] == "SUCCEEDED"
    given = json.loads(machines.describe_execution(executionArn=execution["executionArn"])["input"])
    assert abs(time.mktime(time.strptime(given["pk"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time()) < 60


def test_a_schedule_sends_to_a_fifo_queue_in_its_group(deployed: Deployed) -> None:
    execution = deployed.cloud.fire_schedule(f"{deployed.name}-often")
    said = json.loads(deployed.item("often")["said"]["S"])
    assert said["group"] == "one"
    assert said["execution"] == execution


def test_a_schedule_whose_role_may_not_leads_to_the_dead_letters(deployed: Deployed) -> None:
    deployed.cloud.fire_schedule(f"{deployed.name}-forbidden")
    [letter] = deployed.dead_letters()
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"].startswith("AccessDenied")
    assert attributes["SCHEDULE_ARN"].endswith(f"{deployed.name}-forbidden")


def test_a_schedule_keeps_its_time_zone(deployed: Deployed) -> None:
    schedule = deployed.cloud.client("scheduler").get_schedule(Name=f"{deployed.name}-weekly")
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"


def test_mails_reach_those_whose_filter_lets_them_pass(deployed: Deployed) -> None:
    cloud = deployed.cloud
    deployed.call(do="mail", audience="science", subject="for science")
    deployed.call(do="mail", audience="engineering", subject="for engineering")
    assert [mail.subject for mail in cloud.mails("science@example.com")] == ["for science", "for engineering"]
    [mail] = cloud.mails("engineering@example.com")
    assert (mail.subject, mail.text, mail.topic_arn) == ("for engineering", "text", deployed.outputs["Topic"])


def test_a_state_machine_catches_a_functions_error_by_name(deployed: Deployed) -> None:
    machines = deployed.cloud.client("stepfunctions")
    started = machines.start_execution(
        stateMachineArn=f"{deployed.outputs['Machine']}:live", input=json.dumps({"do": "raise"})
    )

    def done() -> dict | None:
        told = machines.describe_execution(executionArn=started["executionArn"])
        return told if told["status"] != "RUNNING" else None

    assert json.loads(wait_for(done)["output"]) == {"caught": "OwnError"}
