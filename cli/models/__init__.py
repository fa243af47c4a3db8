"""`boxcar models`: what is in production, what was tried, what it was made of, and who decides."""

import click

from cli.models.compare import compare
from cli.models.decide import approve, reject, rollback
from cli.models.lineage import lineage
from cli.models.listing import list_models
from cli.models.show import history, show


@click.group()
def models() -> None:
    """Versions of models: list, show, history, compare, lineage, approve, reject, rollback."""


for command in (list_models, show, history, compare, lineage, approve, reject, rollback):
    models.add_command(command)
