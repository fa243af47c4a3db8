"""`boxcar models approve`, `reject` and `rollback`: a person's decision about a version, from a terminal."""

from typing import Any
from urllib.parse import quote

import click

from boxcar.errors import NotPossible
from boxcar.registry.decisions import before
from cli.models.names import MODEL, Named, models_table
from cli.session import Session

_WHY = click.option("--why", required=True, help="The reason. It is kept with the version.")


@click.command()
@click.argument("model", metavar="FAMILY/MODEL", type=MODEL)
@click.argument("version", required=False)
@_WHY
@click.pass_obj
def approve(session: Session, model: Named, version: str | None, why: str) -> None:
    """Put a version that waits, or was rejected, into production. Without VERSION: the one that waits."""
    decide(session, model, {"decision": "approve", "version": version, "why": why})


@click.command()
@click.argument("model", metavar="FAMILY/MODEL", type=MODEL)
@click.argument("version", required=False)
@_WHY
@click.pass_obj
def reject(session: Session, model: Named, version: str | None, why: str) -> None:
    """Refuse a version that waits. Without VERSION: the one that waits."""
    decide(session, model, {"decision": "reject", "version": version, "why": why})


@click.command()
@click.argument("model", metavar="FAMILY/MODEL", type=MODEL)
@click.argument("version", required=False)
@_WHY
@click.pass_obj
def rollback(session: Session, model: Named, version: str | None, why: str) -> None:
    """Put an earlier approved version back; those after it are rejected. Without VERSION: the one before."""
    if version is None:  # found here and then named, so that a call that is repeated goes back once
        table, family, name = models_table(session), model.family, model.model
        try:
            version = str(before(table.approved(family, name), table.history(family, name)))
        except NotPossible as error:
            raise click.ClickException(f"{model}: {error}") from None
    decide(session, model, {"decision": "rollback", "version": version, "why": why})


def decide(session: Session, named: Named, body: dict[str, Any]) -> None:
    """Have the API decide about a version of a model, and say what became of it.

    Args:
        session: which stack.
        named: the model.
        body: decision, version and why; without a version, or with None, the one that waits.
    """
    path = f"/models/{quote(named.family)}/{quote(named.model)}/decisions"
    _, told = session.call_api("POST", path, body={name: value for name, value in body.items() if value is not None})
    if told.get("warning"):
        click.echo(told["warning"], err=True)
    predicts = f"{told['predicts']} predicts" if told["predicts"] else "nothing predicts yet"
    click.echo(f"{named} {told['version']} is {told['status']}; {predicts}")
