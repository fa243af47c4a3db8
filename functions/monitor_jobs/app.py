"""Monitor: events about jobs, the sweep that finds what events missed, and delayed wakes for the launcher."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from boxcar.aws import client
from boxcar.jobs.monitor import Monitor
from boxcar.jobs.table import JobsTable
from boxcar.jobs.wakes import wake_launcher, wake_launcher_at
from boxcar.measures import measure
from boxcar.settings import settings

FULL_PASS_MINUTES = 20  # every line is looked at so often, whatever wakes were lost
OLD_MINUTES = 60  # … and those who wait too long are looked for

logger = Logger(service="monitor_jobs")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take in a batch of messages; those that fail come again, and at last go to the dead-letter queue."""
    monitor = Monitor(
        table=JobsTable(client("dynamodb"), settings().jobs_table),
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
    if monitor.freed or monitor.ready:
        _wake_launcher("jobs ended", pools=dict(monitor.freed), jobs=monitor.ready)
    for at, job in monitor.resting:
        wake_launcher_at(client("sqs"), settings().events_queue_url, at, time.time(), jobs=[job])
    return {"batchItemFailures": failed}


def _take_in(monitor: Monitor, message: dict[str, Any]) -> None:
    if message.get("sweep"):
        minute = int(time.time() // 60)
        if minute % FULL_PASS_MINUTES == 0:  # once: the schedule may fire twice
            _wake_launcher("schedule", once=f"minute-{minute}", everything=True, old=minute % OLD_MINUTES == 0)
        monitor.sweep()
        measure({"Sweeps": 1}, sweep="jobs")
    elif "wake" in message:
        work = {name: message[name] for name in ("pools", "jobs", "everything") if name in message}
        _wake_launcher(message["wake"], message.get("once", ""), **work)
    elif message.get("kind") == "schedule_check":
        monitor.watches.watch_schedule(message, time.time())
    elif "stop" in message:
        monitor.stop(message["stop"])
    elif message.get("detail-type") == "Step Functions Execution Status Change":
        monitor.run_ended(message["detail"])
    else:
        monitor.hear(message)


def _wake_launcher(reason: str, once: str = "", **work: Any) -> None:
    wake_launcher(client("sqs"), settings().launch_queue_url, reason, once, **work)
