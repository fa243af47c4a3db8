"""`boxcar models`: what is in production, what was tried, and what it was made of."""

import click

from cli.models.compare import compare
from cli.models.lineage import lineage
from cli.models.listing import list_models
from cli.models.show import history, show


@click.group()
def models() -> None:
    """Versions of models: list, show, history, compare, lineage."""


for command in (list_models, show, history, compare, lineage):
    models.add_command(command)
