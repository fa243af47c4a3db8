"""Finish: after a release, well or badly ended, one version is live and nothing is left over."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.serving.cleaning import Cleaner
from boxcar.serving.finishing import Finisher
from boxcar.serving.planning import Planner, ReleasePlan
from boxcar.serving.records import Endpoints
from boxcar.serving.turns import Turns
from boxcar.serving.versions import evaluation_of, judged_scores
from boxcar.settings import settings

logger = Logger(service="finish_release")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"plan", "execution", "outcome": released or failed, "tested", "report"?}`; answer what is live.

    After a failure, `serves` says whether the version of this release is.
    """
    dynamodb, sagemaker, stack = client("dynamodb"), client("sagemaker"), settings()
    endpoints, scaling = Endpoints(dynamodb, stack.models_table), client("application-autoscaling")
    cloudwatch = client("cloudwatch")
    finisher = Finisher(
        endpoints=endpoints,
        turns=Turns(endpoints, client("stepfunctions")),
        cleaner=Cleaner(endpoints, sagemaker, cloudwatch, scaling),
        scaling=scaling,
        sagemaker=sagemaker,
        cloudwatch=cloudwatch,
        stack=stack.stack,
        region=stack.region,
        tell=lambda message: client("sqs").send_message(
            QueueUrl=stack.alarm_queue_url, MessageBody=json.dumps(message)
        ),
        now=time.time,
    )
    plan, execution = ReleasePlan.model_validate(event["plan"]), event["execution"]
    logger.info("finish", endpoint=plan.endpoint, run=plan.run, version=plan.version, outcome=event["outcome"])
    if event["outcome"] != "released":
        return {"status": event["outcome"], "serves": finisher.failed(plan.endpoint, plan.run, execution)}
    table, packages = ModelsTable(dynamodb, stack.models_table), Packages(sagemaker, stack.stack)
    planner = Planner(table, packages, endpoints, sagemaker, stack.stack, stack.endpoint_role_arn, stack.bucket)
    found = {
        "tested": event["tested"],
        "report": event.get("report", ""),
        "drift_unmeasured": _is_unmeasured(plan, table),
    }
    return {"status": "released", **finisher.released(plan, planner.of_plan(plan), execution, found)}


def _is_unmeasured(plan: ReleasePlan, table: ModelsTable) -> bool:
    """Whether the family wants scores watched, and the version was not judged by any."""
    if plan.serving.rollback.max_score_drift is None:
        return False
    return judged_scores(evaluation_of(table, client("s3"), plan.family, plan.model, plan.version)) is None
