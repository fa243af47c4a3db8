"""Semantic versions of models. They are computed from what changed, never typed."""

import re
from typing import Literal, NamedTuple

Change = Literal["first", "major", "minor", "patch"]

WRITTEN = r"^\d+\.\d+\.\d+$"  # the pattern of a field that holds one
_PATTERN = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_WIDTH = 6  # digits of each part in a sort key, so that text order is version order


class Version(NamedTuple):
    """MAJOR.MINOR.PATCH. Compares as numbers: 1.10.0 is newer than 1.9.0."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read `1.2.3`.

        Raises:
            ValueError: it is not three numbers.
        """
        match = _PATTERN.fullmatch(text)
        if not match:
            raise ValueError(f"version: is {text!r}; write three numbers, such as 1.0.2")
        return cls(*(int(part) for part in match.groups()))

    @property
    def sort_key(self) -> str:
        """The part of a table's sort key that puts versions in order: `000001.000010.000000`."""
        return ".".join(f"{part:0{_WIDTH}d}" for part in self)

    def after(self, change: Change) -> "Version":
        """The version that follows this one when `change` happened."""
        if change == "major":
            return Version(self.major + 1, 0, 0)
        if change == "minor":
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)


FIRST = Version(1, 0, 0)


class Lineage(NamedTuple):
    """What a version was made from, as far as its number is concerned."""

    version: Version
    interface_digest: str  # features, their types, label
    code_digest: str  # code of the architecture, steps, parameters


def change_since(latest: Lineage | None, interface_digest: str, code_digest: str) -> Change:
    """What makes a candidate different from the latest version: its interface, its code, or only its data."""
    if latest is None:
        return "first"
    if latest.interface_digest != interface_digest:
        return "major"
    return "minor" if latest.code_digest != code_digest else "patch"


def next_version(latest: Lineage | None, interface_digest: str, code_digest: str) -> Version:
    """The version of a candidate, counted from the latest registered one, whatever became of that."""
    if latest is None:
        return FIRST
    return latest.version.after(change_since(latest, interface_digest, code_digest))
