"""`boxcar endpoints list` and `show`."""

import json
from typing import Any

import click

from boxcar.alarms.releases import how_to_call, invocation_url
from boxcar.mails import columns
from boxcar.serving.overview import OpenQuestion
from boxcar.serving.targets import endpoint_name
from cli.endpoints.names import none_of, overview, records
from cli.models.names import MODEL, Named
from cli.session import Session

_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command("list")
@_JSON
@click.pass_obj
def list_endpoints(session: Session, as_json: bool) -> None:
    """Every endpoint: which version is live, since when, and what is about to change."""
    found = overview(session).all()
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
        return
    head = ["version", "status", "instances", "since", "endpoint", "releasing", "asks"]
    rows = [[f"{one.family}/{one.model}", *(_text(getattr(one, name)) for name in head)] for one in found]
    head = ["model", *head]
    click.echo("\n".join(columns([head, *rows])) if rows else "no endpoint; `boxcar endpoints release` makes one")


@click.command()
@click.argument("model", metavar="FAMILY/MODEL", type=MODEL)
@_JSON
@click.pass_obj
def show(session: Session, model: Named, as_json: bool) -> None:
    """One endpoint: what is live, how it is called, who decided about releases, and what was made for it."""
    name = endpoint_name(session.stack, model.family, model.model)
    one = overview(session).one(name, model.family, model.model)
    if one is None:
        raise none_of(session, model)
    if as_json:
        record = records(session).get(name)
        made = record.model_dump(mode="json", exclude_defaults=True) if record else None
        click.echo(json.dumps({**one.model_dump(mode="json"), "record": made}, indent=1))
        return
    for field, value in one:
        if field != "decisions":
            click.echo(f"{field:12}  {_text(value)}")
    if one.version:
        click.echo(f"{'url':12}  {invocation_url(session.client('sagemaker').meta.region_name, name)}")
    for past in one.decisions:
        said = f"{past.decision.at} {past.decision.sentence}" if past.decision else past.state
        click.echo(f"{'decision':12}  {past.version} ({past.run}): {said}")
    if one.version:
        click.echo("\n" + "\n".join(how_to_call(name)))


def _text(value: Any) -> str:
    if isinstance(value, OpenQuestion):
        return f"whether {value.version} may serve, until {value.until} ({value.run})"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
