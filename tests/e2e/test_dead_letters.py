"""An alarm that cannot be sent is not lost: it lies among the dead letters, and CloudWatch tells engineering, once."""

import json
import time

from cli.alarms.queues import redeliver
from local.client import wait_for
from tests.e2e.deployed import Deployed

ENGINEERING = "engineering@boxcar.local"


def state_of(stack: Deployed, name: str) -> str:
    [alarm] = stack.session.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


def until(stack: Deployed, name: str, state: str) -> None:
    """Look at the alarms until one has a state; the cloud's own look at a minute's end may be the one that sees it."""
    wait_for(lambda: stack.cloud.tick() is not None and state_of(stack, name) == state, 60, every=0.5)


def told(stack: Deployed, alarm: str) -> list[str]:
    return [mail.subject for mail in stack.cloud.mails(ENGINEERING) if alarm in mail.subject]


def queue_url(stack: Deployed, name: str) -> str:
    url: str = stack.session.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    return url


def test_what_send_alarms_cannot_read_reaches_engineering_past_it(empty_stack: Deployed) -> None:
    cloud, sqs, alarm = empty_stack.cloud, empty_stack.session.client("sqs"), "boxcar-watchdog/alarm-dead-letters"
    queue, dead = queue_url(empty_stack, "boxcar-alarms"), queue_url(empty_stack, "boxcar-alarm-dead-letters")
    # what failed comes again at once, not after three minutes; five failures bury it, as the template says
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    cloud.tick()
    assert state_of(empty_stack, alarm) == "OK"

    sqs.send_message(QueueUrl=queue, MessageBody="this is no alarm")
    until(empty_stack, alarm, "ALARM")
    wait_for(lambda: told(empty_stack, alarm))
    cloud.tick()
    time.sleep(1)  # a second one would come about now, or one by the path that is broken
    assert told(empty_stack, alarm) == [f'ALARM: "{alarm}" in US East (N. Virginia)']
    [mail] = [mail for mail in cloud.mails() if alarm in mail.subject]
    assert mail.to == ENGINEERING and mail.topic_arn.endswith(":boxcar-watchdog")
    assert "Look at the log of send-alarms, mend it, then `boxcar alarms redeliver`." in mail.text

    [message] = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "this is no alarm"
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
    until(empty_stack, alarm, "OK")
    assert len(told(empty_stack, alarm)) == 1


def test_dead_letters_elsewhere_reach_engineering_as_an_alarm_like_any_other(empty_stack: Deployed) -> None:
    cloud, sqs, alarm = empty_stack.cloud, empty_stack.session.client("sqs"), "boxcar/start-dead-letters"
    cloud.tick()
    sqs.send_message(QueueUrl=queue_url(empty_stack, "boxcar-start-dead-letters"), MessageBody="{}")
    until(empty_stack, alarm, "ALARM")
    wait_for(lambda: told(empty_stack, alarm))
    [mail] = [mail for mail in cloud.mails() if alarm in mail.subject]
    assert mail.subject == f"[Boxcar alarm] start dead letters ({alarm})"
    assert mail.to == ENGINEERING and mail.topic_arn.endswith(":boxcar-notifications")
    text = " ".join(mail.text.split())
    for part in ("A trigger or a schedule could not start what it should", "Queue: boxcar-start-dead-letters", "Since"):
        assert part in text

    sqs.purge_queue(QueueUrl=queue_url(empty_stack, "boxcar-start-dead-letters"))
    until(empty_stack, alarm, "OK")
    wait_for(lambda: f"[Boxcar alarm over] start dead letters ({alarm})" in told(empty_stack, alarm))


def test_a_mail_that_sns_refused_is_delivered_again_once(empty_stack: Deployed) -> None:
    cloud, sqs = empty_stack.cloud, empty_stack.session.client("sqs")
    dead = queue_url(empty_stack, "boxcar-alarm-dead-letters")
    cloud.add_fault(service="sns", action="Publish", error="AuthorizationError")
    failure = {"kind": "run_failed", "machine": "training", "run": "lost-1", "family": "f", "error": "NoRows"}
    sqs.send_message(QueueUrl=queue_url(empty_stack, "boxcar-alarms"), MessageBody=json.dumps(failure))

    def buried() -> bool:
        known = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
        return known["Attributes"]["ApproximateNumberOfMessages"] == "1"

    wait_for(buried, 120)
    assert empty_stack.mails("lost-1") == []
    cloud.forget_faults()
    for _ in range(2):
        assert list(redeliver(empty_stack.session, "alarm", dry_run=False)) in ([json.dumps(failure)], [])
    assert empty_stack.one_alarm("lost-1", "science")
    found = empty_stack.session.client("cloudwatch").list_metrics(Namespace="Boxcar", MetricName="AlarmsSent")
    assert [metric["Dimensions"] for metric in found["Metrics"]] == [[{"Name": "service", "Value": "boxcar"}]]
    assert empty_stack.session.client("cloudwatch").get_dashboard(DashboardName="boxcar")["DashboardBody"]


def test_every_dead_letter_queue_of_the_stack_has_an_alarm_that_finds_its_metric(empty_stack: Deployed) -> None:
    """A wrong dimension would make an alarm that never rings: each must look at a queue that exists."""
    sqs = empty_stack.session.client("sqs")
    queues = {url.rpartition("/")[2] for url in sqs.list_queues()["QueueUrls"]}
    alarms = empty_stack.session.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = {
        dimension["Value"]
        for alarm in alarms
        if alarm.get("Namespace") == "AWS/SQS"
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "QueueName"
    }
    assert watched <= queues
    assert {name for name in queues if name.endswith("dead-letters")} <= watched
