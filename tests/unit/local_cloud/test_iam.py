"""Which resource IAM checks, and which roles a call passes on."""

import pytest

from local.iam import further_resources, passed_roles, resource_namer

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:boxcar-training"
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/boxcar-jobs/stream/2026-01-01T00:00:00.000"
name = resource_namer("us-east-1", "000000000000", {"token": MACHINE}.get, {"iterator": STREAM}.get)
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000:"
SCALING = "arn:aws:application-autoscaling:us-east-1:000000000000:"


@pytest.mark.parametrize(
    ("service", "action", "request_", "resource"),
    [
        ("sagemaker", "CreateTrainingJob", {"TrainingJobName": "boxcar-a"}, SAGEMAKER + "training-job/boxcar-a"),
        ("sagemaker", "StopProcessingJob", {"ProcessingJobName": "p"}, SAGEMAKER + "processing-job/p"),
        ("sagemaker", "CreateTransformJob", {"TransformJobName": "t", "ModelName": "m"}, SAGEMAKER + "transform-job/t"),
        ("sagemaker", "CreateModel", {"ModelName": "m"}, SAGEMAKER + "model/m"),
        ("sagemaker", "CreateModelPackage", {"ModelPackageGroupName": "g"}, SAGEMAKER + "model-package/g/*"),
        ("sagemaker", "ListModelPackages", {"ModelPackageGroupName": "g"}, SAGEMAKER + "model-package/g/*"),
        ("sagemaker", "DescribeModelPackage", {"ModelPackageName": "arn:aws:x"}, "arn:aws:x"),
        ("sagemaker", "CreateEndpoint", {"EndpointConfigName": "c", "EndpointName": "e"}, SAGEMAKER + "endpoint/e"),
        ("sagemaker", "ListTrainingJobs", {"NameContains": "x"}, "*"),
        ("sagemaker", "InvokeEndpoint", {"EndpointName": "Box"}, SAGEMAKER + "endpoint/box"),
        ("application-autoscaling", "PutScalingPolicy", {"PolicyName": "p"}, SCALING + "scalable-target/*"),
        ("application-autoscaling", "DescribeScalableTargets", {"ServiceNamespace": "sagemaker"}, "*"),
        ("states", "StartExecution", {"stateMachineArn": MACHINE}, MACHINE),
        ("states", "SendTaskSuccess", {"taskToken": "token"}, MACHINE),
        ("states", "SendTaskSuccess", {"taskToken": "unknown"}, "*"),
        ("redshift-data", "DescribeStatement", {"Id": "x"}, "*"),
        (
            "redshift-data",
            "ExecuteStatement",
            {"WorkgroupName": "w"},
            "arn:aws:redshift-serverless:us-east-1:000000000000:workgroup/w",
        ),
        ("dynamodbstreams", "DescribeStream", {"StreamArn": STREAM}, STREAM),
        ("dynamodbstreams", "GetRecords", {"ShardIterator": "iterator"}, STREAM),
        ("dynamodbstreams", "GetRecords", {"ShardIterator": "unknown"}, None),
        (
            "monitoring",
            "DescribeAlarms",
            {"AlarmNames": ["s/a"]},
            "arn:aws:cloudwatch:us-east-1:000000000000:alarm:s/a",
        ),
        ("monitoring", "DescribeAlarms", {}, None),
        ("monitoring", "PutDashboard", {"DashboardName": "d"}, "arn:aws:cloudwatch::000000000000:dashboard/d"),
        ("monitoring", "DeleteDashboards", {"DashboardNames": ["d"]}, "arn:aws:cloudwatch::000000000000:dashboard/d"),
        ("sqs", "SendMessage", {"QueueUrl": "x"}, None),
    ],
)
def test_the_resource_of_a_call(service: str, action: str, request_: dict, resource: str | None) -> None:
    assert name(service, action, request_) == resource


def test_an_endpoint_needs_the_permission_on_its_configuration_too() -> None:
    place, request = ("us-east-1", "000000000000"), {"EndpointName": "e", "EndpointConfigName": "Box-1"}
    assert further_resources("sagemaker", *place, "UpdateEndpoint", request) == [SAGEMAKER + "endpoint-config/box-1"]
    assert further_resources("sagemaker", *place, "CreateEndpointConfig", request) == []


def test_roles_that_are_passed() -> None:
    assert passed_roles("sagemaker", "CreateTrainingJob", {"RoleArn": "r"}) == ["r"]
    assert passed_roles("sagemaker", "CreateModel", {"ExecutionRoleArn": "r"}) == ["r"]
    assert passed_roles("states", "UpdateStateMachine", {"roleArn": "r"}) == ["r"]
    assert passed_roles("sagemaker", "DescribeTrainingJob", {"RoleArn": "r"}) == []
    assert passed_roles("s3", "CreateBucket", {"RoleArn": "r"}) == []
