"""`boxcar runs`: start training, watch it, list what ran."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from boxcar.plans import plan_key
from boxcar.restarts import FIELD as RESTART_OF
from cli.progress import MACHINES, Progress, explanation, find_execution, read_progress
from cli.session import Session

OPEN = {"RUNNING", "PENDING_REDRIVE"}
WATCH = click.option("--watch/--no-watch", default=False, help="Follow the run until it ends.")


@click.group()
def runs() -> None:
    """Runs of training and inference: start training, watch, list, show, start again."""


@runs.command()
@click.argument("family")
@click.option("--only", "models", multiple=True, metavar="MODEL", help="Train only this; may be given several times.")
@click.option("--from", "from_step", metavar="STEP", help="Do this step and all behind it anew; take those before it.")
@click.option("--fresh", is_flag=True, help="Do every step anew, whatever was done before.")
@WATCH
@click.pass_obj
def start(
    session: Session, family: str, models: tuple[str, ...], from_step: str | None, fresh: bool, watch: bool
) -> None:
    """Start training a family now. What was done before, with the same code and data, is taken from the cache."""
    if from_step and fresh:
        raise click.UsageError("--fresh does everything anew, --from a part of it; give one of them")
    request: dict[str, Any] = {"family": family, "requested_by": "boxcar runs start"}
    request |= {"models": list(models)} if models else {}
    request |= {"from_step": from_step} if from_step else {}
    request |= {"fresh": True} if fresh else {}
    _begin(session, session.outputs["TrainingMachineArn"], family, request, watch)


@runs.command()
@click.argument("run")
@WATCH
@click.pass_obj
def restart(session: Session, run: str, watch: bool) -> None:
    """Start a run that has ended again, with the same input, as a new run.

    What it had finished is not done again, unless the definition or the code of a step has changed since.
    """
    execution = find_execution(session, run)
    if execution["status"] in OPEN:
        raise click.ClickException(f"run {run} is {execution['status']}; a run can be started again when it has ended")
    asked = {**json.loads(execution["input"]), RESTART_OF: run}
    document = session.read_json(plan_key(run))
    _begin(session, execution["stateMachineArn"], document["family"] if document else run, asked, watch)


@runs.command()
@click.argument("run")
@WATCH
@click.pass_obj
def redrive(session: Session, run: str, watch: bool) -> None:
    """Let a run that was stopped or timed out go on where it was, as the same run: AWS's redrive.

    Code, family and plan are those it began with. After 14 days, with others, or for a run that has said itself that it
    failed, use `boxcar runs restart`.
    """
    states, execution = session.client("stepfunctions"), find_execution(session, run)
    arn = execution["executionArn"]
    if execution["status"] == "FAILED":
        events = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=2)["events"]
        failed = next((one["stateEnteredEventDetails"] for one in events if one["type"] == "FailStateEntered"), None)
        if failed:
            raise click.ClickException(
                f"run {run} ended in its state {failed['name']}, and a redrive would only end it there again; "
                f"`boxcar runs restart {run}` starts it again as a new run, which does not repeat what was done"
            )
    try:
        states.redrive_execution(executionArn=arn)
    except states.exceptions.ExecutionNotRedrivable as error:
        reason = error.response["Error"]["Message"]
        raise click.ClickException(f"{reason}; `boxcar runs restart {run}` starts it again as a new run") from None
    click.echo(run)
    _watched(session, run, watch)


@runs.command()
@click.argument("run")
@click.pass_obj
def explain(session: Session, run: str) -> None:
    """Say of every step whether it was taken from the cache, and if not, why not."""
    find_execution(session, run)
    Console(highlight=False).print(explanation(session, run))


@runs.command("list")
@click.option("--limit", default=20, show_default=True)
@click.pass_obj
def list_runs(session: Session, limit: int) -> None:
    """List the latest runs."""
    found = [execution for machine in MACHINES for execution in _executions(session, limit, machine)]
    for execution in sorted(found, key=lambda one: one["startDate"], reverse=True)[:limit]:
        ended = execution.get("stopDate")
        seconds = f"{(ended - execution['startDate']).total_seconds():.0f} s" if ended else ""
        started = execution["startDate"].astimezone(UTC)
        machine = execution["stateMachineArn"].rpartition("-")[2]
        status = execution["status"]
        click.echo(f"{started:%Y-%m-%d %H:%M:%S}  {machine:<9}  {status:<10} {seconds:>7}  {execution['name']}")


@runs.command()
@click.argument("run")
@click.pass_obj
def show(session: Session, run: str) -> None:
    """Show every step of one run as it stands."""
    Console().print(read_progress(session, run, find_execution(session, run)["executionArn"]).table())


@runs.command()
@click.argument("run")
@click.pass_obj
def watch(session: Session, run: str) -> None:
    """Follow one run until it ends."""
    raise SystemExit(0 if follow(session, run).status == "SUCCEEDED" else 1)


def _begin(session: Session, machine: str, family: str, request: dict[str, Any], watch: bool) -> None:
    run = f"{family}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    session.client("stepfunctions").start_execution(stateMachineArn=machine, name=run, input=json.dumps(request))
    click.echo(run)
    _watched(session, run, watch)


def _watched(session: Session, run: str, watch: bool) -> None:
    if watch:
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


def follow(session: Session, run: str, seen: Callable[[Progress], None] = lambda _: None) -> Progress:
    """Draw the steps of a run until it ends; on a terminal in place, in a log a line for each change.

    Args:
        session: where it runs.
        run: its name.
        seen: told each time how far it is.
    """
    console, arn = Console(), find_execution(session, run)["executionArn"]
    if not console.is_terminal:
        return _follow_in_lines(session, run, arn, console, seen)
    progress = read_progress(session, run, arn)
    with Live(progress.table(), console=console, refresh_per_second=4) as live:
        while progress.status in OPEN:
            seen(progress)
            time.sleep(0.5)
            progress = read_progress(session, run, arn)
            live.update(progress.table())
    return progress


def _follow_in_lines(
    session: Session, run: str, arn: str, console: Console, seen: Callable[[Progress], None]
) -> Progress:
    said: dict[tuple[str, str], str] = {}
    while True:
        progress = read_progress(session, run, arn)
        for step in progress.steps:
            if said.get((step.model, step.step), "waiting") != step.state:
                said[step.model, step.step] = step.state
                seconds = f"{step.seconds:6.1f} s" if step.seconds is not None else ""
                how = step.reason if step.state == "Asked" else ""
                line = f"  {step.model or 'run':<14} {step.step:<10} {step.state:<11} {seconds}{how}"
                console.print(line, highlight=False, soft_wrap=True)
        if progress.status not in OPEN:
            console.print(f"  run {progress.status.lower()} after {progress.seconds:.1f} s", highlight=False)
            return progress
        seen(progress)
        time.sleep(0.5)


def _executions(session: Session, limit: int, machine: str = "TrainingMachineArn") -> list[dict[str, Any]]:
    answer = session.client("stepfunctions").list_executions(stateMachineArn=session.outputs[machine], maxResults=limit)
    executions: list[dict[str, Any]] = answer["executions"]
    return executions
