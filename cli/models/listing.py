"""`boxcar models list`: every version of every model."""

import click

from boxcar.family_store import FamilyStore
from cli.models.names import models_table
from cli.session import Session


@click.command("list")
@click.argument("family", required=False)
@click.pass_obj
def list_models(session: Session, family: str | None) -> None:
    """List every version of every model, newest first; `*` marks the approved one."""
    store = FamilyStore(session.client("dynamodb"), session.outputs["ModelsTableName"])
    table = models_table(session)
    row = "{:<34} {:1} {:<9} {:<9} {:>7} {:>9}  {:<19}  {}"
    click.echo(row.format("model", "", "version", "status", "score", "rows", "created", "run"))
    for name in [family] if family else store.names():
        stored = store.latest(name)
        if stored is None:
            raise click.ClickException(f"family {name!r} was never applied; `boxcar families list` shows what there is")
        for model in stored.family.models:
            approved = (table.approved(name, model) or {}).get("version")
            for version in reversed(table.history(name, model)):
                click.echo(
                    row.format(
                        f"{name}/{model}",
                        "*" if version["version"] == approved else "",
                        version["version"],
                        version["status"],
                        f"{version['metrics'][version['verdict']['metric']]:.4f}",
                        f"{sum(version['rows'].values()):,}",
                        str(version["created"])[:19],
                        version["run"],
                    )
                )
