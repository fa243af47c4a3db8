"""IAM decides for Boxcar's own services, too: on the right resource, and on the roles that a call passes on."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.client import CloudClient

SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
JOB_ROLE = "arn:aws:iam::000000000000:role/jobs"
PROCESSING = {
    "ProcessingJobName": "mine-1",
    "RoleArn": JOB_ROLE,
    "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
}


@pytest.fixture
def acting(cloud: CloudClient) -> Callable[..., Any]:
    """Make a client that acts as a role with the given statements."""

    def make(service: str, *statements: dict[str, Any]) -> Any:
        iam, name = cloud.client("iam"), "tester"
        trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
        if not any(role["RoleName"] == name for role in iam.list_roles()["Roles"]):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        arn = f"arn:aws:iam::000000000000:role/{name}"
        keys = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=cloud.endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return make


def allow(action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_a_job_needs_the_permission_to_pass_its_role(acting: Callable[..., Any]) -> None:
    create = allow("sagemaker:CreateProcessingJob", f"{SAGEMAKER}:processing-job/mine-*")
    with pytest.raises(ClientError, match=f"not authorized to perform: iam:PassRole on resource: {JOB_ROLE}"):
        acting("sagemaker", create).create_processing_job(**PROCESSING)
    other = {"Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}
    with pytest.raises(ClientError, match="iam:PassRole"):
        acting("sagemaker", create, allow("iam:PassRole", JOB_ROLE, **other)).create_processing_job(**PROCESSING)
    right = {"Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}}
    client = acting("sagemaker", create, allow("iam:PassRole", JOB_ROLE, **right))
    assert client.create_processing_job(**PROCESSING)["ProcessingJobArn"].endswith("processing-job/mine-1")


def test_a_name_outside_the_prefix_is_denied(acting: Callable[..., Any]) -> None:
    client = acting("sagemaker", allow("sagemaker:*", f"{SAGEMAKER}:processing-job/mine-*"))
    with pytest.raises(ClientError, match=r"DescribeProcessingJob on resource: \S*processing-job/yours-1"):
        client.describe_processing_job(ProcessingJobName="yours-1")
    with pytest.raises(ClientError) as missing:
        client.describe_processing_job(ProcessingJobName="mine-none")
    assert missing.value.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound")


def test_a_statement_needs_its_workgroup(acting: Callable[..., Any]) -> None:
    group = "arn:aws:redshift-serverless:us-east-1:000000000000:workgroup/one"
    client = acting("redshift-data", allow("redshift-data:ExecuteStatement", group))
    client.execute_statement(WorkgroupName="one", Database="dev", Sql="SELECT 1")
    with pytest.raises(ClientError, match="workgroup/two"):
        client.execute_statement(WorkgroupName="two", Database="dev", Sql="SELECT 1")
