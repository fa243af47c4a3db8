"""An alarm that cannot be sent is not lost: it lies among the dead letters, and CloudWatch tells engineering, once."""

import time

from local.client import wait_for
from tests.e2e.deployed import Deployed

ALARM = "boxcar-alarm-dead-letters"


def state_of(stack: Deployed, name: str) -> str:
    [alarm] = stack.session.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


def test_what_send_alarms_cannot_read_reaches_engineering_through_cloudwatch(empty_stack: Deployed) -> None:
    cloud, sqs = empty_stack.cloud, empty_stack.session.client("sqs")
    queue = sqs.get_queue_url(QueueName="boxcar-alarms")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName="boxcar-alarm-dead-letters")["QueueUrl"]
    # what failed comes again at once, not after three minutes; five failures bury it, as the template says
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    cloud.tick()
    assert state_of(empty_stack, ALARM) == "OK"

    sqs.send_message(QueueUrl=queue, MessageBody="this is no alarm")
    wait_for(lambda: {"alarm": ALARM, "before": "OK", "now": "ALARM"} in cloud.tick(), 60, every=0.5)

    def told() -> list[str]:
        return [mail.subject for mail in cloud.mails("engineering@boxcar.local") if ALARM in mail.subject]

    wait_for(told)
    cloud.tick()
    time.sleep(1)  # a second one would come about now
    assert told() == [f'ALARM: "{ALARM}" in US East (N. Virginia)']
    [mail] = [mail for mail in cloud.mails() if ALARM in mail.subject]
    assert mail.to == "engineering@boxcar.local"
    assert "Look at the log of send-alarms, then redrive." in mail.text

    [message] = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "this is no alarm"
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
    assert {"alarm": ALARM, "before": "ALARM", "now": "OK"} in cloud.tick()
    assert len(told()) == 1


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
