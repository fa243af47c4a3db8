"""What IAM needs to know of the services that Boxcar adds: which resource an action is about, which roles it passes.

Source: the Service Authorization Reference, pages for Amazon SageMaker, Redshift Data API, AWS Batch, AWS Glue,
Step Functions and CloudWatch.
"""

from collections.abc import Callable
from typing import Any

# who takes a role that is passed to a service
PRINCIPALS = {
    "sagemaker": "sagemaker.amazonaws.com",
    "states": "states.amazonaws.com",
    "redshift-data": "redshift.amazonaws.com",
    "glue": "glue.amazonaws.com",
}

# the field of a SageMaker request that names its resource, and the resource type in the ARN
SAGEMAKER_NAMES = {
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "TransformJobName": "transform-job",
    "ModelPackageGroupName": "model-package-group",
    "EndpointConfigName": "endpoint-config",
    "EndpointName": "endpoint",
    "ModelName": "model",
}
SAGEMAKER_ARNS = ("ModelPackageName", "ModelPackageArn", "ResourceArn")


def resource_namer(
    region: str,
    account: str,
    token_machine: Callable[[str], str | None],
    iterator_stream: Callable[[str], str | None] = lambda iterator: None,
) -> Callable[[str, str, dict[str, Any]], str | None]:
    """Return the function that names the resource of one request, None where the service has its own rule.

    `token_machine` tells which state machine waits for a task token, `iterator_stream` which stream a shard iterator
    belongs to.
    """

    def name(service: str, action: str, request: dict[str, Any]) -> str | None:
        if service == "sagemaker":
            return _sagemaker(action, request, f"arn:aws:sagemaker:{region}:{account}")
        if service == "redshift-data":
            return _redshift_data(request, region, account)
        if service == "application-autoscaling":
            described = action.startswith("Describe")
            return "*" if described else f"arn:aws:application-autoscaling:{region}:{account}:scalable-target/*"
        if service == "monitoring":
            return _cloudwatch(request, region, account)
        if service == "batch":
            return _batch(action, request, f"arn:aws:batch:{region}:{account}")
        if service == "states":
            if action.startswith("SendTask"):
                return token_machine(str(request.get("taskToken", ""))) or "*"
            return _states(action, request, f"arn:aws:states:{region}:{account}")
        if service == "dynamodbstreams":
            return request.get("StreamArn") or iterator_stream(str(request.get("ShardIterator", "")))
        return None

    return name


def _sagemaker(action: str, request: dict[str, Any], prefix: str) -> str:
    if action in ("CreateModelPackage", "ListModelPackages"):
        group = request.get("ModelPackageGroupName")
        return (
            f"{prefix}:model-package/{group}/*"
            if group
            else f"{prefix}:model-package/{request.get('ModelPackageName')}"
        )
    if action.startswith("List") and action != "ListTags":
        return "*"  # other lists have no resource
    for field in SAGEMAKER_ARNS:
        value = str(request.get(field) or "")
        if value.startswith("arn:"):
            return value
        if value:
            return f"{prefix}:model-package/{value}"
    order = ["EndpointName", "EndpointConfigName"] if action.endswith("Endpoint") else []
    for field in [*order, *SAGEMAKER_NAMES]:
        if request.get(field):
            return f"{prefix}:{SAGEMAKER_NAMES[field]}/{str(request[field]).rpartition('/')[2].lower()}"
    return "*"


def _cloudwatch(request: dict[str, Any], region: str, account: str) -> str | None:
    """Of several alarms or dashboards the first stands for all. Dashboards have no region."""
    if request.get("AlarmNames"):
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:{request['AlarmNames'][0]}"
    dashboards = request.get("DashboardNames") or [request.get("DashboardName")]
    return f"arn:aws:cloudwatch::{account}:dashboard/{dashboards[0]}" if dashboards[0] else None


def _redshift_data(request: dict[str, Any], region: str, account: str) -> str:
    if request.get("WorkgroupName"):
        # AWS's ARN ends in the workgroup's id; the embedded cloud's id is its name
        return f"arn:aws:redshift-serverless:{region}:{account}:workgroup/{request['WorkgroupName']}"
    if request.get("ClusterIdentifier"):
        return f"arn:aws:redshift:{region}:{account}:cluster:{request['ClusterIdentifier']}"
    return "*"  # DescribeStatement and its like: the caller's own statements only


def _batch(action: str, request: dict[str, Any], prefix: str) -> str:
    """Actions are the ends of paths here. The definition of a SubmitJob is checked by the service, beside the queue."""
    if action == "submitjob":
        return f"{prefix}:job-queue/{str(request.get('jobQueue')).rpartition('/')[2]}"
    if action in ("terminatejob", "canceljob"):
        return f"{prefix}:job/{str(request.get('jobId')).rpartition('/')[2]}"
    return "*"


def _states(action: str, request: dict[str, Any], prefix: str) -> str:
    for field in (
        "stateMachineArn",
        "executionArn",
        "activityArn",
        "mapRunArn",
        "resourceArn",
        "stateMachineVersionArn",
    ):
        if request.get(field):
            return str(request[field])
    if request.get("stateMachineAliasArn"):
        return str(request["stateMachineAliasArn"]).rpartition(":")[0]
    if action == "CreateStateMachine":
        return f"{prefix}:stateMachine:{request.get('name')}"
    return "*"


def further_resources(service: str, region: str, account: str, action: str, request: dict[str, Any]) -> list[str]:
    """Resources that an action needs its permission on, beside the one that it is named by."""
    if service == "sagemaker" and action in ("CreateEndpoint", "UpdateEndpoint"):
        name = str(request.get("EndpointConfigName", "")).lower()
        return [f"arn:aws:sagemaker:{region}:{account}:endpoint-config/{name}"]
    return []


def passed_roles(service: str, action: str, request: dict[str, Any]) -> list[str]:
    """Roles that a call passes to the service: its caller needs iam:PassRole on each."""
    if service not in PRINCIPALS or not action.startswith(("Create", "Update")):
        return []
    roles = [request.get(field) for field in ("RoleArn", "roleArn", "ExecutionRoleArn")]
    roles += [fields.get("Role") for fields in (request, request.get("JobUpdate", {})) if service == "glue"]
    return [role for role in roles if isinstance(role, str) and role]
