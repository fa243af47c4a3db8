"""Plan: which version is to serve on which endpoint, and whether there is anything to do."""

from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.family_store import FamilyStore
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.requests import read_object
from boxcar.serving.planning import Planner
from boxcar.serving.records import Endpoints
from boxcar.serving.requests import read_release
from boxcar.settings import settings

logger = Logger(service="plan_release")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"event", "run"}`; answer the plan, or status `nothing` and why there is nothing to do."""
    dynamodb, sagemaker, stack = client("dynamodb"), client("sagemaker"), settings()
    packages, table = Packages(sagemaker, stack.stack), ModelsTable(dynamodb, stack.models_table)
    asked = read_release(event["event"], partial(read_object, client("s3")), packages, table)
    if asked is None:
        return {"status": "nothing", "why": "another event tells, or another stack is meant"}
    version = FamilyStore(dynamodb, stack.models_table).asked_for(asked.request.family, asked.source)
    endpoints = Endpoints(dynamodb, stack.models_table)
    planner = Planner(table, packages, endpoints, sagemaker, stack.stack, stack.endpoint_role_arn, stack.bucket)
    plan = planner.plan(asked, version, event["run"])
    if isinstance(plan, str):
        logger.info("nothing to release", why=plan)
        return {"status": "nothing", "why": plan}
    return plan.model_dump(mode="json")
