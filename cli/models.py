"""`boxcar models`: what is in production, and what was tried."""

from typing import Any

import click
from boto3.dynamodb.types import TypeDeserializer

from boxcar.family_store import FamilyStore
from cli.session import Session


@click.group()
def models() -> None:
    """Versions of models: list."""


@models.command("list")
@click.argument("family", required=False)
@click.pass_obj
def list_models(session: Session, family: str | None) -> None:
    """List every version of every model, newest first; `*` marks the approved one."""
    store = FamilyStore(session.client("dynamodb"), session.outputs["ModelsTableName"])
    row = "{:<34} {:1} {:<9} {:<9} {:>7} {:>9}  {:<19}  {}"
    click.echo(row.format("model", "", "version", "status", "score", "rows", "created", "run"))
    for name in [family] if family else store.names():
        stored = store.latest(name)
        if stored is None:
            raise click.ClickException(f"family {name!r} was never applied; `boxcar families list` shows what there is")
        for model in stored.family.models:
            for version in versions(session, name, model):
                click.echo(
                    row.format(
                        f"{name}/{model}",
                        "*" if version["is_approved"] else "",
                        version["version"],
                        version["status"],
                        f"{version['metrics'][version['verdict']['metric']]:.4f}",
                        f"{sum(version['rows'].values()):,}",
                        str(version["created"])[:19],
                        version["run"],
                    )
                )


def versions(session: Session, family: str, model: str) -> list[dict[str, Any]]:
    """Every registered version of a model, newest first."""
    read = TypeDeserializer().deserialize
    answer = session.client("dynamodb").query(
        TableName=session.outputs["ModelsTableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"model#{family}/{model}"}},
        ScanIndexForward=False,
    )
    items = [{key: read(value) for key, value in item.items()} for item in answer["Items"]]
    approved = next((item["version"] for item in items if item["sk"] == "approved"), None)
    return [
        {**item, "is_approved": item["version"] == approved} for item in items if str(item["sk"]).startswith("version#")
    ]
