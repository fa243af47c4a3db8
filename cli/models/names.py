"""How people name a model and a version of it: `packaging/mailer`, `packaging/mailer@1.0.1`."""

from dataclasses import dataclass
from typing import Any

import click

from boxcar.family_store import FamilyStore
from boxcar.registry.table import ModelsTable
from boxcar.versions import Version
from cli.session import Session


@dataclass(frozen=True)
class Named:
    """A model, and maybe one version of it."""

    family: str
    model: str
    version: Version | None = None

    def __str__(self) -> str:
        return f"{self.family}/{self.model}" + (f"@{self.version}" if self.version else "")


class Name(click.ParamType):
    """`FAMILY/MODEL`, and where `versions` says so `FAMILY/MODEL@VERSION`."""

    name = "model"

    def __init__(self, versions: bool) -> None:
        self._versions = versions

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Named:
        """Read a name."""
        if isinstance(value, Named):
            return value
        path, at, number = str(value).partition("@")
        family, slash, model = path.partition("/")
        example = "write FAMILY/MODEL" + ("@VERSION, such as packaging/box@1.0.1" if self._versions else "")
        if not (family and slash and model) or "/" in model or (at and not self._versions):
            self.fail(f"is {value!r}; {example}", param, ctx)
        try:
            return Named(family, model, Version.parse(number) if at else None)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


MODEL, VERSION = Name(versions=False), Name(versions=True)


def models_table(session: Session) -> ModelsTable:
    """The versions of the stack's models."""
    return ModelsTable(session.client("dynamodb"), session.outputs["ModelsTableName"])


def every_model(session: Session, family: str | None = None) -> list[Named]:
    """The models of a family, or of all that were applied.

    Raises:
        click.ClickException: there is no such family.
    """
    store = FamilyStore(session.client("dynamodb"), session.outputs["ModelsTableName"])
    found = []
    for name in [family] if family else store.names():
        stored = store.latest(name)
        if stored is None:
            raise click.ClickException(f"family {name!r} was never applied; `boxcar families list` shows what there is")
        found += [Named(name, model) for model in stored.family.models]
    return found


def find(session: Session, named: Named) -> dict[str, Any]:
    """A version as the models table has it; without a number the approved one, else the newest.

    Raises:
        click.ClickException: there is none.
    """
    table = models_table(session)
    version = named.version
    if version is None:
        pointer = table.approved(named.family, named.model) or table.latest(named.family, named.model)
        if pointer is None:
            known = ", ".join(map(str, every_model(session))) or "(none)"
            raise click.ClickException(f"{named} has no version; models are {known}")
        version = Version.parse(pointer["version"])
    item = table.version(named.family, named.model, version)
    if item is None:
        known = ", ".join(one["version"] for one in table.history(named.family, named.model)) or "(none)"
        raise click.ClickException(f"{named.family}/{named.model} has no version {version}; it has {known}")
    approved = table.approved(named.family, named.model) or {}
    return {**item, "in_production": item["version"] == approved.get("version")}
