"""Stop a job: at once if it has not been launched, else as soon as AWS has stopped it."""

from boxcar.errors import NotPossible
from boxcar.jobs.failures import Failure
from boxcar.jobs.leases import return_turn
from boxcar.jobs.record import GRACE_S, NEW, Job
from boxcar.jobs.table import Conflict, JobsTable

MOST_CONFLICTS = 6


def stop(table: JobsTable, job_id: str, by: str, now: float, kept_s: float) -> Job | None:
    """Note that a job is to be stopped. The monitor, told so by `{"stop": <job id>}`, asks AWS.

    Args:
        table: the jobs table.
        job_id: of the job.
        by: who wants it stopped, for whoever reads the record.
        now: seconds since the epoch.
        kept_s: how long the record of a finished job is kept, in seconds.

    Returns:
        The job as it is then; None if there is none of that id.

    Raises:
        NotPossible: it has ended.
        Conflict: it kept being changed by others.
    """
    for _ in range(MOST_CONFLICTS):
        job = table.get(job_id)
        if job is None:
            return None
        if job.finished:
            raise NotPossible(f"job {job_id} is {job.status} already; only one that has not ended can be stopped")
        try:
            if job.status != NEW:
                return table.save(job, job.stopping_for(Failure.STOPPED, now + GRACE_S))
            stopped = table.save(
                job, job.failed(Failure.STOPPED, f"stopped by {by} before it was launched", now, kept_s)
            )
            return_turn(table, job)
            return stopped
        except Conflict:
            continue
    raise Conflict(job_id)
