"""`boxcar families`: check a family file, store it as the family's next version, look at what is stored."""

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path

import click

from boxcar.families import AppliedArchitecture, Family, FamilyVersion, waves
from boxcar.family_checks import check_family
from boxcar.family_store import FamilyStore
from cli.architectures import read_architectures, read_yaml, upload_architecture
from cli.session import Session

MODELS = Path("models")


@click.group()
def families() -> None:
    """Families of models: check, apply, show."""


@families.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--models-folder", type=click.Path(path_type=Path), default=MODELS, show_default=True)
def check(file: Path, models_folder: Path) -> None:
    """Check a family file without storing it."""
    family = _checked(file, models_folder)
    order = " → ".join(", ".join(wave) for wave in waves(family, list(family.models)))
    click.echo(f"{file}: family {family.family} is valid; models train in this order: {order}")


@families.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--models-folder", type=click.Path(path_type=Path), default=MODELS, show_default=True)
@click.pass_obj
def apply(session: Session, file: Path, models_folder: Path) -> None:
    """Check a family file, upload the code it names, and store both as the family's next version."""
    version = apply_family(session, file, models_folder)
    click.echo(f"{file}: family {version.family.family} is now at version {version.number}")


@families.command("list")
@click.pass_obj
def list_families(session: Session) -> None:
    """List the families that were applied."""
    store = _store(session)
    for name in store.names():
        version = store.latest(name)
        if version:
            models = ", ".join(version.family.models)
            click.echo(f"{name}  version {version.number}  {version.applied_at}  {version.file}  models: {models}")


@families.command()
@click.argument("family")
@click.pass_obj
def show(session: Session, family: str) -> None:
    """Print the stored family as JSON."""
    version = _store(session).latest(family)
    if version is None:
        raise click.ClickException(f"family {family!r} was never applied; `boxcar families list` shows what there is")
    click.echo(json.dumps(version.model_dump(mode="json"), indent=2))


def apply_family(session: Session, file: Path, models_folder: Path = MODELS) -> FamilyVersion:
    """Store a family file as the next version of its family; the latest one is returned when nothing changed.

    Raises:
        FamilyError: the file is not valid.
    """
    family = _checked(file, models_folder)
    specs = read_architectures(models_folder)
    used = sorted({name for model in family.models if (name := family.architecture_of(model))})
    s3, bucket = session.client("s3"), session.outputs["BucketName"]
    architectures = {
        name: AppliedArchitecture(
            spec=specs[name], code=upload_architecture(models_folder / name, s3, bucket, family.family)
        )
        for name in used
    }
    store = _store(session)
    latest = store.latest(family.family)
    if latest and (latest.family, latest.architectures) == (family, architectures):
        return latest
    version = FamilyVersion(
        number=latest.number + 1 if latest else 1,
        file=str(file),
        family=family,
        architectures=architectures,
        applied_by=getpass.getuser(),
        applied_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.append(version)
    return version


def _checked(file: Path, models_folder: Path) -> Family:
    return check_family(read_yaml(file), str(file), read_architectures(models_folder))


def _store(session: Session) -> FamilyStore:
    return FamilyStore(session.client("dynamodb"), session.outputs["ModelsTableName"])
