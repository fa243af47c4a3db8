"""Names that are taken, found before the first job of a request is stored."""

from typing import Any

from boxcar.api.problems import Refused, busy, name_taken
from boxcar.errors import DifferentJob
from boxcar.jobs.items import from_item
from boxcar.jobs.record import Job
from boxcar.jobs.submit import JobRequest, difference, own_id
from boxcar.jobs.table import JobsTable

MOST_READS = 5  # DynamoDB may leave out some of what is asked for: more than 16 MB, or too fast


def refuse_conflicts(requests: list[JobRequest], table: JobsTable, stack: str) -> None:
    """Refuse a request of many jobs if the name of one is taken by a job with other contents.

    It reads them all at once, 100 at most. Who submits such a name between this and the write is found by the write.

    Raises:
        Refused: it names the job and the field; or the table is too busy.
    """
    asked: dict[str, JobRequest] = {}
    for index, request in enumerate(requests):
        key = own_id(stack, request.owner, request.job)
        if asked.setdefault(key, request) != request:
            said = f"{request.job!r} stands there twice, with other contents; give each job a name of its own"
            raise Refused(400, "The request is not valid", [(f"jobs[{index}].job", said)])
    known = _known(table, list(asked))
    for index, request in enumerate(requests):
        job = known.get(own_id(stack, request.owner, request.job))
        if job and (what := difference(request, job)):
            error = DifferentJob(index, what, f"job {request.job!r} of {request.owner} is known with another {what}")
            raise name_taken(error, f"jobs[{index}].")


def _known(table: JobsTable, ids: list[str]) -> dict[str, Job]:
    found: dict[str, Job] = {}
    keys: list[dict[str, Any]] = [{"pk": {"S": f"job#{job}"}} for job in ids]
    for _ in range(MOST_READS):
        answer = table.client.batch_get_item(RequestItems={table.name: {"Keys": keys, "ConsistentRead": True}})
        jobs = [from_item(item) for item in answer["Responses"].get(table.name, [])]
        found |= {job.id: job for job in jobs}
        keys = answer.get("UnprocessedKeys", {}).get(table.name, {}).get("Keys", [])
        if not keys:
            return found
    raise busy("the table of jobs is read too fast at the moment")
