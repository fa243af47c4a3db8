"""A run as it stands: every step of every model, with its state and its time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from rich.table import Table

from boxcar.plans import Plan, plan_key
from cli.session import Session

COLOURS = {"Completed": "green", "InProgress": "yellow", "Failed": "red", "Stopped": "red", "waiting": "dim"}


@dataclass(frozen=True)
class StepProgress:
    """One step: `waiting` until its job exists, then the job's status."""

    model: str  # empty for a step of the run itself
    step: str
    state: str
    attempts: int
    seconds: float | None  # from submission to the end, or to now
    reason: str


@dataclass(frozen=True)
class Progress:
    """One run: the status of its execution and all its steps in the order they run."""

    run: str
    status: str
    seconds: float
    error: str
    steps: list[StepProgress]

    def table(self) -> Table:
        """The steps as a table for a terminal."""
        table = Table(title=f"run {self.run}: {self.status.lower()}, {self.seconds:.0f} s", title_justify="left")
        for column in ("model", "step", "state", "attempts", "time", ""):
            table.add_column(column, justify="right" if column in {"attempts", "time"} else "left")
        for step in self.steps:
            colour = COLOURS.get(step.state, "default")
            time = f"{step.seconds:.1f} s" if step.seconds is not None else ""
            attempts = str(step.attempts) if step.attempts else ""
            table.add_row(step.model or "(run)", step.step, f"[{colour}]{step.state}[/]", attempts, time, step.reason)
        if self.error:
            table.caption = self.error
        return table


def read_progress(session: Session, run: str) -> Progress:
    """Read a run from its execution, its plan and its jobs."""
    arn = session.outputs["TrainingMachineArn"].replace(":stateMachine:", ":execution:") + f":{run}"
    execution = session.client("stepfunctions").describe_execution(executionArn=arn)
    now = datetime.now(UTC)
    jobs = read_jobs(session, run)
    document = session.read_json(plan_key(run))
    order = _order(Plan.model_validate(document)) if document else list(jobs)
    steps = []
    for model, step in order:
        job = jobs.get((model, step), {})
        steps.append(
            StepProgress(
                model=model,
                step=step,
                state=str(job.get("status", "waiting")),
                attempts=len(job.get("attempts", [])),
                seconds=_seconds(job, now),
                reason=str(job.get("cause") or job.get("reason") or "")[:120],
            )
        )
    ended = execution.get("stopDate", now)
    error = f"{execution['error']}: {execution.get('cause', '')}" if execution.get("error") else ""
    return Progress(run, execution["status"], (ended - execution["startDate"]).total_seconds(), error, steps)


def _order(plan: Plan) -> list[tuple[str, str]]:
    models = [name for wave in plan.waves for name in wave]
    return [("", step.name) for step in plan.steps] + [(m, step.name) for m in models for step in plan.models[m].steps]


def read_jobs(session: Session, run: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The jobs of a run by model and step."""
    pages = (
        session.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=session.outputs["JobsTableName"],
            IndexName="by_run",
            KeyConditionExpression="#run = :run",
            ExpressionAttributeNames={"#run": "run"},
            ExpressionAttributeValues={":run": {"S": run}},
        )
    )
    read = TypeDeserializer().deserialize
    found = {}
    for page in pages:
        for item in page["Items"]:
            job = {name: read(value) for name, value in item.items()}
            if "step" in job:
                found[str(job.get("model", "")), str(job["step"])] = job
    return found


def _seconds(job: dict[str, Any], now: datetime) -> float | None:
    created = _time(job.get("created"))
    if created is None:
        return None
    return ((_time(job.get("ended")) or now) - created).total_seconds()


def _time(value: Decimal | str | None) -> datetime | None:
    """A time of a job: ISO 8601 where it is a key, seconds since the epoch elsewhere."""
    if isinstance(value, Decimal):
        return datetime.fromtimestamp(float(value), UTC)
    return datetime.fromisoformat(value) if value else None
