"""Monitor: events about jobs, the sweep that finds what events missed, and delayed wakes for the launcher."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from boxcar.aws import client
from boxcar.jobs.monitor import Monitor
from boxcar.jobs.table import JobsTable
from boxcar.jobs.wakes import wake_launcher
from boxcar.settings import settings

logger = Logger(service="monitor_jobs")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take in a batch of messages; those that fail come again, and at last go to the dead-letter queue."""
    table = JobsTable(client("dynamodb"), settings().jobs_table)
    monitor = Monitor(
        table=table,
        clients=client,
        settings=settings(),
        now=time.time,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    failed = []
    for record in event["Records"]:
        try:
            _take_in(monitor, json.loads(record["body"]))
        except Exception:
            logger.exception("message failed", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    if monitor.ready_again or (monitor.freed and table.any_new()):
        wake_launcher(client("sqs"), settings().launch_queue_url, "jobs ended", jobs=monitor.ready_again)
    return {"batchItemFailures": failed}


def _take_in(monitor: Monitor, message: dict[str, Any]) -> None:
    if message.get("sweep"):
        monitor.sweep()
        # once: the schedule may fire twice, and its minute is the launcher's too
        _wake_launcher("schedule", f"sweep-{int(time.time()) // 30}")
    elif "wake" in message:
        _wake_launcher(message["wake"], message.get("once", ""))
    else:
        monitor.hear(message)


def _wake_launcher(reason: str, once: str) -> None:
    wake_launcher(client("sqs"), settings().launch_queue_url, reason, once=once)
