"""`boxcar bench`: start a benchmark, follow it, see what to buy."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from boxcar.benchmarks.planning import CODE_KEY
from boxcar.benchmarks.requests import BenchmarkRequest
from boxcar.requests import read_trigger
from boxcar.steps import Code
from cli.architectures import upload_package
from cli.benchmarks.show import tables
from cli.runs import WATCH, follow
from cli.session import Session

MACHINE = "BenchmarkMachineArn"
NEURON = Path("neuron")


@click.group()
def bench() -> None:
    """Benchmarks: which instance meets a latency target at the least cost."""


@bench.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@WATCH
@click.pass_obj
def start(session: Session, file: Path, watch: bool) -> None:
    """Upload the code of the jobs, then start the benchmark that FILE asks for, such as events/benchmark.json."""
    request = _read(file)
    upload(session)
    request = {"requested_by": "boxcar bench start", **request}
    run = begin(session, request)
    click.echo(run)
    if watch:
        _watched(session, run)


@bench.command()
@click.argument("run")
@click.pass_obj
def watch(session: Session, run: str) -> None:
    """Follow one benchmark until it ends, then show what to buy."""
    _watched(session, run)


@bench.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Every row as CSV, in NeuronPerf's columns.")
@click.pass_obj
def show(session: Session, run: str, as_json: bool, as_csv: bool) -> None:
    """Show for each target what to buy, and every row."""
    if as_csv:
        click.echo(_fetch(session, run, "table.csv").decode(), nl=False)
        return
    report = _fetch(session, run, "report.json")
    if as_json:
        click.echo(report.decode())
        return
    _print(json.loads(report))


@bench.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to. [default: RUN.html]")
@click.pass_obj
def page(session: Session, run: str, out: Path | None) -> None:
    """Bring the page of a benchmark to a file that a browser can open."""
    path = out or Path(f"{run}.html")
    path.write_bytes(_fetch(session, run, "index.html"))
    click.echo(path)


@bench.command()
@click.pass_obj
def code(session: Session) -> None:
    """Upload the code that compiles and load-tests. Benchmarks that a file in S3 starts run what was uploaded last."""
    click.echo(upload(session).archive)


def upload(session: Session, folder: Path = NEURON) -> Code:
    """Upload `neuron/`, and write down that it is what benchmarks run."""
    s3, bucket = session.client("s3"), session.outputs["BucketName"]
    uploaded = upload_package(folder, s3, bucket)
    s3.put_object(Bucket=bucket, Key=CODE_KEY, Body=uploaded.model_dump_json().encode())
    return uploaded


def begin(session: Session, request: dict[str, Any]) -> str:
    """Start a run of the benchmark machine; return its name."""
    run = f"{request['benchmark']}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    session.client("stepfunctions").start_execution(
        stateMachineArn=session.outputs[MACHINE], name=run, input=json.dumps(request)
    )
    return run


def _read(file: Path) -> dict[str, Any]:
    """A request from a file, checked as Plan will check it, but for what only the stack knows.

    Raises:
        click.ClickException, TriggerError: it is not JSON, or not a request.
    """
    try:
        request = json.loads(file.read_text())
    except ValueError as error:
        raise click.ClickException(f"{file}: is not JSON: {error}") from None
    if isinstance(request, dict):
        read_trigger(request, lambda *_: b"", BenchmarkRequest)
        return request
    raise click.ClickException(f"{file}: is not an object; {BenchmarkRequest.example}")


def _watched(session: Session, run: str) -> None:
    status = follow(session, run).status
    report = session.read_json(f"reports/{run}/report.json")
    if report:
        _print(report)
    raise SystemExit(0 if status == "SUCCEEDED" else 1)


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False)
    for part in tables(report):
        console.print(part)


def _fetch(session: Session, run: str, name: str) -> bytes:
    s3, key = session.client("s3"), f"reports/{run}/{name}"
    try:
        body: bytes = s3.get_object(Bucket=session.outputs["BucketName"], Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise click.ClickException(f"run {run} has no report yet; `boxcar bench watch {run}` follows it") from None
    return body
