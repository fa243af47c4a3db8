"""CloudWatch on a running cloud: what services measure, what functions log, alarms of a stack, mails and events."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local import server
from local.client import CloudClient, wait_for
from local.cloudwatch import cbor
from tests.integration.conftest import Deployed, outputs_of, sam_deploy
from tests.ports import free_port

DEAD = "ApproximateNumberOfMessagesVisible"


def total(cloud: CloudClient, namespace: str, name: str, stat: str = "Sum", **dimensions: str) -> float:
    """A statistic of the last minutes."""
    now = time.time()
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - 1800,
        EndTime=now + 60,
        Period=3600,
        Statistics=[stat],
    )["Datapoints"]
    return float(found[0][stat]) if found else 0.0


def alarm(cloud: CloudClient, name: str) -> dict[str, Any]:
    [found] = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found


@pytest.fixture
def no_dead_letters(deployed: Deployed) -> Iterator[Deployed]:
    sqs = deployed.cloud.client("sqs")
    sqs.purge_queue(QueueUrl=deployed.outputs["Dead"])
    deployed.cloud.tick()
    yield deployed
    sqs.purge_queue(QueueUrl=deployed.outputs["Dead"])


def test_a_stacks_alarm_is_as_the_template_says(deployed: Deployed) -> None:
    found = alarm(deployed.cloud, "small-dead-letters")
    assert deployed.outputs["DeadAlarm"] == "small-dead-letters"
    assert deployed.outputs["DeadAlarmArn"] == found["AlarmArn"]
    assert (found["Period"], found["Threshold"], found["TreatMissingData"]) == (60, 0.0, "notBreaching")
    assert found["Dimensions"][0]["Name"] == "QueueName"
    tags = deployed.cloud.client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert {"Key": "stack", "Value": "small"} in tags
    board = deployed.cloud.client("cloudwatch").get_dashboard(DashboardName=deployed.outputs["Board"])
    assert json.loads(board["DashboardBody"])["widgets"][0]["properties"] == {"markdown": "Revision 1"}


def test_alarms_and_dashboards_change_and_go_with_their_stack(cloud: CloudClient) -> None:
    sam_deploy(cloud, "passing")
    made = outputs_of(cloud, "passing")
    cloud.client("cloudwatch").set_alarm_state(AlarmName=made["DeadAlarm"], StateValue="ALARM", StateReason="a drill")
    sam_deploy(cloud, "passing", "Revision=2")
    assert outputs_of(cloud, "passing") == made
    changed = alarm(cloud, made["DeadAlarm"])
    assert changed["AlarmDescription"] == "Revision 2: look at the dead letters."
    assert len(alarm(cloud, made["ErrorShareAlarm"])["Metrics"]) == 3
    cloud.client("cloudformation").delete_stack(StackName="passing")
    names = [made["DeadAlarm"], made["ErrorShareAlarm"]]
    wait_for(lambda: not cloud.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"], 30)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloud.client("cloudwatch").get_dashboard(DashboardName=made["Board"])


def test_a_dead_letter_rings_once_and_rests_when_it_is_taken_out(no_dead_letters: Deployed) -> None:
    cloud, outputs = no_dead_letters.cloud, no_dead_letters.outputs
    sqs, name = cloud.client("sqs"), "small-dead-letters"
    before = len(cloud.mails("watchers@example.com"))
    assert alarm(cloud, name)["StateValue"] == "OK"
    sqs.set_queue_attributes(QueueUrl=outputs["Queue"], Attributes={"VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=outputs["Queue"], MessageBody="no function can read this")

    def is_now(state: str) -> bool:
        cloud.tick()  # or the cloud's own look at a minute's end was the one that changed it
        return alarm(cloud, name)["StateValue"] == state

    wait_for(lambda: is_now("ALARM"), every=0.3)
    mails = wait_for(lambda: cloud.mails("watchers@example.com")[before:])
    cloud.tick()
    time.sleep(0.5)  # a second one would come about now
    assert [mail.subject for mail in cloud.mails("watchers@example.com")[before:]] == [
        'ALARM: "small-dead-letters" in US East (N. Virginia)'
    ]
    assert "Revision 1: look at the dead letters." in mails[0].text
    no_dead_letters.dead_letters()
    wait_for(lambda: is_now("OK"), every=0.3)
    assert len(cloud.mails("watchers@example.com")[before:]) == 1  # the template asks for ALARM only


def test_a_change_of_state_is_an_event(no_dead_letters: Deployed) -> None:
    cloud, outputs = no_dead_letters.cloud, no_dead_letters.outputs
    events, queue = cloud.client("events"), outputs["Dead"]
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": ["drill"], "state": {"value": ["ALARM"]}}}
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    events.put_rule(Name="alarm-changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="alarm-changes", Targets=[{"Id": "dead", "Arn": arn}])
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="drill",
        Namespace="Test",
        MetricName="Never",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloud.client("cloudwatch").set_alarm_state(AlarmName="drill", StateValue="ALARM", StateReason="to see")
    [message] = no_dead_letters.dead_letters()
    event = json.loads(message["Body"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    events.remove_targets(Rule="alarm-changes", Ids=["dead"])
    events.delete_rule(Name="alarm-changes")


def test_invocations_errors_and_their_share(deployed: Deployed) -> None:
    name = deployed.outputs["Worker"]
    before = total(deployed.cloud, "AWS/Lambda", "Invocations", FunctionName=name)
    errors = total(deployed.cloud, "AWS/Lambda", "Errors", FunctionName=name)
    deployed.call(do="look", modules=[])
    deployed.call(do="raise")
    assert total(deployed.cloud, "AWS/Lambda", "Invocations", FunctionName=name) == before + 2
    assert total(deployed.cloud, "AWS/Lambda", "Errors", FunctionName=name) == errors + 1
    assert total(deployed.cloud, "AWS/Lambda", "Duration", "Maximum", FunctionName=name) > 0
    deployed.cloud.tick()
    found = alarm(deployed.cloud, deployed.outputs["ErrorShareAlarm"])
    assert found["StateValue"] == "OK"  # never more than 100 %
    assert "was not greater than the threshold (100.0)" in found["StateReason"]


def test_metrics_in_what_a_function_prints(deployed: Deployed) -> None:
    document = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "Boxcar",
                    "Dimensions": [["stage"], []],
                    "Metrics": [{"Name": "Planned", "Unit": "Count"}],
                }
            ],
        },
        "stage": "test",
        "Planned": [2, 3],
    }
    deployed.call(do="print", text=json.dumps(document))
    assert total(deployed.cloud, "Boxcar", "Planned", stage="test") == 5.0
    assert total(deployed.cloud, "Boxcar", "Planned", "SampleCount") == 2.0  # the shell's echo has no quotes left


def test_metrics_in_log_events_that_are_put(cloud: CloudClient) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/jobs")
    logs.create_log_stream(logGroupName="/jobs", logStreamName="one")
    now = int(time.time() * 1000)
    directive = {"Namespace": "Jobs", "Dimensions": [[]], "Metrics": [{"Name": "Rows"}]}
    document = {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "Rows": 7}
    events = [{"timestamp": now, "message": json.dumps(document, indent=1)}, {"timestamp": now, "message": "done"}]
    logs.put_log_events(logGroupName="/jobs", logStreamName="one", logEvents=events)
    assert total(cloud, "Jobs", "Rows") == 7.0


def test_executions_and_messages_are_counted(deployed: Deployed) -> None:
    cloud, machine = deployed.cloud, deployed.outputs["Machine"]
    dimensions = {"StateMachineArn": machine}
    before = total(cloud, "AWS/States", "ExecutionsSucceeded", **dimensions)
    cloud.client("stepfunctions").start_execution(
        stateMachineArn=machine, input=json.dumps({"do": "put", "pk": "counted", "seconds": 0})
    )
    wait_for(lambda: total(cloud, "AWS/States", "ExecutionsSucceeded", **dimensions) > before, 20)
    queue = deployed.outputs["Queue"]
    sent = {"QueueName": queue.rpartition("/")[2]}
    cloud.tick()
    before = total(cloud, "AWS/SQS", "NumberOfMessagesSent", **sent)
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody='{"do": "put", "pk": "sent"}')
    deployed.item("sent")
    wait_for(lambda: cloud.tick() is not None and total(cloud, "AWS/SQS", "NumberOfMessagesDeleted", **sent) > 0)
    assert total(cloud, "AWS/SQS", "NumberOfMessagesSent", **sent) == before + 1
    assert total(cloud, "AWS/SQS", "NumberOfMessagesReceived", **sent) > 0


def test_a_schedule_that_cannot_deliver_is_counted(deployed: Deployed) -> None:
    dimensions = {"ScheduleGroup": "default"}
    names = ("InvocationAttemptCount", "InvocationDroppedCount", "InvocationsSentToDeadLetterCount")
    before = [total(deployed.cloud, "AWS/Scheduler", name, **dimensions) for name in names]
    deployed.cloud.fire_schedule("small-forbidden")  # its role may not invoke the function
    deployed.dead_letters()

    def counted() -> bool:
        now = [total(deployed.cloud, "AWS/Scheduler", name, **dimensions) for name in names]
        return now == [value + 1 for value in before]

    wait_for(counted)


def test_iam_decides_who_may(cloud: CloudClient) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="meter")
    allow = {"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="meter", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="meter")["AccessKey"]
    acting = cloud._session.client(
        "cloudwatch",
        endpoint_url=cloud.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    acting.put_metric_data(Namespace="Metered", MetricData=[{"MetricName": "x", "Value": 1.0}])
    with pytest.raises(ClientError, match="AccessDenied"):
        acting.list_metrics(Namespace="Metered")


def test_newer_and_older_clients_reach_it(cloud: CloudClient) -> None:
    def ask(path: str, body: bytes, kind: str) -> tuple[str, bytes]:
        request = AWSRequest("POST", f"{cloud.endpoint}{path}", {"Content-Type": kind}, body)
        SigV4Auth(Credentials("test", "test"), "monitoring", "us-east-1").add_auth(request)
        sent = urllib.request.Request(request.url, body, dict(request.headers.items()))
        with urllib.request.urlopen(sent) as answer:
            return answer.headers["Content-Type"], answer.read()

    kind, answer = ask(
        "/", b"Action=ListMetrics&Version=2010-08-01&Namespace=Nothing", "application/x-www-form-urlencoded"
    )
    assert (kind, b"<ListMetricsResult><Metrics></Metrics>" in answer) == ("text/xml", True)
    path = "/service/GraniteServiceVersion20100801/operation/ListMetrics"
    kind, answer = ask(path, cbor.dumps({"Namespace": "Nothing"}), "application/cbor")
    assert (kind, cbor.loads(answer)) == ("application/cbor", {"Metrics": []})


def test_the_control_api_refuses_what_it_cannot_do(cloud: CloudClient) -> None:
    with pytest.raises(Exception, match=r"at least 0\.1"):
        cloud.tick_every(0)


def test_alarms_ring_by_themselves_and_outlive_the_cloud(tmp_path: Path) -> None:
    state = tmp_path / "state"
    cloud = CloudClient(server.up(free_port(), state, detach=True))
    try:
        url = cloud.client("sqs").create_queue(QueueName="dead")["QueueUrl"]
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName="dead",
            Namespace="AWS/SQS",
            MetricName=DEAD,
            Dimensions=[{"Name": "QueueName", "Value": "dead"}],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody="x")
        cloud.tick_every(0.2)
        wait_for(lambda: alarm(cloud, "dead")["StateValue"] == "ALARM")
    finally:
        server.down(state)
    cloud = CloudClient(server.up(free_port(), state, detach=True))
    try:
        assert alarm(cloud, "dead")["StateValue"] == "ALARM"
        summaries = [
            item["HistorySummary"]
            for item in cloud.client("cloudwatch").describe_alarm_history(AlarmName="dead")["AlarmHistoryItems"]
        ]
        assert summaries[0].endswith("to ALARM") and summaries[-1] == 'Alarm "dead" created', "newest first"
    finally:
        server.down(state)
