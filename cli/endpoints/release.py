"""`boxcar endpoints release`: put a version on its endpoint."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import click

from cli.models.names import VERSION, Named
from cli.progress import find_execution
from cli.runs import follow
from cli.session import Session


@click.command()
@click.argument("model", metavar="FAMILY/MODEL[@VERSION]", type=VERSION)
@click.option("--wait/--no-wait", default=False, help="Follow the release until it ends.")
@click.pass_obj
def release(session: Session, model: Named, wait: bool) -> None:
    """Release the approved version of a model, or the one named, to its endpoint. What is live already stays.

    With --wait, it ends with 1 if the version does not serve then: the release failed, or a person did not want it.
    """
    run = start(session, model)
    click.echo(run)
    if wait:
        raise SystemExit(0 if follow(session, run).status == "SUCCEEDED" and serves(session, run) else 1)


def serves(session: Session, run: str) -> bool:
    """Whether a release that ended well put its version there, or found it there; says why if not."""
    arn = find_execution(session, run)["executionArn"]
    output = json.loads(session.client("stepfunctions").describe_execution(executionArn=arn)["output"])
    if output["status"] in ("released", "nothing"):
        return True
    click.echo(f"{output['status']}: {output['why']}" + (f" ({output['by']})" if output.get("by") else ""))
    return False


def start(session: Session, named: Named) -> str:
    """Start a run of the release machine; return its name."""
    request: dict[str, Any] = {"family": named.family, "model": named.model, "requested_by": "boxcar endpoints release"}
    if named.version:
        request["version"] = str(named.version)
    run = f"{named.family}-{named.model}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    session.client("stepfunctions").start_execution(
        stateMachineArn=session.outputs["ReleaseMachineArn"], name=run, input=json.dumps(request, sort_keys=True)
    )
    return run
