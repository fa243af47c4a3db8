"""Deploy: ask SageMaker to try or serve a version, or to put the one before back. The Task waits for the event."""

from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.serving.deploying import Deployer
from boxcar.serving.planning import Planner, ReleasePlan
from boxcar.serving.records import Endpoints
from boxcar.settings import settings

logger = Logger(service="deploy_endpoint")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"plan", "execution", "task_token", "back"?, "trial"?}`.

    With `back`, the version before is put back in its place; with `trial`, the new one is put beside it.
    """
    dynamodb, sagemaker, stack = client("dynamodb"), client("sagemaker"), settings()
    plan, endpoints = ReleasePlan.model_validate(event["plan"]), Endpoints(dynamodb, stack.models_table)
    clients = sagemaker, client("cloudwatch"), client("application-autoscaling"), client("stepfunctions")
    deployer = Deployer(endpoints, *clients, stack.stack)
    if event.get("back"):
        became = deployer.take_back(plan.endpoint, event["execution"], event["task_token"])
    else:
        table, packages = ModelsTable(dynamodb, stack.models_table), Packages(sagemaker, stack.stack)
        planner = Planner(table, packages, endpoints, sagemaker, stack.stack, stack.endpoint_role_arn, stack.bucket)
        target, execution, token = planner.approved(plan), event["execution"], event["task_token"]
        if event.get("trial"):
            became = deployer.begin_trial(target, plan.run, execution, token)
        else:
            became = deployer.deploy(target, execution, token)
    logger.info("deployment", endpoint=plan.endpoint, run=plan.run, version=plan.version, became=became)
    return {"endpoint": plan.endpoint, "became": became}
