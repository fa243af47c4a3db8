"""`boxcar models list`: every version of every model."""

import json

import click

from cli.models.names import every_model, models_table
from cli.models.words import figure, score_of
from cli.session import Session


@click.command("list")
@click.argument("family", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def list_models(session: Session, family: str | None, as_json: bool) -> None:
    """List every version of every model, newest first; `*` marks the one in production."""
    table = models_table(session)
    listed = []
    for named in every_model(session, family):
        approved = (table.approved(named.family, named.model) or {}).get("version")
        listed += [
            {**version, "in_production": version["version"] == approved}
            for version in reversed(table.history(named.family, named.model))
        ]
    if as_json:
        click.echo(json.dumps(listed, indent=1))
        return
    row = "{:<34} {:1} {:<9} {:<21} {:>7} {:>9}  {:<19}  {}"
    click.echo(row.format("model", "", "version", "status", "score", "rows", "created", "run"))
    for version in listed:
        click.echo(
            row.format(
                f"{version['family']}/{version['model']}",
                "*" if version["in_production"] else "",
                version["version"],
                version["status"],
                figure(score_of(version), ".4f"),
                f"{sum(version['rows'].values()):,}",
                str(version["created"])[:19],
                version["run"],
            )
        )
