"""Faults that tests inject: what the caller sees, how often, and that they are listed."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from local.client import CloudClient, wait_for
from local.service import ApiError
from tests.integration.conftest import Deployed


def test_a_throttle_fires_as_often_as_it_should(faults: CloudClient, deployed: Deployed) -> None:
    faults.add_fault(service="dynamodb", action="PutItem", error="ProvisionedThroughputExceededException", count=2)
    assert deployed.call(do="put", pk="throttled")["error"] is None  # the function's own boto3 retries
    fired = faults.faults()["fired"]
    assert [(each["service"], each["action"]) for each in fired] == [("dynamodb", "PutItem")] * 2
    assert fired[0]["caller"].startswith("small-WorkerRole")


def test_a_role_is_denied_and_another_is_not(faults: CloudClient, deployed: Deployed) -> None:
    faults.add_fault(service="dynamodb", action="*", caller="small-WorkerRole-*", deny=True)
    told = deployed.call(do="put", pk="denied")
    assert "(AccessDeniedException)" in told["payload"]["errorMessage"]
    assert "is not authorized to perform: dynamodb:PutItem" in told["payload"]["errorMessage"]
    faults.client("dynamodb").describe_table(TableName=deployed.outputs["Table"])


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("s3", lambda client, made: client.get_object(Bucket=made["Bucket"], Key="in/none")),
        ("sns", lambda client, made: client.publish(TopicArn=made["Topic"], Message="x")),
        ("sqs", lambda client, made: client.send_message(QueueUrl=made["Queue"], MessageBody="x")),
        ("lambda", lambda client, made: client.invoke(FunctionName=made["Worker"])),
        ("states", lambda client, made: client.start_execution(stateMachineArn=made["Machine"])),
        ("scheduler", lambda client, made: client.list_schedules()),
    ],
)
def test_an_error_arrives_under_its_code_in_every_protocol(faults, deployed: Deployed, service: str, call) -> None:
    faults.add_fault(service=service, error="OutOfServiceException", message="on purpose", status=400)
    client = faults.client("stepfunctions" if service == "states" else service)
    with pytest.raises(ClientError) as caught:
        call(client, deployed.outputs)
    assert caught.value.response["Error"]["Code"] == "OutOfServiceException"
    assert caught.value.response["Error"]["Message"] == "on purpose"


def invocations(cloud: CloudClient, deployed: Deployed) -> tuple[int, int]:
    """How often the worker ran to an end, and how often that was an error."""
    told = cloud.calls()["functions"].get(deployed.outputs["Worker"], {"invocations": 0, "errors": 0})
    return told["invocations"], told["errors"]


@pytest.mark.parametrize(("effect", "runs"), [("lose", 0), ("double", 2), ("late", 1)])
def test_events_are_lost_doubled_or_late(faults: CloudClient, deployed: Deployed, effect: str, runs: int) -> None:
    faults.add_fault(event="aws.s3", match={"object.key": f"in/{effect}-*"}, effect=effect, delay=1.0, count=1)
    faults.forget_calls()
    began = time.time()
    faults.client("s3").put_object(Bucket=deployed.outputs["Bucket"], Key=f"in/{effect}-1", Body=b"")
    faults.client("s3").put_object(Bucket=deployed.outputs["Bucket"], Key=f"in/{effect}-2", Body=b"")
    deployed.item(f"in/{effect}-2")
    if runs:
        item = deployed.item(f"in/{effect}-1")
        if effect == "late":
            assert float(item["begun"]["N"]) - began >= 1.0
    wait_for(lambda: invocations(faults, deployed)[0] >= runs + 1)
    time.sleep(1.0)  # one too many would come about now
    table = faults.client("dynamodb")
    found = table.get_item(TableName=deployed.outputs["Table"], Key={"pk": {"S": f"in/{effect}-1"}})
    assert ("Item" in found) == bool(runs)
    assert invocations(faults, deployed) == (runs + 1, 0)


@pytest.mark.parametrize(("moment", "written"), [("before", False), ("after", True)])
def test_a_function_is_killed_around_a_call(
    faults: CloudClient, deployed: Deployed, moment: str, written: bool
) -> None:
    faults.add_fault(service="dynamodb", action="PutItem", kill=moment, count=1)
    told = deployed.call(do="put", pk=f"killed-{moment}")
    assert told["error"] == "Runtime.ExitError"
    assert told["payload"]["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    found = faults.client("dynamodb").get_item(
        TableName=deployed.outputs["Table"], Key={"pk": {"S": f"killed-{moment}"}}
    )
    assert ("Item" in found) == written
    assert deployed.call(do="put", pk=f"again-{moment}")["error"] is None
    assert [each["action"] for each in faults.faults()["fired"]] == ["PutItem"]


def test_what_a_killed_function_had_taken_from_a_queue_is_delivered_again(
    faults: CloudClient, deployed: Deployed
) -> None:
    queue, url = faults.client("sqs"), deployed.outputs["Queue"]
    queue.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "3"})
    faults.add_fault(service="dynamodb", action="PutItem", kill="before", count=1)
    faults.forget_calls()
    try:
        queue.send_message(QueueUrl=url, MessageBody=json.dumps({"do": "put", "pk": "delivered-again"}))
        deployed.item("delivered-again")
        wait_for(lambda: invocations(faults, deployed) == (2, 1))
    finally:
        queue.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})


def test_a_call_of_nobodys_function_is_not_killed(faults: CloudClient, deployed: Deployed) -> None:
    faults.add_fault(service="dynamodb", kill="before")
    faults.client("dynamodb").describe_table(TableName=deployed.outputs["Table"])
    assert faults.faults()["fired"] == []


def test_quotas_are_set_while_the_cloud_runs(cloud: CloudClient) -> None:
    cloud.set_quotas({"ml.m5.large for spot training job usage": 3})
    assert cloud.quotas()["ml.m5.large for spot training job usage"] == {"limit": 3, "used": 0}
    cloud.set_quotas({"ml.m5.large for spot training job usage": None})
    assert cloud.quotas() == {}
    with pytest.raises(ApiError, match="write an instance type such as"):
        cloud.set_quotas({"m5.large": 1})


def test_a_fault_that_makes_no_sense_is_refused_with_what_to_write(faults: CloudClient) -> None:
    with pytest.raises(ApiError, match="field 'actoin' is unknown; known: action,"):
        faults.add_fault(service="s3", actoin="GetObject", error="X")
    with pytest.raises(ApiError, match="effect 'loose' must be one of lose, double, late"):
        faults.add_fault(event="aws.s3", effect="loose")
    assert faults.faults()["rules"] == []


def test_a_delay_delays(faults: CloudClient, deployed: Deployed) -> None:
    faults.add_fault(service="lambda", action="InvokeFunction", delay=0.5, count=1)
    began = time.monotonic()
    faults.client("lambda").invoke(FunctionName=deployed.outputs["Worker"], Payload=json.dumps({}))
    assert time.monotonic() - began >= 0.5
