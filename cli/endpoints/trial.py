"""`boxcar endpoints end-trial`: a person ends the trial of a version."""

import click
from botocore.exceptions import ClientError

from boxcar.serving.records import Endpoint
from boxcar.serving.turns import succeed
from cli.endpoints.names import find, records
from cli.models.names import MODEL, Named
from cli.session import Session


@click.command("end-trial")
@click.argument("model", metavar="FAMILY/MODEL", type=MODEL)
@click.option("--promote/--back", required=True, help="The new version serves, or it goes.")
@click.pass_obj
def end_trial(session: Session, model: Named, promote: bool) -> None:
    """End the trial of a new version."""
    record = find(session, model)
    if record.trial is None:
        raise click.ClickException(f"{record.endpoint}: no version is tried beside the one that is live")
    version = record.trial.version

    def wish(before: Endpoint) -> Endpoint:
        if before.trial is None or before.trial.version != version:
            return before
        trial = before.trial.model_copy(update={"wish": "promote" if promote else "back"})
        return before.model_copy(update={"trial": trial})

    trial = records(session).change(record, wish).trial
    end = "takes the place of the version before" if promote else "is taken back"
    try:
        if trial and trial.token:
            succeed(session.client("stepfunctions"), trial.token, {})
    except ClientError as error:  # who may write to the table may not do everything
        end += f" when it is looked at next; it could not be looked at now: {error.response['Error']['Code']}"
    click.echo(f"{model} {version} {end}")
