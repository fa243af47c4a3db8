"""What the routes of the jobs API take and give."""

from datetime import date
from typing import Any, Literal

from pydantic import Field

from boxcar.jobs.documents import JobDocument, JobSummary
from boxcar.jobs.explain import Explanation
from boxcar.jobs.history import MOST_DAYS, MOST_JOBS
from boxcar.jobs.submit import MOST_JOBS as MOST_SUBMITTED
from boxcar.jobs.submit import JobRequest
from boxcar.steps import Document

OWNER = r"^$|^[A-Za-z0-9][A-Za-z0-9._=@+,-]{0,63}$"
EXAMPLE: dict[str, Any] = {
    "job": "bag-depth-6",
    "step": {
        "name": "train",
        "kind": "training",
        "image": "xgboost",
        "script": "train.py",
        "code": {
            "digest": "0123456789abcdef",
            "archive": "s3://boxcar-data/code/trees-0123456789abcdef.tar.gz",
            "prefix": "s3://boxcar-data/code/trees-0123456789abcdef/",
        },
        "inputs": {"train": "s3://boxcar-data/runs/w12/bag/prepare/1/train/"},
        "outputs": ["model"],
        "config": {"max_depth": 6},
        "resources": {"instance_types": ["ml.m5.large", "ml.m5.xlarge"]},
    },
    "tags": {"ticket": "PACK-12"},
}


class NewJob(JobRequest):
    """A job to do."""

    owner: str = Field(default="", pattern=OWNER, description="the caller, if it is left out")


class NewJobs(Document):
    """Jobs to do: all of them, or none if one is not valid."""

    jobs: list[NewJob] = Field(min_length=1, max_length=MOST_SUBMITTED)


class SubmittedJob(JobDocument):
    """A job as it was stored, now or before."""

    created: bool = Field(description="false: it was known already, and nothing changed")


class SubmittedJobs(Document):
    """Jobs in the order of the request."""

    jobs: list[SubmittedJob]


class ShownJob(JobDocument):
    """Everything about a job."""

    explanation: Explanation | None = Field(description="null without `explain=true`")


class JobList(Document):
    """One page of a list, newest first. It may hold fewer jobs than asked for, and still be followed by another."""

    jobs: list[JobSummary]
    next: str | None = Field(description="for the parameter `next` of the next page; null: there is none")


class ListQuery(Document):
    """Which jobs to list."""

    day: date | None = Field(default=None, description="the last day, in UTC; today, if it is left out")
    days: int | None = Field(
        default=None,
        ge=1,
        le=MOST_DAYS,
        description="how many days, that one included; 1 with `day`, else 7",
    )
    owner: str = Field(default="", max_length=64)
    run: str = Field(default="", max_length=200, description="of one run instead, whatever the day, ordered by id")
    status: Literal["New", "Launched", "InProgress", "Completed", "Failed", "Stopped"] | None = None
    sweep: str = Field(default="", max_length=64)
    family: str = Field(default="", max_length=64)
    kind: str = Field(default="", max_length=64)
    tag: list[str] = Field(
        default_factory=list, max_length=5, description="`key=value`; given several times, all of them must be so"
    )
    limit: int = Field(default=50, ge=1, le=MOST_JOBS, description="jobs on a page, at most")
    next: str = Field(default="", max_length=2000, description="what the page before said")


class ShowQuery(Document):
    """How much to show."""

    explain: bool = Field(default=False, description="why it waits or failed, and what comes next")


class NoQuery(Document):
    """No parameters."""
