"""From the model that people name to its endpoint."""

import time

import click

from boxcar.approvals.reviews import Reviews
from boxcar.serving.overview import Overview
from boxcar.serving.records import Endpoint, Endpoints
from boxcar.serving.targets import endpoint_name
from cli.models.names import Named
from cli.session import Session


def records(session: Session) -> Endpoints:
    """The records of the stack's endpoints."""
    return Endpoints(session.client("dynamodb"), session.outputs["ModelsTableName"])


def overview(session: Session) -> Overview:
    """What is worth knowing of the stack's endpoints."""
    reviews = Reviews(session.client("dynamodb"), session.outputs["ModelsTableName"])
    return Overview(records(session), reviews, session.client("sagemaker"), time.time)


def find(session: Session, named: Named) -> Endpoint:
    """The record of a model's endpoint.

    Raises:
        click.ClickException: it has none.
    """
    record = records(session).get(endpoint_name(session.stack, named.family, named.model))
    if record is None:
        raise none_of(session, named)
    return record


def none_of(session: Session, named: Named) -> click.ClickException:
    """That a model has no endpoint, and which have."""
    known = ", ".join(f"{one.family}/{one.model}" for one in records(session).all()) or "(none)"
    return click.ClickException(f"{named} has no endpoint; models that have one: {known}")
