"""What Tasks call: names, shapes, errors, jobs that are waited for. Source: developer guide, "Integrating services"."""

import datetime as dt
import json
from typing import Any

import pytest

from local.stepfunctions import sdk
from local.stepfunctions.integrations import Resource, unknown_resource
from tests.conformance.machinery import ROLE, Engine, client_error, lambda_task, machine

TIME = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def task(resource: str, arguments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return machine(
        {
            "T": {
                "Type": "Task",
                "Resource": f"arn:aws:states:::{resource}",
                "Arguments": arguments,
                "End": True,
                **fields,
            }
        }
    )


@pytest.mark.parametrize(
    ("member", "java"),
    [
        ("DBInstances", "DbInstances"),
        ("ETag", "ETag"),
        ("MD5OfBody", "Md5OfBody"),
        ("executionArn", "ExecutionArn"),
        ("VpcId", "VpcId"),
        ("SSEKMSKeyId", "SsekmsKeyId"),
    ],
)
def test_members_are_named_as_the_java_sdk_names_them(member: str, java: str) -> None:
    assert sdk.java_name(member) == java


@pytest.mark.parametrize(
    ("client", "prefix"),
    [
        ("dynamodb", "DynamoDb"),
        ("s3", "S3"),
        ("stepfunctions", "Sfn"),
        ("redshift-data", "RedshiftData"),
        ("sagemaker", "SageMaker"),
        ("events", "EventBridge"),
        ("logs", "CloudWatchLogs"),
    ],
)
def test_errors_begin_with_the_java_sdk_s_service(client: str, prefix: str) -> None:
    assert sdk.service_id(client) == prefix


def test_resources_are_taken_apart() -> None:
    found = Resource.of("arn:aws:states:::states:startExecution.sync:2")
    assert (found.type, found.event_name, found.client, found.mode) == (
        "states",
        "startExecution.sync:2",
        "stepfunctions",
        "sync:2",
    )
    found = Resource.of("arn:aws:states:::aws-sdk:sqs:sendMessage.waitForTaskToken")
    assert (found.type, found.event_name, found.sdk) == ("aws-sdk:sqs", "sendMessage.waitForTaskToken", True)
    assert unknown_resource("arn:aws:states:::aws-sdk:s3:getObject.sync").endswith(
        "AWS SDK integrations wait with .waitForTaskToken only"
    )
    assert "cannot end in .sync" in unknown_resource("arn:aws:states:::sqs:sendMessage.sync")


def test_an_sdk_call_by_its_model() -> None:
    with Engine() as engine:
        engine.aws.methods["dynamodb.describe_table"] = lambda **given: {
            "Table": {"TableName": given["TableName"], "CreationDateTime": TIME, "ItemCount": 3}
        }
        ended = engine.run(task("aws-sdk:dynamodb:describeTable", {"TableName": "t"}))
        assert json.loads(ended["output"]) == {
            "Table": {"TableName": "t", "CreationDateTime": "2026-01-02T03:04:05Z", "ItemCount": 3}
        }


def test_an_unknown_parameter_is_a_runtime_error() -> None:
    with Engine() as engine:
        ended = engine.run(task("aws-sdk:dynamodb:describeTable", {"Tabel": "t"}))
        assert (ended["error"], "Tabel" in ended["cause"]) == ("States.Runtime", True)


def test_a_refused_call_names_the_exception_and_the_request() -> None:
    with Engine() as engine:

        def refuse(**_: Any) -> None:
            raise client_error("ConditionalCheckFailedException", "The conditional request failed")

        engine.aws.methods["dynamodb.put_item"] = refuse
        item = {"TableName": "t", "Item": {"pk": {"S": "a"}}}
        said = "The conditional request failed (Service: DynamoDb, Status Code: 400, Request ID: request)"
        ended = engine.run(task("dynamodb:putItem", item))
        assert (ended["error"], ended["cause"]) == ("DynamoDB.ConditionalCheckFailedException", said)
        ended = engine.wait(engine.start(engine.create(task("aws-sdk:dynamodb:putItem", item))))
        assert ended["error"] == "DynamoDb.ConditionalCheckFailedException"


def jobs(*statuses: str, **described: Any) -> Any:
    """A describing call that finds one status after another."""
    left = list(statuses)
    return lambda **_: {**described, "TrainingJobStatus": left.pop(0) if len(left) > 1 else left[0]}


def test_a_training_job_is_waited_for() -> None:
    with Engine() as engine:
        engine.aws.methods["sagemaker.create_training_job"] = lambda **_: {"TrainingJobArn": "arn"}
        engine.aws.methods["sagemaker.describe_training_job"] = jobs(
            "InProgress", "InProgress", "Completed", TrainingJobName="j", CreationTime=TIME
        )
        execution = engine.start(engine.create(task("sagemaker:createTrainingJob.sync", {"TrainingJobName": "j"})))
        ended = engine.wait(execution)
        assert json.loads(ended["output"]) == {
            "TrainingJobName": "j",
            "CreationTime": "2026-01-02T03:04:05Z",
            "TrainingJobStatus": "Completed",
        }
        kinds = [row.split()[2] for row in engine.history(execution).splitlines()]
        assert kinds[2:7] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskStateExited"]


def test_a_job_that_fails_is_the_cause_of_the_failure() -> None:
    with Engine() as engine:
        engine.aws.methods["sagemaker.create_training_job"] = lambda **_: {"TrainingJobArn": "arn"}
        engine.aws.methods["sagemaker.describe_training_job"] = jobs("Failed", FailureReason="AlgorithmError: no rows")
        ended = engine.run(task("sagemaker:createTrainingJob.sync", {"TrainingJobName": "j"}))
        assert ended["error"] == "States.TaskFailed"
        assert json.loads(ended["cause"])["FailureReason"] == "AlgorithmError: no rows"


def test_a_batch_job_and_a_glue_run() -> None:
    with Engine() as engine:
        engine.aws.methods |= {
            "batch.submit_job": lambda **_: {"jobId": "1", "jobName": "j"},
            "batch.describe_jobs": lambda jobs: {"jobs": [{"jobId": jobs[0], "status": "SUCCEEDED"}]},
            "glue.start_job_run": lambda **_: {"JobRunId": "r"},
            "glue.get_job_run": lambda **asked: {"JobRun": {"Id": asked["RunId"], "JobRunState": "SUCCEEDED"}},
        }
        ended = engine.run(
            task(
                "batch:submitJob.sync",
                {"JobName": "j", "JobQueue": "q", "JobDefinition": "d"},
                Output="{% $states.result.JobId %}",
            )
        )
        assert ended["output"] == '"1"'
        ended = engine.wait(
            engine.start(
                engine.create(task("glue:startJobRun.sync", {"JobName": "g"}, Output="{% $states.result.Id %}"))
            )
        )
        assert ended["output"] == '"r"'


def test_a_failed_entry_fails_put_events() -> None:
    with Engine() as engine:
        engine.aws.methods["events.put_events"] = lambda **_: {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "E"}]}
        ended = engine.run(
            task("events:putEvents", {"Entries": [{"Source": "s", "Detail": {"a": 1}, "DetailType": "t"}]})
        )
        assert (ended["error"], json.loads(ended["cause"])["FailedEntryCount"]) == ("EventBridge.FailedEntry", 1)
        sent = engine.aws.calls[-1][2]["Entries"][0]
        assert (sent["Detail"], len(sent["Resources"])) == ('{"a":1}', 2)


def test_a_connection_that_breaks_is_a_client_error() -> None:
    with Engine() as engine:

        def broken(**_: Any) -> None:
            raise ConnectionError("reset")

        engine.aws.methods["sqs.send_message"] = broken
        ended = engine.run(task("sqs:sendMessage", {"QueueUrl": "q", "MessageBody": "m"}))
        assert (ended["error"], ended["cause"]) == ("SQS.SdkClientException", "reset")


def test_a_tasks_role_that_the_machines_role_may_not_assume() -> None:
    with Engine() as engine:
        theirs = engine.aws.client

        def refusing(service: str, role_arn: str | None = None, session: str = "") -> Any:
            if role_arn == "arn:aws:iam::999999999999:role/other":
                raise client_error("AccessDenied", "not authorized to perform: sts:AssumeRole", 403)
            return theirs(service, role_arn, session)

        engine.api._engine.runner._client = refusing
        task = lambda_task("echo", Credentials={"RoleArn": "arn:aws:iam::999999999999:role/other"})
        ended = engine.run(machine({"A": task}))
        assert (ended["error"], ended["cause"]) == (
            "States.TaskFailed",
            f"The role {ROLE} is not authorized to assume the task state's role, arn:aws:iam::999999999999:role/other.",
        )
