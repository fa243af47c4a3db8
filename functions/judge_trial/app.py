"""Judge: look at a version that is tried beside the one that is live, and say what becomes of it; or wait for that."""

import time
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.registry.table import ModelsTable
from boxcar.reports.files import write_report
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.records import Endpoints
from boxcar.serving.trial_judge import TrialJudge, wait_for_look
from boxcar.serving.trials import Looker
from boxcar.serving.versions import evaluation_of, version_of
from boxcar.settings import settings

logger = Logger(service="judge_trial")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"plan", "execution"}`; answer status continue, promote or back, and why, and where the report lies.

    With `task_token`, look at nothing: the Task waits for the next look, and is answered if there is a reason for one.
    """
    dynamodb, stack = client("dynamodb"), settings()
    plan, execution = ReleasePlan.model_validate(event["plan"]), event["execution"]
    table, endpoints = ModelsTable(dynamodb, stack.models_table), Endpoints(dynamodb, stack.models_table)

    def is_approved(number: str) -> bool:
        return bool(version_of(table, plan.family, plan.model, number)["status"] == "Approved")

    if "task_token" in event:
        wait_for_look(endpoints, client("stepfunctions"), is_approved, plan, execution, event["task_token"])
        return {}
    s3 = client("s3")

    def threshold(number: str) -> float:
        evaluation = evaluation_of(table, s3, plan.family, plan.model, number)
        return 0.5 if evaluation is None or evaluation.threshold is None else evaluation.threshold

    judge = TrialJudge(
        endpoints=endpoints,
        look=Looker(s3, client("cloudwatch"), stack.bucket).look,
        is_approved=is_approved,
        threshold=threshold,
        write=lambda report, page: write_report(s3, stack.bucket, report, page),
        now=time.time,
    )
    judged = judge.judge(plan, execution)
    logger.info("trial", endpoint=plan.endpoint, run=plan.run, version=plan.version, judged=judged)
    return judged
