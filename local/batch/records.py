"""The records of jobs, and what is told of them."""

from collections.abc import Iterator
from typing import Any

from local.announcer import Announcer
from local.batch.arrays import parent_of
from local.batch.places import refuse
from local.sagemaker.store import Record, Store
from local.service import Cloud

JOB = "job"


class Records:
    """Every job as DescribeJobs shows it. Fields that begin with `_` are the service's own."""

    def __init__(self, cloud: Cloud, store: Store) -> None:
        self._cloud = cloud
        self._store = store
        self._events = Announcer(cloud, "aws.batch")

    def get(self, job_id: str) -> Record | None:
        """A copy of a job's record, by id or ARN."""
        return self._store.get(JOB, job_id.rpartition("job/")[2])

    def known(self, job_id: str) -> Record:
        """The record of a job that there must be."""
        record = self._store.get(JOB, job_id)
        assert record is not None
        return record

    def all(self) -> Iterator[Record]:
        """Every record, oldest first."""
        return self._store.all(JOB)

    def add(self, record: Record, job_id: str, status: str, more: Record) -> None:
        """Keep a new job. Nothing is told of a submission, on AWS neither."""
        named = {"jobArn": self.arn(job_id), "jobId": job_id, "status": status}
        self._store.put(JOB, job_id, {**record, **named, **more})

    def change(self, job_id: str, **fields: Any) -> Record:
        """Change a job and tell of it as it is now."""
        record = self._store.change(JOB, job_id, fields)
        detail = self.detail(record)
        self._events.say("Batch Job State Change", detail, [detail["jobArn"]])
        return record

    def mark(self, job_id: str, **fields: Any) -> None:
        """Change a job in a way that nobody is told of."""
        self._store.change(JOB, job_id, fields)

    def detail(self, record: Record) -> Record:
        """JobDetail."""
        shown = {name: value for name, value in record.items() if not name.startswith("_")}
        if shown.get("arrayProperties", {}).get("size"):
            statuses = [job["status"] for job in self.children(record["jobId"])]
            counts = {status: statuses.count(status) for status in sorted(set(statuses))}
            shown["arrayProperties"] = {**shown["arrayProperties"], "statusSummary": counts}
        return shown

    def children(self, job_id: str) -> list[Record]:
        """Of an array."""
        return [job for job in self._store.all(JOB) if parent_of(job["jobId"]) == job_id]

    def with_children(self, job_id: str) -> list[Record]:
        """A job, behind its children.

        Raises:
            ApiError: there is none.
        """
        record = self.get(job_id)
        if record is None:
            raise refuse(f"Error executing request, Exception : Job {job_id} does not exist")
        return [*self.children(job_id), record]

    def arn(self, job_id: str) -> str:
        """The ARN of a job."""
        return f"arn:aws:batch:{self._cloud.region}:{self._cloud.account}:job/{job_id}"

    def task_arn(self, environment: str, task: str) -> str:
        """The ARN of the container's task."""
        return f"arn:aws:ecs:{self._cloud.region}:{self._cloud.account}:task/AWSBatch-{environment}/{task}"

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return int(self._cloud.clock.time() * 1000)

    def close(self) -> None:
        """Tell what is still to be told."""
        self._events.close()
