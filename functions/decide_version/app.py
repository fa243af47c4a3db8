"""Decide: serve the page on which a version or its release is decided; take decisions, also from Slack."""

import time
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from boxcar.api.calls import Call
from boxcar.api.problems import Refused, internal
from boxcar.approvals.calls import DecisionCalls
from boxcar.approvals.deciding import Decider
from boxcar.approvals.pages import ReviewPages, page
from boxcar.approvals.reviews import Reviews
from boxcar.approvals.routes import OF_RELEASES, OF_VERSIONS
from boxcar.approvals.slack_actions import SlackActions
from boxcar.aws import prompt_client
from boxcar.registry.decisions import Decisions
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.reports.review_page import gather, render_notice
from boxcar.settings import settings
from boxcar.slack import SlackSecret, read_secret

logger = Logger(service="decide_version")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one call of API Gateway, whatever happens, in the caller's language: a page, nothing, or a document."""
    stack, dynamodb = settings(), prompt_client("dynamodb")
    table = ModelsTable(dynamodb, stack.models_table)
    decider = Decider(
        reviews=Reviews(dynamodb, stack.models_table),
        decisions=Decisions(table, Packages(prompt_client("sagemaker"), stack.stack)),
        states=prompt_client("stepfunctions"),
        now=time.time,
    )
    reference = getattr(context, "aws_request_id", "")
    if event["resource"] in (OF_VERSIONS, OF_RELEASES):
        return DecisionCalls(decider, time.time).answer(event, reference)
    try:
        call = Call.of(event)
        if event["resource"] == "/slack":
            return SlackActions(decider, _slack_secret, time.time).answer(event.get("headers") or {}, call.text)
        pages = ReviewPages(decider, partial(gather, table=table, s3=prompt_client("s3")), time.time)
        return pages.show(call) if call.method == "GET" else pages.decide(call)
    except Refused as refused:  # a body that is none
        return page(refused.status, render_notice(refused.title, refused.detail, None))
    except Exception:
        logger.exception("call not answered", resource=event["resource"], reference=reference)
        told = internal(reference)
        words = f"{told.detail}. What was begun is finished when you try again."
        return page(told.status, render_notice(told.title, words, None))


def _slack_secret() -> SlackSecret | None:
    arn = settings().slack_secret_arn
    return read_secret(prompt_client("secretsmanager"), arn) if arn else None
