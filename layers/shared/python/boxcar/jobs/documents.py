"""Jobs as JSON documents, for the API and whoever calls it. Times are ISO 8601 in UTC; durations are seconds.

A summary is what lists show: all of it is in the indexes `by_day` and `by_owner`. A document is everything.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from boxcar import kinds
from boxcar.alarms.links import Links
from boxcar.attributes import Item, decode
from boxcar.errors import StepError
from boxcar.jobs.record import Attempt, Job
from boxcar.settings import Settings
from boxcar.steps import Document

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
MOST_REASON = 200  # characters of a reason in a summary; the document of the job has all of it
STATUSES = ("New", "Launched", "InProgress", "Completed", "Failed", "Stopped")


class JobSummary(Document):
    """One job in a list."""

    job: str = Field(description="Boxcar's id of it")
    run: str = Field(description="the run it is a step of, or `<owner>-<job>` as it was submitted")
    model: str = ""
    step: str
    kind: str
    family: str = ""
    owner: str
    sweep: str = Field(default="", description="the sweep it is a part of")
    tags: dict[str, str] = Field(default_factory=dict)
    status: str = Field(json_schema_extra={"enum": list(STATUSES)})
    failure: str = Field(default="", description="class of failure, once Failed or Stopped")
    reason: str = Field(default="", description="why it failed, in AWS's words or Boxcar's")
    priority: int = Field(description="0 first")
    instance_type: str = Field(default="", description="of the latest attempt, or the one it waits for")
    units: int = Field(default=1, description="how many of them")
    created_at: Time
    started: Time | None = None
    ended: Time | None = None
    seconds: float = Field(default=0.0, description="that the latest attempt ran")
    billable_seconds: float = Field(default=0.0, description="of one machine, over all attempts")
    attempt: int = Field(default=0, description="number of the latest")
    waiting_for: str = Field(default="", description="why it is New")


class AttemptDocument(Document):
    """One thing that was started on AWS under one name."""

    number: int
    name: str
    arn: str
    pool: str = Field(description="whose lease it held, such as training/ml.m5.large")
    instance_type: str
    units: int
    launched: Time
    started: Time | None
    ended: Time | None
    billable_seconds: float
    failure: str
    reason: str


class LogsDocument(Document):
    """Where the latest attempt writes what it says, in CloudWatch Logs."""

    group: str
    prefix: str = Field(description="names of its log streams begin so")


class LinksDocument(Document):
    """Addresses that a browser can open; empty without a console."""

    console: str = ""
    logs: str = ""


class JobDocument(JobSummary):
    """Everything about one job."""

    attempts: list[AttemptDocument] = Field(description="oldest first; the latest 50")
    inputs: dict[str, str]
    outputs: dict[str, str] = Field(description="where they lie, once Completed")
    taken_from: str = Field(default="", description="the job whose outputs these are, if the cache had them")
    document: dict[str, Any] = Field(description="the step, its references resolved")
    logs: LogsDocument | None = Field(description="of the latest attempt")
    links: LinksDocument


def summary(item: Item) -> JobSummary:
    """The summary of a job, from an item of the table or of one of its indexes."""
    value = {name: decode(attribute) for name, attribute in item.items() if name in _SUMMARY}
    value |= {"job": item["pk"]["S"].removeprefix("job#"), "created_at": item["created"]["S"]}
    value |= {"started": iso_time(value.get("started")), "ended": iso_time(value.get("ended"))}
    value["reason"] = shortened(value.get("reason", ""))
    return JobSummary.model_construct(**{**_DEFAULTS, **value})  # not checked again: this is what Boxcar wrote


def document(job: Job, settings: Settings) -> JobDocument:
    """Everything about a job, as it is now."""
    pool = job.attempts[-1].pool if job.attempts else job.preferred[0]
    latest = job.attempts[-1] if job.attempts else None
    logs = _logs(job, latest) if latest else None
    return JobDocument(
        job=job.id,
        run=job.run,
        model=job.model,
        step=job.step,
        kind=job.kind,
        family=job.family,
        owner=job.owner,
        sweep=job.sweep,
        tags=dict(job.tags),
        status=job.status,
        failure=job.failure,
        reason=job.reason,
        priority=job.priority,
        instance_type=pool.rpartition("/")[2],
        units=job.units,
        created_at=iso_time(job.created) or "",
        started=iso_time(job.started),
        ended=iso_time(job.ended),
        seconds=job.seconds,
        billable_seconds=job.billable_seconds,
        attempt=job.attempt,
        waiting_for=job.waiting_for,
        attempts=[_attempt(attempt) for attempt in job.attempts],
        inputs=dict(job.inputs),
        outputs=dict(job.outputs),
        taken_from=job.caching.job if job.caching else "",
        document=json.loads(job.document),
        logs=logs,
        links=LinksDocument(
            console=Links.of(settings).job(latest.arn if latest else ""),
            logs=logs_link(logs, settings),
        ),
    )


def iso_time(time: float | None) -> str | None:
    """Seconds since the epoch as `2026-01-01T00:00:00.000Z`."""
    if time is None:
        return None
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def shortened(reason: str) -> str:
    """A reason as a list shows it."""
    return reason if len(reason) <= MOST_REASON else reason[: MOST_REASON - 1] + "…"


def logs_link(logs: LogsDocument | None, settings: Settings) -> str:
    """Where the logs can be read, "" without any."""
    if logs is None or not settings.console_url:
        return ""
    group, prefix = (part.replace("/", "$252F") for part in (logs.group, logs.prefix))
    page = f"cloudwatch/home?region={settings.region}#logsV2:log-groups/log-group/{group}"
    return f"{settings.console_url}/{page}$3FlogStreamNameFilter$3D{prefix}"


def _attempt(attempt: Attempt) -> AttemptDocument:
    return AttemptDocument(
        number=attempt.number,
        name=attempt.name,
        arn=attempt.arn,
        pool=attempt.pool,
        instance_type=attempt.instance_type,
        units=attempt.units,
        launched=iso_time(attempt.launched) or "",
        started=iso_time(attempt.started),
        ended=iso_time(attempt.ended),
        billable_seconds=attempt.billable_seconds,
        failure=attempt.failure,
        reason=attempt.reason,
    )


def _logs(job: Job, attempt: Attempt) -> LogsDocument | None:
    try:
        group, prefix = kinds.find(job.kind).logs(attempt.name, attempt.arn)
    except StepError:  # a kind of an older release
        return None
    return LogsDocument(group=group, prefix=prefix) if group else None


_SUMMARY = frozenset(JobSummary.model_fields)
_DEFAULTS: Mapping[str, Any] = {"run": "", "owner": ""} | {
    name: field.get_default(call_default_factory=True)
    for name, field in JobSummary.model_fields.items()
    if not field.is_required()
}
