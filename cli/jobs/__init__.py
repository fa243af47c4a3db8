"""`boxcar jobs`: submit jobs and forget them; see how they stand, why, and how they fared."""

import click

from cli.jobs.change import retry, stop
from cli.jobs.logs import logs_command
from cli.jobs.show import explain, list_jobs, show_command
from cli.jobs.stats import stats_command
from cli.jobs.submit import submit_command
from cli.jobs.subscribe import subscribe_command
from cli.jobs.watch import watch_command


@click.group()
def jobs() -> None:
    """Jobs of your own: submit, list, show, logs, stop, retry, watch, explain, stats, subscribe."""


for command in (
    submit_command,
    list_jobs,
    show_command,
    logs_command,
    stop,
    retry,
    watch_command,
    explain,
    stats_command,
    subscribe_command,
):
    jobs.add_command(command)
