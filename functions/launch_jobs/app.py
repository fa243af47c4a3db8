"""Launch: start what there is capacity for. Messages are only wakes; what there is to do is in the jobs table."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from boxcar.aws import client, launching_client
from boxcar.jobs.launch import Launcher
from boxcar.jobs.table import JobsTable
from boxcar.jobs.wakes import Work, wake_launcher, wake_launcher_at
from boxcar.measures import measure
from boxcar.settings import settings

_fallbacks: set[str] = set()  # what a pass learned; a function that starts cold learns it again
logger = Logger(service="launch_jobs")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make one pass for all messages of the batch, and see to it that another follows if there is more to do."""
    launcher = Launcher(
        table=JobsTable(client("dynamodb"), settings().jobs_table),
        clients=launching_client,
        settings=settings(),
        now=time.time,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
        fallbacks=_fallbacks,
    )
    wakes = [json.loads(record["body"]) for record in event.get("Records", [])]
    launcher.run(Work.of(wakes))
    if launcher.out_of_time:
        wake_launcher(client("sqs"), settings().launch_queue_url, "the last pass ran out of time", everything=True)
    for at, work in launcher.later:
        wake_launcher_at(client("sqs"), settings().events_queue_url, at, time.time(), **work)
    measure({"JobsLaunched": launcher.launched})
    for pool, held, limit in launcher.capacity:
        measure({"CapacityHeld": held} | ({} if limit is None else {"CapacityLimit": limit}), pool=pool)
    logger.info("pass", wakes=len(wakes), launched=launcher.launched)
    return {"batchItemFailures": [], "launched": launcher.launched}
