"""Kinds of jobs, one file each, found by name: a new file is a new kind, and nothing else changes."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from boxcar.errors import StepError
from boxcar.jobs.kind import Kind


@cache
def names() -> list[str]:
    """Every kind there is."""
    return sorted(module.name for module in iter_modules(__path__))


@cache
def find(name: str) -> Kind:
    """The kind of that name.

    Raises:
        StepError: there is none.
    """
    if name not in names():
        raise StepError(f"kind: {name!r} is not a kind of job; write one of {', '.join(names())}")
    kind: Kind = import_module(f"boxcar.kinds.{name}").KIND
    return kind


@cache
def by_detail_type(detail_type: str) -> Kind | None:
    """The kind whose events these are."""
    return next((kind for name in names() if detail_type in (kind := find(name)).detail_types), None)
