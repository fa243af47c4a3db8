"""How people name a version: `packaging/mailer@1.0.1`."""

from boxcar.registry.table import ModelsTable
from cli.session import Session


def models_table(session: Session) -> ModelsTable:
    """The versions of the stack's models."""
    return ModelsTable(session.client("dynamodb"), session.outputs["ModelsTableName"])
