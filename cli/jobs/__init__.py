"""`boxcar jobs`: submit jobs and forget them; see how they stand, why, and how they fared."""

import click

from cli.jobs.change import retry, stop
from cli.jobs.logs import logs
from cli.jobs.show import explain, list_jobs, show
from cli.jobs.stats import stats
from cli.jobs.submit import submit
from cli.jobs.subscribe import subscribe
from cli.jobs.watch import watch


@click.group()
def jobs() -> None:
    """Jobs of your own: submit, list, show, logs, stop, retry, watch, explain, stats, subscribe."""


for command in (submit, list_jobs, show, logs, stop, retry, watch, explain, stats, subscribe):
    jobs.add_command(command)
