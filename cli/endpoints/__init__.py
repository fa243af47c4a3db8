"""`boxcar endpoints`: what serves, where, putting an approved version there, and deciding whether it may go."""

import click

from cli.endpoints.decide import approve, reject
from cli.endpoints.release import release
from cli.endpoints.remove import delete
from cli.endpoints.show import list_endpoints, show
from cli.endpoints.trial import end_trial


@click.group()
def endpoints() -> None:
    """Endpoints: list, show, release, approve, reject, end-trial, delete."""


for command in (list_endpoints, show, release, approve, reject, end_trial, delete):
    endpoints.add_command(command)
