import boto3
import pytest
from click.testing import CliRunner

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from cli.alarms import alarms
from cli.alarms.queues import OPTIONAL, QUEUES
from tests.unit.alarms.conftest import TABLE, path  # noqa: F401 - a fixture

REGION = "eu-west-1"


@pytest.fixture
def boxcar_alarms(fake, path):  # noqa: F811
    """`boxcar alarms …` on moto's SQS and DynamoDB."""
    sqs = boto3.client("sqs", REGION)
    for name in QUEUES:
        sqs.create_queue(QueueName=f"boxcar-{name}", Attributes={"FifoQueue": "true"} if name.endswith("fifo") else {})
    fake.outputs["JobsTableName"] = TABLE
    fake.clients |= {"sqs": sqs, "dynamodb": path.dynamodb}
    return lambda *arguments: CliRunner().invoke(alarms, arguments, obj=fake, catch_exceptions=False)


def url(fake, name):
    return fake.clients["sqs"].get_queue_url(QueueName=f"boxcar-{name}")["QueueUrl"]


def bodies(fake, name):
    found = fake.clients["sqs"].receive_message(QueueUrl=url(fake, name), MaxNumberOfMessages=10)
    return sorted(message["Body"] for message in found.get("Messages", []))


def test_dead_letters_are_shown_and_delivered_again(boxcar_alarms, fake):
    for number in range(12):
        fake.clients["sqs"].send_message(QueueUrl=url(fake, "alarm-dead-letters"), MessageBody=f"letter {number}")
    shown = boxcar_alarms("queues").output
    assert "alarm-dead-letters                 12        0  see the log of send-alarms" in shown
    done = boxcar_alarms("redeliver")
    assert done.output.count("delivered: letter") == 12
    assert len(bodies(fake, "alarms")) == 10
    assert boxcar_alarms("redeliver").output == "no dead letters of alarm\n"


def test_queues_of_what_is_off_are_left_out(boxcar_alarms, fake):
    assert "answers-dead-letters" in boxcar_alarms("queues").output
    for name in OPTIONAL:
        fake.clients["sqs"].delete_queue(QueueUrl=url(fake, name))
    shown = boxcar_alarms("queues").output
    assert "answers" not in shown and "archive-dead-letters" in shown


def test_a_dry_run_leaves_them_where_they_are(boxcar_alarms, fake):
    fake.clients["sqs"].send_message(QueueUrl=url(fake, "monitor-dead-letters"), MessageBody="letter")
    assert boxcar_alarms("redeliver", "monitor", "--dry-run").output == "would deliver: letter\n"
    assert bodies(fake, "monitor") == []


def test_wakes_of_the_launcher_keep_their_group(boxcar_alarms, fake):
    group = {"MessageGroupId": "launcher", "MessageDeduplicationId": "1"}
    fake.clients["sqs"].send_message(QueueUrl=url(fake, "launch-dead-letters.fifo"), MessageBody="wake", **group)
    boxcar_alarms("redeliver", "launch")
    assert bodies(fake, "launch.fifo") == ["wake"]


def test_what_could_not_start_a_run_starts_it_and_what_goes_nowhere_is_kept(boxcar_alarms, fake):
    class States:
        started = []

        def start_execution(self, **request):
            self.started.append(request)

    fake.clients["stepfunctions"] = States()
    machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:boxcar-training"
    queue = url(fake, "start-dead-letters")
    target = {"TARGET_ARN": {"DataType": "String", "StringValue": machine}}
    fake.clients["sqs"].send_message(QueueUrl=queue, MessageBody="{}", MessageAttributes=target)
    boxcar_alarms("redeliver", "start")
    assert States.started == [{"stateMachineArn": machine, "input": "{}"}]
    fake.clients["sqs"].send_message(QueueUrl=queue, MessageBody="lost")
    failed = boxcar_alarms("redeliver", "start")
    assert failed.exit_code == 1 and "a dead letter goes to nowhere: lost" in failed.output
    counted = fake.clients["sqs"].get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert counted["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1", "it comes back after a minute"


def test_what_was_told_and_what_waits_is_listed(boxcar_alarms, path, monkeypatch):  # noqa: F811
    import time

    path.now = time.time()
    links = Links("", "eu-west-1", "boxcar-data", "boxcar", "123456789012")
    for run in ("run-1", "run-2", "run-3"):
        failure = {"kind": "run_failed", "machine": "training", "run": run, "family": "f", "error": "NoRows"}
        path.deliver(read_message(failure, links, ""))
    models = [{"model": "m", "status": "approved"}]
    report = {"kind": "report", "machine": "training", "run": "run-4", "status": "succeeded", "models": models}
    path.deliver(read_message(report, links, ""))
    shown = boxcar_alarms("list").output
    assert shown.count("counted  error") == 2 and shown.count("mailed   error") == 1
    assert "waits    for the digest: [Boxcar report] training: 1 approved (run-4)" in shown
    assert "2 more counted, told of at" in shown
    path.digest()
    shown = boxcar_alarms("list").output
    assert "digest   info" in shown and "[Boxcar digest] 1 report" in shown


def test_nothing_told_says_so(boxcar_alarms):
    assert boxcar_alarms("list", "--days", "1").output == "nothing was told in 1 day\n"
