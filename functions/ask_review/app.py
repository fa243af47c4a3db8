"""Ask: mail those who decide a link to a page about a version, or about its release, and keep the task token."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.approvals.asking import Asker, Question, page_link
from boxcar.approvals.releases import ReleaseAsker, question_of
from boxcar.approvals.reviews import Reviews
from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.registry.decisions import Decisions
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.serving.planning import ReleasePlan
from boxcar.settings import settings
from boxcar.versions import Version

logger = Logger(service="ask_review")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"run", "execution", "family", "model", "version", "owner", "hours", "attempt", "task_token"}`.

    A release sends its `plan` in the place of run, family, model, version, owner and hours.
    Calling again with another task token asks nobody twice. The answer goes to the token, not to the caller.
    """
    dynamodb, stack = client("dynamodb"), settings()
    table = ModelsTable(dynamodb, stack.models_table)
    plan = ReleasePlan.model_validate(event["plan"]) if "plan" in event else None
    asker = (ReleaseAsker if plan else Asker)(
        reviews=Reviews(dynamodb, stack.models_table),
        decisions=Decisions(table, Packages(client("sagemaker"), stack.stack)),
        states=client("stepfunctions"),
        tell=lambda message: client("sqs").send_message(
            QueueUrl=stack.alarm_queue_url, MessageBody=json.dumps(message)
        ),
        link=lambda token: page_link(stack.reviews_url, token),
        now=time.time,
    )
    if plan:
        question = question_of(plan, event["execution"], event["task_token"], event["attempt"])
        about = {"machine": "release", "owner": plan.owner}
    else:
        question, about = _candidate(event), {"machine": "training", "owner": event.get("owner", "")}
    became = asker.ask(question, about)
    version = str(question.version)
    logger.info("asked", run=question.run, model=question.model, version=version, became=became)
    return {"model": question.model, "version": version, "became": became}


def _candidate(event: dict[str, Any]) -> Question:
    return Question(
        run=event["run"],
        execution=event["execution"],
        family=event["family"],
        model=event["model"],
        version=Version.parse(event["version"]),
        task_token=event["task_token"],
        attempt=event["attempt"],
        hours=event["hours"],
    )
