"""`boxcar`: every verb of the project, for the embedded cloud and for AWS."""

from pathlib import Path

import click
from botocore.exceptions import BotoCoreError, ClientError

from boxcar.errors import BoxcarError
from cli.alarms import alarms
from cli.asyncs import asyncs
from cli.benchmarks import bench
from cli.demo import demo
from cli.deploy import deploy_command, outputs
from cli.endpoints import endpoints
from cli.families import families
from cli.images import package
from cli.infer import infer
from cli.jobs import jobs
from cli.local_cloud import local_cloud, mails
from cli.models import models
from cli.prices import prices
from cli.runs import runs
from cli.session import Session
from cli.sql import sql
from cli.trigger import trigger
from local.server import STATE, ServerError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--stack", default="boxcar", envvar="BOXCAR_STACK", show_default=True, help="Name of the deployed stack.")
@click.option("--local", is_flag=True, envvar="BOXCAR_LOCAL", help="Speak to the embedded cloud. [BOXCAR_LOCAL=1]")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=STATE,
    envvar="BOXCAR_STATE",
    show_default=True,
    help="Folder of the embedded cloud.",
)
@click.version_option(package_name="boxcar")
@click.pass_context
def boxcar(context: click.Context, stack: str, local: bool, state: Path) -> None:
    """Train, judge and serve families of models on AWS, or whole on this machine."""
    context.obj = Session(stack=stack, local=local, state=state)


for command in (
    local_cloud,
    deploy_command,
    outputs,
    families,
    runs,
    infer,
    sql,
    models,
    endpoints,
    jobs,
    asyncs,
    alarms,
    mails,
    bench,
    trigger,
    package,
    prices,
    demo,
):
    boxcar.add_command(command)


def main() -> None:
    """Run the command; what Boxcar or AWS refuses is one message and exit code 2, not a traceback."""
    try:
        boxcar(standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (BoxcarError, ServerError, ClientError, BotoCoreError) as error:  # AWS says itself what was not allowed
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from None
