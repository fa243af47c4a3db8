"""Endpoints over the cloud's own port: a boosted_trees model that really answers, IAM, mails, a stack."""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from local.client import CloudClient, wait_for
from local.environments import environment
from local.sagemaker.containers import IMAGES
from local.sagemaker.launcher import Interpreter
from tests.integration.test_permissions import acting, allow
from tests.unit.boosted_trees.work import CODE, Work

__all__ = ["acting"]
IMAGE = "141502667606.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
BUCKET, ROLE = "endpoints", "arn:aws:iam::000000000000:role/endpoints"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
FEATURES = {"numeric": ["price"], "categorical": ["department"]}


@dataclass
class Trained:
    """A model in S3, and what it says of one row."""

    data: str
    code: str
    row: str
    score: str


@pytest.fixture(scope="module")
def trained(cloud: CloudClient, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A boosted_trees model whose steps have run, in a bucket that its role may read."""
    image = IMAGES["sagemaker-xgboost:3.0-5"]
    python = Interpreter(environment(image.environment), image.preload, threads=1)
    unload, folder = tmp_path_factory.mktemp("unload"), tmp_path_factory.mktemp("work")
    draw = Random(7)
    rows = [
        {"product_id": number, "price": draw.uniform(0, 10), "department": draw.choice("AB")} for number in range(400)
    ]
    table = pa.Table.from_pylist([row | {"box": int(row["price"] > 5)} for row in rows])
    pq.write_table(table, unload / "0000_part_00.parquet")
    work = Work(folder, python, "box", "box", FEATURES)
    for step in (lambda: work.prepare(unload), lambda: work.train(rounds=5), work.predict):
        done = step()
        assert done.code == 0, done.output
    python.close()
    s3, iam = cloud.client("s3"), cloud.client("iam")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=work.archive.read_bytes())
    s3.put_object(Bucket=BUCKET, Key="code.tar.gz", Body=_archive(CODE))
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="endpoints", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            allow("s3:*", f"arn:aws:s3:::{BUCKET}/*"),
            allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"),
            allow("sns:Publish", "arn:aws:sns:us-east-1:000000000000:results"),
            allow("cloudwatch:DescribeAlarms", "*"),
        ],
    }
    iam.put_role_policy(RoleName="endpoints", PolicyName="p", PolicyDocument=json.dumps(policy))
    line = (work.out("prepare", "serving") / "validation.csv").read_text().splitlines()[0]
    scored = (work.folder / "predictions" / "validation.csv.out").read_text().splitlines()[0]
    row, score = line.split(",", 1)[1], scored.rpartition(",")[2]
    return Trained(f"s3://{BUCKET}/model.tar.gz", f"s3://{BUCKET}/code.tar.gz", row, score)


def _archive(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for file in sorted(folder.glob("*.py")):
            tar.add(file, arcname=file.name)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def model(cloud: CloudClient, trained: Trained) -> str:
    variables = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": trained.code}
    container = {"Image": IMAGE, "ModelDataUrl": trained.data, "Environment": variables}
    cloud.client("sagemaker").create_model(ModelName="box-1", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return "box-1"


@pytest.fixture(scope="module")
def endpoint(cloud: CloudClient, model: str) -> Iterator[str]:
    client = cloud.client("sagemaker")
    client.create_endpoint_config(EndpointConfigName="box-1", ProductionVariants=[variant(model)])
    client.create_endpoint(EndpointName="Box", EndpointConfigName="box-1")
    wait_for(lambda: client.describe_endpoint(EndpointName="Box")["EndpointStatus"] == "InService", 60)
    yield "Box"
    client.delete_endpoint(EndpointName="Box")


def variant(model: str) -> dict[str, Any]:
    chosen = {"VariantName": "AllTraffic", "ModelName": model, "InitialInstanceCount": 1}
    return {**chosen, "InstanceType": "ml.m5.large"}


def test_a_trained_model_answers_as_it_did_in_its_transform(
    cloud: CloudClient, endpoint: str, trained: Trained
) -> None:
    runtime = cloud.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=trained.row, ContentType="text/csv")
    assert answer["Body"].read().decode().strip() == trained.score
    with pytest.raises(ClientError, match="line 1 has 5 columns") as refused:
        runtime.invoke_endpoint(EndpointName=endpoint, Body="1,2,3,4,5", ContentType="text/csv")
    assert refused.value.response["OriginalStatusCode"] == 500
    assert total(cloud, "Invocations", EndpointName=endpoint, VariantName="AllTraffic") >= 2
    assert total(cloud, "Invocation5XXErrors", EndpointName=endpoint, VariantName="AllTraffic") >= 1


def total(cloud: CloudClient, metric: str, **dimensions: str) -> float:
    """What was measured in the last ten minutes, added up."""
    now = datetime.now(UTC)
    told = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in told["Datapoints"]))


def test_who_may_invoke_which_endpoint_is_iams_to_say(acting: Any, endpoint: str, trained: Trained) -> None:
    def ask(*statements: dict[str, Any]) -> Any:
        client = acting("sagemaker-runtime", *statements)
        return client.invoke_endpoint(EndpointName=endpoint, Body=trained.row, ContentType="text/csv")

    words = f"not authorized to perform: sagemaker:InvokeEndpoint on resource: {SAGEMAKER}:endpoint/box"
    with pytest.raises(ClientError, match=words):
        ask(allow("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/other"))
    with pytest.raises(ClientError, match="sagemaker:InvokeEndpoint "):
        ask(allow("sagemaker:InvokeEndpointAsync", f"{SAGEMAKER}:endpoint/box"))
    assert ask(allow("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/box"))


def test_an_update_needs_its_permission_on_the_configuration_too(acting: Any, endpoint: str) -> None:
    client = acting("sagemaker", allow("sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/box"))
    words = f"not authorized to perform: sagemaker:UpdateEndpoint on resource: {SAGEMAKER}:endpoint-config/box-1"
    with pytest.raises(ClientError, match=words):
        client.update_endpoint(EndpointName=endpoint, EndpointConfigName="box-1")


def test_a_fault_reaches_the_runtime_by_the_name_of_its_action(
    faults: CloudClient, endpoint: str, trained: Trained
) -> None:
    faults.add_fault(service="sagemaker", action="InvokeEndpoint", deny=True)
    runtime = faults.client("sagemaker-runtime")
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:InvokeEndpoint"):
        runtime.invoke_endpoint(EndpointName=endpoint, Body=trained.row, ContentType="text/csv")


def template(trained: Trained, concurrent: int) -> str:
    """A stack with an asynchronous endpoint that sleeps until there is something to do."""
    variables = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": trained.code}
    place = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/AllTraffic"},
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    steps = [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    tracking = {
        "TargetValue": 5,
        "CustomizedMetricSpecification": {
            "Namespace": "AWS/SageMaker",
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Dimensions": [{"Name": "EndpointName", "Value": {"Fn::GetAtt": "Endpoint.EndpointName"}}],
            "Statistic": "Average",
        },
    }
    output = {
        "S3OutputPath": f"s3://{BUCKET}/output",
        "S3FailurePath": f"s3://{BUCKET}/failed",
        "NotificationConfig": {"SuccessTopic": {"Ref": "Results"}, "ErrorTopic": {"Ref": "Results"}},
    }
    resources = {
        "Results": (
            "SNS::Topic",
            {"TopicName": "results", "Subscription": [{"Protocol": "email", "Endpoint": "results@boxcar.local"}]},
        ),
        "Model": (
            "SageMaker::Model",
            {
                "ExecutionRoleArn": ROLE,
                "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": trained.data, "Environment": variables},
            },
        ),
        "Config": (
            "SageMaker::EndpointConfig",
            {
                "ProductionVariants": [{**variant(""), "ModelName": {"Fn::GetAtt": "Model.ModelName"}}],
                "AsyncInferenceConfig": {
                    "OutputConfig": output,
                    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": concurrent},
                },
            },
        ),
        "Endpoint": (
            "SageMaker::Endpoint",
            {"EndpointName": "documents", "EndpointConfigName": {"Fn::GetAtt": "Config.EndpointConfigName"}},
        ),
        "Target": ("ApplicationAutoScaling::ScalableTarget", {**place, "MinCapacity": 0, "MaxCapacity": 2}),
        "Wake": (
            "ApplicationAutoScaling::ScalingPolicy",
            {
                "PolicyName": "wake",
                "PolicyType": "StepScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps},
            },
        ),
        "Follow": (
            "ApplicationAutoScaling::ScalingPolicy",
            {
                "PolicyName": "follow",
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "TargetTrackingScalingPolicyConfiguration": tracking,
            },
        ),
        "HasBacklog": (
            "CloudWatch::Alarm",
            {
                "Namespace": "AWS/SageMaker",
                "MetricName": "HasBacklogWithoutCapacity",
                "Dimensions": tracking["CustomizedMetricSpecification"]["Dimensions"],  # type: ignore[index]
                "Statistic": "Average",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "AlarmActions": [{"Ref": "Wake"}],
            },
        ),
    }
    made = {name: {"Type": f"AWS::{kind}", "Properties": properties} for name, (kind, properties) in resources.items()}
    return json.dumps({"Resources": made})


def test_a_stack_has_an_asynchronous_endpoint_that_wakes_when_a_document_comes(
    cloud: CloudClient, trained: Trained
) -> None:
    stacks, sagemaker, s3 = (cloud.client(name) for name in ("cloudformation", "sagemaker", "s3"))

    def settled() -> bool:
        [stack] = stacks.describe_stacks(StackName="async")["Stacks"]
        assert "FAILED" not in stack["StackStatus"] and "ROLLBACK" not in stack["StackStatus"], stack
        return bool(stack["StackStatus"].endswith("_COMPLETE"))

    stacks.create_stack(StackName="async", TemplateBody=template(trained, 1))
    wait_for(settled, 60)
    scaling, place = cloud.client("application-autoscaling"), {"ServiceNamespace": "sagemaker"}
    assert len(scaling.describe_scaling_policies(**place)["ScalingPolicies"]) == 2
    asleep = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="documents", DesiredWeightsAndCapacities=asleep)
    s3.put_object(Bucket=BUCKET, Key="input/row.csv", Body=trained.row.encode())
    answer = cloud.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="documents", InputLocation=f"s3://{BUCKET}/input/row.csv", ContentType="text/csv"
    )

    def woken() -> bool:
        cloud.tick()  # the minute is over, the alarm rings, the policy is followed
        return bool(scaling.describe_scaling_activities(**place)["ScalingActivities"])

    wait_for(woken)
    [mail] = wait_for(lambda: cloud.mails("results@boxcar.local"), 60)
    assert json.loads(mail.text)["invocationStatus"] == "Completed"
    key = answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/")
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().strip() == trained.score
    [activity] = scaling.describe_scaling_activities(**place)["ScalingActivities"]
    assert activity["Description"] == "Setting desired instance count to 1."

    before = sagemaker.describe_endpoint(EndpointName="documents")["EndpointConfigName"]
    stacks.update_stack(StackName="async", TemplateBody=template(trained, 2))
    wait_for(settled, 60)
    told = sagemaker.describe_endpoint(EndpointName="documents")
    assert told["EndpointConfigName"] != before
    assert told["AsyncInferenceConfig"]["ClientConfig"]["MaxConcurrentInvocationsPerInstance"] == 2

    stacks.delete_stack(StackName="async")
    wait_for(lambda: not scaling.describe_scalable_targets(**place)["ScalableTargets"], 60)
    wait_for(lambda: "documents" not in [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]], 60)
    wait_for(
        lambda: (
            [each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]] == ["box-1"]
        )
    )
