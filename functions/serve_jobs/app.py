"""Serve the jobs API: submit, list, show, explain, stop and retry jobs; start releases, list and show endpoints."""

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from boxcar.api.releases import ReleaseCalls
from boxcar.api.routes import JobsApi
from boxcar.approvals.reviews import Reviews
from boxcar.aws import client, prompt_client
from boxcar.family_store import FamilyStore
from boxcar.jobs.history import History
from boxcar.jobs.references import ApprovedVersions
from boxcar.jobs.submit import Submitter
from boxcar.jobs.table import JobsTable
from boxcar.jobs.wakes import tell_monitor, wake_launcher
from boxcar.registry.table import ModelsTable
from boxcar.serving.overview import Overview
from boxcar.serving.records import Endpoints
from boxcar.settings import settings

logger = Logger(service="serve_jobs")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one call of API Gateway, whatever happens, with a document."""
    dynamodb, names = prompt_client("dynamodb"), settings()
    table = JobsTable(dynamodb, names.jobs_table)
    api = JobsApi(
        table=table,
        history=History(dynamodb, names.jobs_table),
        submitter=lambda: Submitter(
            table=table,
            settings=names,
            states=lambda: client("stepfunctions"),
            s3=lambda: prompt_client("s3"),
            approved=ApprovedVersions(dynamodb, names.models_table),
            now=time.time,
        ),
        settings=names,
        wake=lambda work: wake_launcher(prompt_client("sqs"), names.launch_queue_url, "submitted", **work),
        tell_monitor=lambda message: tell_monitor(prompt_client("sqs"), names.events_queue_url, message),
        now=time.time,
        releases=lambda: ReleaseCalls(
            states=prompt_client("stepfunctions"),
            machines=names.machines,
            family=FamilyStore(dynamodb, names.models_table).asked_for,
            table=ModelsTable(dynamodb, names.models_table),
            overview=Overview(
                endpoints=Endpoints(dynamodb, names.models_table),
                reviews=Reviews(dynamodb, names.models_table),
                sagemaker=prompt_client("sagemaker"),
                now=time.time,
            ),
            stack=names.stack,
            now=time.time,
        ),
    )
    answer = api.answer(event, reference=getattr(context, "aws_request_id", ""))
    logger.info("answered", method=event.get("httpMethod"), resource=event.get("resource"), status=answer["statusCode"])
    return answer
