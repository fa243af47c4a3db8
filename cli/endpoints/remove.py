"""`boxcar endpoints delete`."""

import click

from boxcar.serving.cleaning import Cleaner
from cli.endpoints.names import find, records
from cli.models.names import MODEL, Named
from cli.session import Session


@click.command()
@click.argument("model", metavar="FAMILY/MODEL", type=MODEL)
@click.option("--yes", is_flag=True, help="Without asking.")
@click.pass_obj
def delete(session: Session, model: Named, yes: bool) -> None:
    """Delete a model's endpoint with all that was made for it: scaling, alarms, dashboard, configuration, model."""
    record = find(session, model)
    if record.holder:
        raise click.ClickException(
            f"{record.endpoint} is being released to by run {record.holder.run}; stop that, or wait until it has ended"
        )
    if not yes:
        click.confirm(f"Delete endpoint {record.endpoint}? Requests to it will fail", abort=True)
    client = session.client
    cleaner = Cleaner(records(session), client("sagemaker"), client("cloudwatch"), client("application-autoscaling"))
    cleaner.remove(record)
    click.echo(f"{record.endpoint} is deleted")
