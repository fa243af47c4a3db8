"""What a finished job owes, the answer to the Task that waits for it or an alarm, and remembers until it is paid."""

import json
import logging
from typing import Any

from boxcar.jobs.answers import send_answer
from boxcar.jobs.digests import example
from boxcar.jobs.kind import Clients
from boxcar.jobs.record import Job
from boxcar.jobs.table import Conflict, JobsTable
from boxcar.settings import Settings

log = logging.getLogger("boxcar")


def settle(table: JobsTable, clients: Clients, settings: Settings, job: Job, now: float) -> None:
    """Pay what a finished job owes and note it. What does not get through stays owed."""
    if not (job.finished and job.owes):
        return
    try:
        if job.token:
            send_answer(clients("stepfunctions"), job, job.token)
        if job.alarm_owed:
            body = {"kind": "job_quarantined", "owner": job.owner, "sweep": job.sweep, **example(job)}
            tell_alarms(clients("sqs"), settings.alarm_queue_url, body)
    except Exception:
        log.exception("a debt stays owed", extra={"job": job.id})
        _save(table, job, job.unanswered(now))
        return
    _save(table, job, job.settled())


def tell_alarms(sqs: Any, alarm_queue_url: str, message: dict[str, Any]) -> None:
    """Hand a message to those who mail."""
    sqs.send_message(QueueUrl=alarm_queue_url, MessageBody=json.dumps(message))


def _save(table: JobsTable, before: Job, after: Job) -> None:
    try:
        table.save(before, after)
    except Conflict:
        return  # whoever changed it (another answer, a new token) goes on from there
