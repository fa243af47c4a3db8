"""`boxcar models`: what is in production, and what was tried."""

import click

from cli.models.listing import list_models


@click.group()
def models() -> None:
    """Versions of models: list."""


for command in (list_models,):
    models.add_command(command)
