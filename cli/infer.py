"""`boxcar infer`: predict now, or fill in days of the past."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from cli.runs import OPEN, follow
from cli.session import Session

MACHINE = "InferenceMachineArn"
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("family", default="packaging")
@click.option(
    "--scope", type=click.Choice(["daily", "monthly"]), help="daily: rows that are new (default); monthly: all."
)
@click.option("--model", "models", multiple=True, help="Predict with this model only; may be given several times.")
@click.option("--from", "first", type=DAY, help="Fill in the days from this one, in order, each as a run of its own.")
@click.option("--to", "last", type=DAY, help="… up to and with this one.")
@click.option("--again", is_flag=True, help="Of days that were filled in before, too.")
@click.option("--watch/--no-watch", default=False, help="Follow the run until it ends; days are always followed.")
@click.pass_obj
def infer(
    session: Session,
    family: str,
    scope: str | None,
    models: tuple[str, ...],
    first: datetime | None,
    last: datetime | None,
    again: bool,
    watch: bool,
) -> None:
    """Predict for the rows of FAMILY that are new, or all of them, or those first seen on days of the past."""
    request: dict[str, Any] = {"family": family, "requested_by": "boxcar infer"}
    if models:
        request["models"] = list(models)
    if first or last:
        if not (first and last) or first > last or scope:
            raise click.UsageError("--from and --to go together, the earlier first, and without --scope")
        backfill(session, request, first.date(), last.date(), again)
        return
    run = start(session, {**request, "scope": scope or "daily"})
    click.echo(run)
    if watch:
        raise SystemExit(0 if follow(session, run).status == "SUCCEEDED" else 1)


def start(session: Session, request: dict[str, Any], run: str = "") -> str:
    """Start a run of the inference machine; return its name."""
    run = run or f"{request['family']}-{request['scope']}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    session.client("stepfunctions").start_execution(
        stateMachineArn=session.outputs[MACHINE], name=run, input=json.dumps(request, sort_keys=True)
    )
    return run


def backfill(session: Session, request: dict[str, Any], first: date, last: date, again: bool) -> None:
    """Run day after day, each after the one before is done. What was done before is left alone, unless `again`.

    Raises:
        click.ClickException: a day failed, or a model of it did, or was skipped; the same command goes on there.
    """
    for day in _days(first, last):
        run, execution = _latest(session, request, day)
        if run and not _lacks(execution) and not again:
            click.echo(f"{day}  done before: {run}")
            continue
        if execution.get("status") not in OPEN:
            number = int(run.rpartition("-")[2]) + 1 if run else 1
            run = start(session, {**request, "day": str(day)}, f"{_name(request, day)}-{number}")
        click.echo(f"{day}  {run}")
        follow(session, run)
        if lacks := _lacks(_execution(session, run)):
            raise click.ClickException(f"{day} is not done: run {run} {lacks}. The same command goes on there")


def _lacks(execution: dict[str, Any]) -> str:
    """Why a day is not done by its run, in words, and what to do; "" if it is."""
    if execution["status"] != "SUCCEEDED":
        return "did not succeed; mend it"
    output = json.loads(execution.get("output") or "{}")
    if output.get("status") != "succeeded":
        return f"ended {output.get('status')}; mend what failed, see {output.get('report')}"
    if skipped := output.get("skipped"):
        return f"skipped {', '.join(skipped)}, for want of an approved version; approve one, or name others by --model"
    return ""


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _name(request: dict[str, Any], day: date) -> str:
    """Of the runs of one day, without their number: the same for the same models, so that a backfill finds its own."""
    models = "-".join(request.get("models", []))
    whole = f"{request['family']}-day-{day}" + (f"-{models}" if models else "")
    return whole if len(whole) <= 72 else f"{whole[:60]}-{uuid.uuid5(uuid.NAMESPACE_OID, whole).hex[:8]}"


def _latest(session: Session, request: dict[str, Any], day: date) -> tuple[str, dict[str, Any]]:
    """Name of the latest run of a day, and the run as Step Functions describes it; empty if there was none."""
    found, number = "", 1
    execution: dict[str, Any] = {}
    while True:
        run = f"{_name(request, day)}-{number}"
        try:
            execution = _execution(session, run)
        except session.client("stepfunctions").exceptions.ExecutionDoesNotExist:
            return found, execution
        found, number = run, number + 1


def _execution(session: Session, run: str) -> dict[str, Any]:
    arn = session.outputs[MACHINE].replace(":stateMachine:", ":execution:") + f":{run}"
    execution: dict[str, Any] = session.client("stepfunctions").describe_execution(executionArn=arn)
    return execution
