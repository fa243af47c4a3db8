"""`boxcar endpoints approve` and `reject`: a person's decision about a release that waits, from a terminal."""

from urllib.parse import quote

import click

from boxcar.registry.decisions import Decision
from cli.models.names import VERSION, Named
from cli.session import Session

_WHY = click.option("--why", required=True, help="The reason. It is kept with the decision.")


@click.command()
@click.argument("model", metavar="FAMILY/MODEL[@VERSION]", type=VERSION)
@_WHY
@click.pass_obj
def approve(session: Session, model: Named, why: str) -> None:
    """Let the release of a model that waits go on. With a version, only if it is of that one."""
    decide(session, model, "approve", why)


@click.command()
@click.argument("model", metavar="FAMILY/MODEL[@VERSION]", type=VERSION)
@_WHY
@click.pass_obj
def reject(session: Session, model: Named, why: str) -> None:
    """End the release of a model that waits; what serves goes on serving."""
    decide(session, model, "reject", why)


def decide(session: Session, named: Named, decision: str, why: str) -> None:
    """Have the API decide about the release of a model that waits, and say what became of it."""
    path = f"/endpoints/{quote(named.family)}/{quote(named.model)}/decisions"
    body = {"decision": decision, "why": why, **({"version": str(named.version)} if named.version else {})}
    _, told = session.call_api("POST", path, body=body)
    said = Decision.model_validate(told["decision"]).sentence
    click.echo(f"release of {told['family']}/{told['model']} {told['version']} to {told['endpoint']}: {said}")
