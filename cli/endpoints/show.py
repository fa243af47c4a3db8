"""`boxcar endpoints list` and `show`."""

import json
from typing import Any

import click

from boxcar.alarms.releases import how_to_call, invocation_url
from boxcar.mails import columns
from boxcar.serving.planning import describe
from boxcar.serving.records import Endpoint
from cli.endpoints.names import find, records
from cli.models.names import MODEL, Named
from cli.session import Session

_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command("list")
@_JSON
@click.pass_obj
def list_endpoints(session: Session, as_json: bool) -> None:
    """Every endpoint: which version is live, since when, and what is about to change."""
    found = [told(session, record) for record in records(session).all()]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    head = ["model", "version", "status", "instances", "since", "endpoint", "releasing"]
    rows = [[_text(one[name]) for name in head] for one in found]
    click.echo("\n".join(columns([head, *rows])) if rows else "no endpoint; `boxcar endpoints release` makes one")


@click.command()
@click.argument("model", metavar="FAMILY/MODEL", type=MODEL)
@_JSON
@click.pass_obj
def show(session: Session, model: Named, as_json: bool) -> None:
    """One endpoint: what is live, how it is called, and what was made for it."""
    record = find(session, model)
    one = told(session, record)
    if as_json:
        click.echo(json.dumps({**one, "record": record.model_dump(mode="json", exclude_defaults=True)}, indent=1))
        return
    for name, value in one.items():
        click.echo(f"{name:12}  {_text(value)}")
    if record.live:
        click.echo(f"{'url':12}  {invocation_url(session.client('sagemaker').meta.region_name, record.endpoint)}")
        click.echo("\n" + "\n".join(how_to_call(record.endpoint)))


def told(session: Session, record: Endpoint) -> dict[str, Any]:
    """What is worth knowing of an endpoint, from its record and from SageMaker."""
    seen = describe(session.client("sagemaker"), record.endpoint) or {}
    variants = seen.get("ProductionVariants", [])
    return {
        "model": f"{record.family}/{record.model}",
        "version": record.live.version if record.live else None,
        "status": seen.get("EndpointStatus", "gone" if record.live else "none"),
        "instances": sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
        "since": record.live.since if record.live else None,
        "endpoint": record.endpoint,
        "releasing": f"{record.holder.version} ({record.holder.run})" if record.holder else None,
        "waiting": [turn.run for turn in record.waiting],
        "failure": seen.get("FailureReason"),
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
