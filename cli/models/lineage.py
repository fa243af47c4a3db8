"""`boxcar models lineage`: from a prediction to the version, run, code and data behind it, and back."""

import json
import re
from collections.abc import Callable
from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from boxcar.registry.origins import Origin
from boxcar.versions import Version
from cli.models.names import VERSION, Named, every_model, find, models_table
from cli.models.predictions import Predictions
from cli.models.words import NOT_RECORDED, made_of, name_of
from cli.session import Session
from cli.terminal import terminal

_OF_RUN = re.compile(r"s3://[^/]+/runs/(?P<run>.+)/(?P<model>[a-z][a-z0-9_]*)/[a-z][a-z0-9_]*/(?:\d+/|checkpoints/).*")
LEAST_DIGEST = 6  # digits by which somebody may name a digest


@click.command()
@click.argument("named", metavar="[FAMILY/MODEL[@VERSION]]", type=VERSION, required=False)
@click.option("--file", "address", metavar="S3URI", help="The version behind a file of a training run.")
@click.option(
    "--product", metavar="KEY", help="The version behind the model's prediction of this key in the warehouse."
)
@click.option("--predictions", is_flag=True, help="Ask the warehouse, too, which rows in it are the version's.")
@click.option("--run", help="The versions that a run made.")
@click.option("--data", metavar="DIGEST", help="The versions made of this data; the first digits are enough.")
@click.option("--code", metavar="DIGEST", help="The versions made by this code; the first digits are enough.")
@click.option("--query", is_flag=True, help="Print the unload's SQL, too.")
@click.option("--json", "as_json", is_flag=True, help="A JSON document for each version.")
@click.pass_obj
def lineage(
    session: Session,
    named: Named | None,
    address: str | None,
    product: str | None,
    predictions: bool,
    run: str | None,
    data: str | None,
    code: str | None,
    query: bool,
    as_json: bool,
) -> None:
    """Show what a version was made of, and what it went into; or find the versions made of something."""
    given = [named, address, run, data, code]
    if sum(one is not None for one in given) != 1:
        raise click.UsageError("write one of FAMILY/MODEL[@VERSION], --file, --run, --data, --code")
    row = None
    if product is not None:
        if named is None or named.version:
            raise click.UsageError("--product: write FAMILY/MODEL, too; its row says which version")
        row = Predictions(session, named.family).row(named.model, product)
        named = Named(named.family, named.model, Version.parse(row["model_version"]))
    versions = _versions(session, named.family if named else None)
    if named:
        found = [find(session, named)]
    elif address:
        found = [_behind(versions, address)]
    elif run:
        found = _wanted(versions, lambda version: version["run"] == run, f"run {run}")
    elif data:
        found = _wanted(versions, _has(data, "--data", _data_of), f"data {data}")
    else:
        found = _wanted(versions, _has(code or "", "--code", _code_of), f"code {code}")
    for version in found:
        told = _told(version, versions) | ({"prediction": row} if row else {})
        if predictions:
            told["predictions"] = Predictions(session, version["family"]).of_version(
                version["model"], version["version"]
            )
        if as_json:
            click.echo(json.dumps(told))
        else:
            _print(told, version, query)


def _told(version: dict[str, Any], versions: list[dict[str, Any]]) -> dict[str, Any]:
    """A version, what it was made of, and which of the others it went into."""
    users = [
        name_of(other)
        for other in versions
        if other["family"] == version["family"]
        and other.get("origin", {}).get("upstream", {}).get(version["model"]) == version["version"]
    ]
    return {
        "version": name_of(version),
        "status": version["status"],
        "registered": version["created"],
        "run": version["run"],
        "parameters": version["config"]["parameters"],
        "origin": version.get("origin"),
        "artifact": version["outputs"]["model"],
        "evaluation": version["evaluation"],
        "verdict": version.get("verdict_document"),
        "package": version["package_arn"],
        "used_by": users,
    }


def _print(told: dict[str, Any], version: dict[str, Any], query: bool) -> None:
    console = terminal()
    tree = Tree(Text(f"{told['version']}  {told['status']}", style="bold"))
    if row := told.get("prediction"):
        predicted = tree.add("predicted")
        for name, value in row.items():
            predicted.add(Text(f"{name}: {value}"))
    made = tree.add("made of")
    made.add(Text(f"run: {told['run']}, registered {told['registered']}"))
    for name, value in made_of(version).items():
        made.add(Text(f"{name}: {value}"))
    made.add(Text("parameters: " + ", ".join(f"{name} {value}" for name, value in told["parameters"].items())))
    kept = tree.add("kept as")
    for name in ("artifact", "evaluation", "verdict", "package"):
        kept.add(Text(f"{name}: {told[name] or NOT_RECORDED}"))
    went = tree.add("went into")
    for user in told["used_by"]:
        went.add(Text(f"version: {user}"))
    if not told["used_by"]:
        went.add(Text("no other version", style="dim"))
    for one in told.get("predictions", []):
        went.add(Text(f"predictions: {one['row_count']:,} rows of run {one['run_id']}, {one['predicted_at']}"))
    if "predictions" in told and not told["predictions"]:
        went.add(Text("no prediction that is in the warehouse now", style="dim"))
    console.print(tree)
    if query and told["origin"]:
        origin = Origin.model_validate(told["origin"])
        console.print(Text(origin.unloaded.query.rstrip() if origin.unloaded else "nothing was unloaded"))


def _behind(versions: list[dict[str, Any]], address: str) -> dict[str, Any]:
    """The version that the run registered whose step wrote a file.

    Raises:
        click.ClickException: it is not such a file, or its run registered no version.
    """
    match = _OF_RUN.match(address)
    if match is None:
        raise click.BadParameter(
            f"is {address!r}; write s3://<bucket>/runs/<run>/<model>/<step>/<attempt>/…", param_hint="--file"
        )
    of_run = _wanted(versions, lambda version: version["run"] == match["run"], f"run {match['run']}")
    for version in of_run:
        if version["model"] == match["model"]:
            return version
    raise click.ClickException(f"run {match['run']} registered no version of {match['model']}")


def _versions(session: Session, family: str | None) -> list[dict[str, Any]]:
    """Versions of all models of a family, or of every family, oldest first."""
    table = models_table(session)
    return [version for named in every_model(session, family) for version in table.history(named.family, named.model)]


def _wanted(
    versions: list[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool], what: str
) -> list[dict[str, Any]]:
    """Those that are wanted.

    Raises:
        click.ClickException: there is none.
    """
    found = [version for version in versions if wanted(version)]
    if not found:
        raise click.ClickException(f"no version was made of {what}; `boxcar models list` shows those there are")
    return found


def _has(digits: str, option: str, read: Callable[[Origin], str]) -> Callable[[dict[str, Any]], bool]:
    if len(digits) < LEAST_DIGEST:
        raise click.BadParameter(f"is {digits!r}; write at least {LEAST_DIGEST} digits", param_hint=option)
    return lambda version: "origin" in version and read(Origin.model_validate(version["origin"])).startswith(digits)


def _data_of(origin: Origin) -> str:
    return origin.unloaded.digest if origin.unloaded else ""


def _code_of(origin: Origin) -> str:
    return origin.code.digest if origin.code else ""
