"""State machines against the real services of the embedded cloud: results, error names, roles, callbacks, child machines."""

import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.client import CloudClient, wait_for

CODE = """
class Custom(Exception): pass
def handler(event, context):
    if event.get("fail"):
        raise Custom("it failed")
    return event
"""
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}


def machine(states: dict[str, Any]) -> dict[str, Any]:
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}


def task(resource: str, arguments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": arguments,
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


@dataclass
class Lab:
    """Resources that machines use, a role that may do everything and one that may do nothing."""

    cloud: CloudClient
    name: str
    table: str
    bucket: str
    queue: str
    topic: str
    function: str

    def role(self, *actions: str) -> str:
        iam, name = self.cloud.client("iam"), f"machine-{uuid.uuid4().hex[:8]}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        if actions:
            policy = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
            }
            iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return str(arn)

    def create(self, definition: dict[str, Any], role: str = "") -> str:
        made = self.cloud.client("stepfunctions").create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role or self.role("*")
        )
        return str(made["stateMachineArn"])

    def run(self, definition: dict[str, Any], value: Any = None, role: str = "") -> dict[str, Any]:
        client = self.cloud.client("stepfunctions")
        execution = client.start_execution(
            stateMachineArn=self.create(definition, role), input=json.dumps(value or {})
        )["executionArn"]

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = client.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        return wait_for(ended, 30, why=f"the end of {execution}")


@pytest.fixture(scope="module")
def lab(cloud: CloudClient) -> Iterator[Lab]:
    name = f"lab-{uuid.uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=name)
    cloud.client("dynamodb").create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )  # fmt: skip
    queue = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    topic = cloud.client("sns").create_topic(Name=name)["TopicArn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("app.py", CODE)
    made = Lab(cloud, name, name, name, queue, topic, name)
    cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=made.role("*"),
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
    )
    yield made


def test_a_function_answers_and_its_error_keeps_its_name(lab: Lab) -> None:
    call = {"FunctionName": lab.function, "Payload": "{% $states.input %}"}
    ended = lab.run(machine({"T": task("lambda:invoke", call)}), {"x": 1})
    assert json.loads(ended["output"])["Payload"] == {"x": 1}, ended
    catch = [{"ErrorEquals": ["Custom"], "Next": "C", "Output": "{% $parse($states.errorOutput.Cause).errorMessage %}"}]
    ended = lab.run(machine({"T": task("lambda:invoke", call, Catch=catch), "C": {"Type": "Succeed"}}), {"fail": True})
    assert ended["output"] == '"it failed"', ended


def test_dynamodb_and_its_refusals(lab: Lab) -> None:
    key = {"pk": {"S": "a"}}
    ended = lab.run(machine({
        "P": task("dynamodb:putItem", {"TableName": lab.table, "Item": {**key, "n": {"N": "{% $string($states.input.n) %}"}}}, Next="U"),
        "U": task("dynamodb:updateItem", {"TableName": lab.table, "Key": key, "UpdateExpression": "SET n = n + :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}, Next="G"),
        "G": task("dynamodb:getItem", {"TableName": lab.table, "Key": key}, Output="{% $states.result.Item.n.N %}"),
    }), {"n": 4})  # fmt: skip
    assert ended["output"] == '"5"', ended
    ended = lab.run(
        machine(
            {
                "U": task(
                    "dynamodb:updateItem",
                    {
                        "TableName": lab.table,
                        "Key": key,
                        "UpdateExpression": "SET n = :m",
                        "ConditionExpression": "n = :m",
                        "ExpressionAttributeValues": {":m": {"N": "9"}},
                    },
                )
            }
        )
    )
    assert ended["error"] == "DynamoDB.ConditionalCheckFailedException", ended
    ended = lab.run(
        machine(
            {
                "Q": task(
                    "aws-sdk:dynamodb:query",
                    {
                        "TableName": "nowhere",
                        "KeyConditionExpression": "pk = :p",
                        "ExpressionAttributeValues": {":p": {"S": "a"}},
                    },
                )
            }
        )
    )
    assert ended["error"] == "DynamoDb.ResourceNotFoundException", ended


def test_s3_through_the_sdk(lab: Lab) -> None:
    where = {"Bucket": lab.bucket, "Key": "a.json"}
    ended = lab.run(machine({
        "P": task("aws-sdk:s3:putObject", {**where, "Body": {"a": [1, 2]}}, Next="G"),
        "G": task("aws-sdk:s3:getObject", where, Output="{% $parse($states.result.Body).a %}", Next="L"),
        "L": task("aws-sdk:s3:listObjectsV2", {"Bucket": lab.bucket, "Prefix": "a"}, Output={"keys": "{% [$states.result.Contents.Key] %}", "before": "{% $states.input %}"}),
    }))  # fmt: skip
    assert json.loads(ended["output"]) == {"keys": ["a.json"], "before": [1, 2]}, ended
    ended = lab.run(machine({"G": task("aws-sdk:s3:getObject", {**where, "Key": "none"})}))
    assert ended["error"] == "S3.NoSuchKeyException", ended


def test_messages_carry_objects_as_json(lab: Lab) -> None:
    kind = {"kind": {"DataType": "String", "StringValue": "alarm"}}
    ended = lab.run(machine({
        "N": task("sns:publish", {"TopicArn": lab.topic, "Message": {"from": "sns"}, "MessageAttributes": kind}, Next="Q"),
        "Q": task("sqs:sendMessage", {"QueueUrl": lab.queue, "MessageBody": {"from": "sqs"}}),
    }))  # fmt: skip
    assert set(json.loads(ended["output"])) == {
        "MD5OfMessageBody",
        "MessageId",
        "SdkHttpMetadata",
        "SdkResponseMetadata",
    }
    receive = lab.cloud.client("sqs").receive_message
    message = wait_for(lambda: receive(QueueUrl=lab.queue).get("Messages"), why="the message")[0]
    assert json.loads(message["Body"]) == {"from": "sqs"}


def test_a_role_that_may_not_is_refused(lab: Lab) -> None:
    ended = lab.run(
        machine({"T": task("lambda:invoke", {"FunctionName": lab.function, "Payload": {}})}),
        role=lab.role("s3:GetObject"),
    )
    assert (ended["status"], "AccessDenied" in ended["error"]) == ("FAILED", True), ended


def test_child_machines(lab: Lab) -> None:
    child = lab.create(machine({"A": {"Type": "Pass", "Output": {"twice": "{% $states.input.n * 2 %}"}, "End": True}}))
    start = {"StateMachineArn": child, "Input": {"n": "{% $states.input.n %}"}}
    ended = lab.run(
        machine({"S": task("states:startExecution.sync:2", start, Output="{% $states.result.Output %}")}), {"n": 4}
    )
    assert ended["output"] == '{"twice":8}', ended
    broken = lab.create(machine({"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}))
    ended = lab.run(
        machine({"S": task("states:startExecution.sync:2", {**start, "StateMachineArn": broken})}), {"n": 1}
    )
    assert ended["error"] == "States.TaskFailed" and json.loads(ended["cause"])["Error"] == "E", ended


def test_a_callback_through_a_queue(lab: Lab) -> None:
    client, sqs = lab.cloud.client("stepfunctions"), lab.cloud.client("sqs")
    queue = sqs.create_queue(QueueName=f"{lab.name}-tokens")["QueueUrl"]
    arn = lab.create(
        machine(
            {
                "T": task(
                    "sqs:sendMessage.waitForTaskToken",
                    {"QueueUrl": queue, "MessageBody": {"token": "{% $states.context.Task.Token %}"}},
                    TimeoutSeconds=30,
                )
            }
        )
    )
    execution = client.start_execution(stateMachineArn=arn)["executionArn"]
    message = wait_for(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), why="the token")[0]
    client.send_task_success(taskToken=json.loads(message["Body"])["token"], output='{"approved": true}')
    wait_for(lambda: client.describe_execution(executionArn=execution)["status"] == "SUCCEEDED", why="the end")


def test_a_distributed_map_over_objects(lab: Lab) -> None:
    s3 = lab.cloud.client("s3")
    s3.put_object(Bucket=lab.bucket, Key="in/items.csv", Body=b"id,name\n1,a\n2,b\n")
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "Output": "{% $states.input.name %}", "End": True}},
    }
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV"},
        "Arguments": {"Bucket": lab.bucket, "Key": "in/items.csv"},
    }
    ended = lab.run(machine({"M": {"Type": "Map", "ItemReader": reader, "ItemProcessor": processor, "End": True}}))
    assert ended["output"] == '["a","b"]', ended
    lister = {"Resource": "arn:aws:states:::s3:listObjectsV2", "Arguments": {"Bucket": lab.bucket, "Prefix": "in/"}}
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": lab.bucket, "Prefix": "out"}}
    processor["States"] = {"P": {"Type": "Pass", "Output": "{% $states.input.Key %}", "End": True}}
    ended = lab.run(
        machine(
            {
                "M": {
                    "Type": "Map",
                    "ItemReader": lister,
                    "ResultWriter": writer,
                    "ItemProcessor": processor,
                    "End": True,
                }
            }
        )
    )
    where = json.loads(ended["output"])["ResultWriterDetails"]
    manifest = json.loads(s3.get_object(**where)["Body"].read())
    written = s3.get_object(Bucket=lab.bucket, Key=manifest["ResultFiles"]["SUCCEEDED"][0]["Key"])["Body"].read()
    assert json.loads(written)[0]["Output"] == '"in/items.csv"'


def test_jobs_are_waited_for(lab: Lab) -> None:
    ended = lab.run(
        machine({"T": task("sagemaker:createTrainingJob.sync", {"TrainingJobName": "no such image", "RoleArn": "x"})})
    )
    assert ended["status"] == "FAILED" and ended["error"], ended
    ended = lab.run(machine({"T": task("aws-sdk:sagemaker:describeTrainingJob", {"TrainingJobName": "none"})}))
    assert ended["error"].startswith("SageMaker."), ended
