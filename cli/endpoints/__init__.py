"""`boxcar endpoints`: what serves, where, and putting an approved version there."""

import click

from cli.endpoints.release import release
from cli.endpoints.remove import delete
from cli.endpoints.show import list_endpoints, show


@click.group()
def endpoints() -> None:
    """Endpoints: list, show, release, delete."""


for command in (list_endpoints, show, release, delete):
    endpoints.add_command(command)
