"""`boxcar runs`: start training, watch it, list what ran."""

import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from cli.progress import Progress, read_progress
from cli.session import Session

OPEN = {"RUNNING", "PENDING_REDRIVE"}


@click.group()
def runs() -> None:
    """Runs of the training machine: start, watch, list, show."""


@runs.command()
@click.argument("family")
@click.option("--model", "models", multiple=True, help="Train only this model; may be given several times.")
@click.option("--watch/--no-watch", default=False, help="Follow the run until it ends.")
@click.pass_obj
def start(session: Session, family: str, models: tuple[str, ...], watch: bool) -> None:
    """Start training a family now."""
    request: dict[str, Any] = {"family": family, "requested_by": "boxcar runs start"}
    if models:
        request["models"] = list(models)
    run = f"{family}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    session.client("stepfunctions").start_execution(
        stateMachineArn=session.outputs["TrainingMachineArn"], name=run, input=json.dumps(request)
    )
    click.echo(run)
    if watch:
        finished = follow(session, run)
        raise SystemExit(0 if finished.status == "SUCCEEDED" else 1)


@runs.command("list")
@click.option("--limit", default=20, show_default=True)
@click.pass_obj
def list_runs(session: Session, limit: int) -> None:
    """List the latest runs."""
    for execution in _executions(session, limit):
        ended = execution.get("stopDate")
        seconds = f"{(ended - execution['startDate']).total_seconds():.0f} s" if ended else ""
        started = execution["startDate"].astimezone(UTC)
        click.echo(f"{started:%Y-%m-%d %H:%M:%S}  {execution['status']:<10} {seconds:>7}  {execution['name']}")


@runs.command()
@click.argument("run")
@click.pass_obj
def show(session: Session, run: str) -> None:
    """Show every step of one run as it stands."""
    Console().print(read_progress(session, run).table())


@runs.command()
@click.argument("run")
@click.pass_obj
def watch(session: Session, run: str) -> None:
    """Follow one run until it ends."""
    raise SystemExit(0 if follow(session, run).status == "SUCCEEDED" else 1)


def upload_trigger(session: Session, file: Path, key: str, wait_s: float = 60) -> str:
    """Upload a trigger file and find the run that it started.

    Returns:
        The name of the run.

    Raises:
        click.ClickException: no run started within `wait_s` seconds.
    """
    before = {execution["executionArn"] for execution in _executions(session, 100)}
    session.client("s3").put_object(Bucket=session.outputs["BucketName"], Key=key, Body=file.read_bytes())
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        started = [e["name"] for e in _executions(session, 100) if e["executionArn"] not in before]
        if started:
            return str(started[0])
        time.sleep(0.3)
    raise click.ClickException(
        f"s3://{session.outputs['BucketName']}/{key} started no run within {wait_s:.0f} s; "
        f"look into the queue {session.stack}-start-dead-letters"
    )


def follow(session: Session, run: str) -> Progress:
    """Draw the steps of a run until it ends; on a terminal in place, in a log a line for each change."""
    console = Console()
    if not console.is_terminal:
        return _follow_in_lines(session, run, console)
    progress = read_progress(session, run)
    with Live(progress.table(), console=console, refresh_per_second=4) as live:
        while progress.status in OPEN:
            time.sleep(0.5)
            progress = read_progress(session, run)
            live.update(progress.table())
    return progress


def _follow_in_lines(session: Session, run: str, console: Console) -> Progress:
    said: dict[tuple[str, str], str] = {}
    while True:
        progress = read_progress(session, run)
        for step in progress.steps:
            if said.get((step.model, step.step), "waiting") != step.state:
                said[step.model, step.step] = step.state
                seconds = f"{step.seconds:6.1f} s" if step.seconds is not None else ""
                console.print(
                    f"  {step.model or 'run':<14} {step.step:<10} {step.state:<11} {seconds}", highlight=False
                )
        if progress.status not in OPEN:
            console.print(f"  run {progress.status.lower()} after {progress.seconds:.1f} s", highlight=False)
            return progress
        time.sleep(0.5)


def _executions(session: Session, limit: int) -> list[dict[str, Any]]:
    answer = session.client("stepfunctions").list_executions(
        stateMachineArn=session.outputs["TrainingMachineArn"], maxResults=limit
    )
    executions: list[dict[str, Any]] = answer["executions"]
    return executions
