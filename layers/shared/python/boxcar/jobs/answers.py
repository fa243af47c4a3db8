"""Answer the Task that waits for a job. The job remembers that it owes an answer until Step Functions has it."""

import json
import logging
from typing import Any

from boxcar.jobs.record import COMPLETED, Job
from boxcar.jobs.table import Conflict, JobsTable

GONE = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")  # nobody waits: as good as answered

log = logging.getLogger("boxcar")


def send_answer(states: Any, job: Job, token: str) -> None:
    """Tell Step Functions what became of a finished job.

    Raises:
        ClientError: anything but that nobody waits any more.
    """
    try:
        if job.status == COMPLETED:
            states.send_task_success(taskToken=token, output=json.dumps(result(job)))
        else:
            states.send_task_failure(taskToken=token, error=job.failure[:256], cause=cause(job)[:32_768])
    except states.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") not in GONE:
            raise


def answer(table: JobsTable, states: Any, job: Job, now: float) -> bool:
    """Send what a finished job owes and note that it was sent. False if it did not get through and stays owed."""
    if not (job.finished and job.token):
        return True
    try:
        send_answer(states, job, job.token)
    except Exception:
        log.exception("answer stays owed", extra={"job": job.id})
        _save(table, job, job.unanswered(now))
        return False
    _save(table, job, job.answered())
    return True


def result(job: Job) -> dict[str, Any]:
    """What the Task of a completed job answers."""
    return {
        "job": job.id,
        "step": job.step,
        "outputs": job.outputs,
        "attempts": job.attempts_made,
        "seconds": round(job.seconds, 3),
    }


def cause(job: Job) -> str:
    """One text that names step, model, attempts, reason and job."""
    model = f" of model {job.model}" if job.model else ""
    made = job.attempts_made
    tries = f"after {made} attempt{'s' if made > 1 else ''}" if made else "before it was started"
    return f"Step {job.step}{model} failed {tries}: {job.failure}: {job.reason or 'no reason was given'} (job {job.id})"


def _save(table: JobsTable, before: Job, after: Job) -> None:
    try:
        table.save(before, after)
    except Conflict:
        return  # whoever changed it (another answer, a new token) goes on from there
