"""A run as it stands: every step of every model, with its state and its time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import click
from boto3.dynamodb.types import TypeDeserializer
from rich.table import Table
from rich.text import Text

from boxcar.attributes import Item
from boxcar.jobs.explain import explain_cache
from boxcar.jobs.items import from_item
from boxcar.plans import PlannedRun, plan_key
from boxcar.registry.decisions import WAITING
from cli.models.names import models_table
from cli.session import Session

MACHINES = (
    "TrainingMachineArn",
    "InferenceMachineArn",
    "BenchmarkMachineArn",
    "ReleaseMachineArn",
)  # outputs of the stack
COLOURS = {
    "Completed": "green",
    "cached": "green",
    "InProgress": "yellow",
    "Failed": "red",
    "Stopped": "red",
    "waiting": "dim",
    "Asked": "magenta",
}


@dataclass(frozen=True)
class StepProgress:
    """One step: `waiting` until its job exists, then the job's status; `cached` if the cache had its outputs."""

    model: str  # empty for a step of the run itself
    step: str
    state: str
    attempts: int
    seconds: float | None  # from submission to the end, or to now
    reason: str
    saved_s: float = 0.0  # that the job ran whose outputs a cached step has


@dataclass(frozen=True)
class Progress:
    """One run: the status of its execution and all its steps in the order they run."""

    run: str
    status: str
    seconds: float
    error: str
    steps: list[StepProgress]

    @property
    def saved(self) -> str:
        """What the cache saved, in words; "" if nothing."""
        cached = [step for step in self.steps if step.state == "cached"]
        if not cached:
            return ""
        return f"{len(cached)} of {len(self.steps)} steps cached, {sum(step.saved_s for step in cached):.0f} s saved"

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
        if self.saved:
            table.caption = self.saved
        if self.error:
            table.caption = self.error
        return table


def find_execution(session: Session, run: str) -> dict[str, Any]:
    """A run as DescribeExecution tells of it, of whichever machine it is.

    Raises:
        click.ClickException: there is no such run.
    """
    states = session.client("stepfunctions")
    for machine in MACHINES:
        arn = session.outputs[machine].replace(":stateMachine:", ":execution:") + f":{run}"
        try:
            found: dict[str, Any] = states.describe_execution(executionArn=arn)
        except states.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("ExecutionDoesNotExist", "InvalidArn"):
                raise
            continue
        return found
    raise click.ClickException(f"there is no run {run!r}; `boxcar runs list` shows those there are")


def read_progress(session: Session, run: str, arn: str) -> Progress:
    """Read a run from its execution, its plan and its jobs."""
    execution = session.client("stepfunctions").describe_execution(executionArn=arn)
    now = datetime.now(UTC)
    jobs = read_jobs(session, run)
    document = session.read_json(plan_key(run))
    plan = PlannedRun.model_validate(document) if document else None
    steps = []
    for model, step in _order(plan) if plan else list(jobs):
        job = jobs.get((model, step), {})
        caching = job.get("caching", {})
        hit = caching.get("outcome") == "hit"
        steps.append(
            StepProgress(
                model=model,
                step=step,
                state="cached" if hit else str(job.get("status", "waiting")),
                attempts=0 if hit else len(job.get("attempts", [])),
                seconds=_seconds(job, now),
                reason=f"from run {caching['run']}" if hit else str(job.get("cause") or job.get("reason") or "")[:120],
                saved_s=float(caching.get("saved_s", 0)),
            )
        )
    if plan and execution["status"] == "RUNNING":
        steps += _reviews(session, plan, jobs)
    ended = execution.get("stopDate", now)
    error = f"{execution['error']}: {execution.get('cause', '')}" if execution.get("error") else ""
    return Progress(run, execution["status"], (ended - execution["startDate"]).total_seconds(), error, steps)


def explanation(session: Session, run: str) -> Table:
    """What the cache said of every step of a run that was submitted."""
    jobs = {key: from_item(item) for key, item in _items(session, run).items()}
    document = session.read_json(plan_key(run))
    table = Table(title=f"run {run}", title_justify="left")
    for column in ("model", "step", "", "why"):
        table.add_column(column, overflow="fold")
    for model, step in _order(PlannedRun.model_validate(document)) if document else list(jobs):
        job = jobs.get((model, step))
        told = explain_cache(job) if job else None
        if job is None or told is None:
            state, why = ("not yet", "") if job is None else ("ran", "The cache was not asked.")
        elif told.outcome == "hit":
            state, why = "[green]cached[/]", f"From run {told.run}, {told.saved_s:.0f} s saved."
        else:
            state, why = "ran", told.text
        table.add_row(model or "(run)", step, state, Text(why))
    return table


def _reviews(session: Session, plan: PlannedRun, jobs: dict[tuple[str, str], dict[str, Any]]) -> list[StepProgress]:
    """Models whose steps have ended and whose version waits for a person."""
    table, found = models_table(session), []
    for model, planned in plan.models.items():
        if any(jobs.get((model, step.name), {}).get("status") != "Completed" for step in planned.steps):
            continue
        version = table.version_of_run(plan.family, model, plan.run)
        item = table.version(plan.family, model, version) if version else None
        if item and item["status"] == WAITING:
            how = f"boxcar models approve {plan.family}/{model} --why REASON, or reject, or the link in the mail"
            found.append(StepProgress(model, "review", "Asked", 0, None, how))
    return found


def _order(plan: PlannedRun) -> list[tuple[str, str]]:
    return [(model, step.name) for model, step in plan.order]


def read_jobs(session: Session, run: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The jobs of a run by model and step."""
    read = TypeDeserializer().deserialize
    items = _items(session, run).items()
    return {key: {name: read(value) for name, value in item.items()} for key, item in items}


def _items(session: Session, run: str) -> dict[tuple[str, str], Item]:
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
    jobs = [item for page in pages for item in page["Items"] if "step" in item]
    return {(item.get("model", {"S": ""})["S"], item["step"]["S"]): item for item in jobs}


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
