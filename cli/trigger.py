"""`boxcar trigger`: start a machine as a pipeline does, with the right to call one function and no other."""

import json
import time
from pathlib import Path
from typing import Any

import click

from cli.session import Session

BAD = ("rejected", "failed")  # what a model of a run can have come to that must stop a pipeline
SERVES = ("released", "nothing")  # what a release comes to if its version is live then


@click.command()
@click.argument("machine")
@click.option("--input", "file", type=click.Path(path_type=Path), required=True, help="What it is asked: a JSON file.")
@click.option("--token", default="", help="Starts one run, however often it is sent: the id of a pipeline.")
@click.option(
    "--wait/--no-wait", default=False, help="Wait until the run has ended, and say what became of each model."
)
@click.option("--every", default=10.0, show_default=True, help="Seconds between two looks.")
@click.pass_obj
def trigger(session: Session, machine: str, file: Path, token: str, wait: bool, every: float) -> None:
    """Start MACHINE (training, inference, benchmark, …) through the stack's trigger function.

    With --wait, the exit code is 1 if the run failed, a model was rejected, or the version of a release does not serve
    then, and 0 if all is well.
    """
    answer = call(session, {"machine": machine, "input": _read(file), "token": token})
    run = answer["run"]
    click.echo(run if answer["started"] else f"{run}  was started before with this token")
    if wait:
        raise SystemExit(wait_for_run(session, machine, run, every))


def wait_for_run(session: Session, machine: str, run: str, every: float) -> int:
    """Look at a run until it has ended, print what it came to, and return the exit code."""
    while (stands := call(session, {"machine": machine, "run": run}))["status"] in ("RUNNING", "PENDING_REDRIVE"):
        time.sleep(every)
    click.echo(f"{run}  {stands['status']}  {stands.get('sentence', '')}".rstrip())
    for model in stands.get("models", []):
        click.echo(f"  {model['model']:<20} {model['status'] or '':<10} {model['version'] or ''}".rstrip())
    good = not any(model["status"] in BAD for model in stands.get("models", []))
    return 0 if stands["status"] == "SUCCEEDED" and good and stands.get("outcome", "released") in SERVES else 1


def call(session: Session, event: dict[str, Any]) -> dict[str, Any]:
    """Call the trigger function.

    Raises:
        click.ClickException: it refused; the message says what to send instead.
    """
    done = session.client("lambda").invoke(FunctionName=f"{session.stack}-trigger-machine", Payload=json.dumps(event))
    answer: dict[str, Any] = json.loads(done["Payload"].read())
    if "FunctionError" in done:
        raise click.ClickException(f"{answer.get('errorType', 'error')}: {answer.get('errorMessage', answer)}")
    return answer


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise click.ClickException(f"{file}: there is no such file") from None
    except ValueError as error:
        raise click.ClickException(f'{file}: is not JSON ({error}); write {{"family": "<name>"}} or the like') from None
