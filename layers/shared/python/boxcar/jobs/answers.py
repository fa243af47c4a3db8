"""What the Task that waits for a job is answered."""

import json
from typing import Any

from boxcar.jobs.record import COMPLETED, Job

GONE = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")  # nobody waits: as good as answered


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
