"""From the model that people name to its endpoint."""

import click

from boxcar.serving.records import Endpoint, Endpoints
from boxcar.serving.targets import endpoint_name
from cli.models.names import Named
from cli.session import Session


def records(session: Session) -> Endpoints:
    """The records of the stack's endpoints."""
    return Endpoints(session.client("dynamodb"), session.outputs["ModelsTableName"])


def find(session: Session, named: Named) -> Endpoint:
    """The record of a model's endpoint.

    Raises:
        click.ClickException: it has none.
    """
    record = records(session).get(endpoint_name(session.stack, named.family, named.model))
    if record is None:
        known = ", ".join(f"{one.family}/{one.model}" for one in records(session).all()) or "(none)"
        raise click.ClickException(f"{named} has no endpoint; models that have one: {known}")
    return record
