"""Submit a step of a run: store its job, wake the launcher, return at once. The Task is answered when it has ended."""

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from pydantic import ValidationError

from boxcar.aws import client
from boxcar.errors import StepError, named_errors
from boxcar.jobs.references import ApprovedVersions
from boxcar.jobs.submit import StepRequest, Submitter, wakes
from boxcar.jobs.table import JobsTable
from boxcar.jobs.wakes import wake_launcher
from boxcar.plans import PlannedRun, read_plan
from boxcar.settings import settings

logger = Logger(service="submit_job")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the id and status of the job."""
    try:
        request = StepRequest.model_validate(event)
    except ValidationError as error:
        raise StepError(f"submission: {error}") from None
    dynamodb = client("dynamodb")
    submitter = Submitter(
        table=JobsTable(dynamodb, settings().jobs_table),
        settings=settings(),
        states=lambda: client("stepfunctions"),
        s3=lambda: client("s3"),
        approved=ApprovedVersions(dynamodb, settings().models_table),
        now=time.time,
    )
    job = submitter.submit_step(request, read_plan(client("s3"), settings().bucket, request.run, PlannedRun))
    for work in wakes(submitter.startable):
        wake_launcher(client("sqs"), settings().launch_queue_url, "submitted", **work)
    logger.info("submitted", job=job.id, status=job.status)
    return {"job": job.id, "status": job.status}
