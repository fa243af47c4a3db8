"""Sweeps: one job file that stands for many jobs, a grid of values or a list of settings.

sweep:
  name: depth-and-rate
  grid:                                # every combination; the last path changes fastest
    step.config.max_depth: [3, 6, 9]
    step.config.eta: [0.1, 0.3]

sweep:
  name: three-candidates
  list:                                # one job each
    - {step.config.max_depth: 3, step.config.rounds: 400}
    - {step.config.max_depth: 9, step.config.rounds: 100}
"""

import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cli.jobs.documents import Fault, FieldPath, Source

MOST = 10_000  # jobs of one sweep
MOST_TAGS = 20  # of one job, as the API takes them
_EXAMPLE = "write grid: {step.config.max_depth: [3, 6]}, or list: [{step.config.max_depth: 3}]"


@dataclass(frozen=True)
class Member:
    """One job that a file asks for, before it is checked."""

    document: dict[str, Any]  # the fields of a request; `code` may name a folder
    origins: dict[FieldPath, FieldPath] = field(
        default_factory=dict
    )  # a field that the sweep set -> where its value stands


def members(source: Source, faults: list[Fault]) -> Iterator[Member]:
    """The jobs of a document: one, or those of its sweep. What is wrong with the sweep is added to `faults`."""
    document = dict(source.value)
    if "sweep" not in document or isinstance(document["sweep"], str):
        yield Member(document)  # a text is the name of a sweep that other files belong to as well
        return
    sweep = document.pop("sweep")
    before = len(faults)
    settings = list(_settings(source, sweep, faults))
    if len(faults) > before:
        yield Member(document)  # nothing will be submitted, but the rest of the file is looked at too
        return
    name = sweep.get("name", document.get("job", ""))
    for number, setting in enumerate(settings, 1):
        # Fields on the way to a value that is set are copied; the rest is shared by all members and never changed.
        member = {**document, "sweep": name}
        if isinstance(document.get("job"), str):
            member["job"] = f"{document['job']}-{number}"
        for path, (value, origin) in setting.items():
            try:
                set_path(member, path, value)
            except ValueError as error:
                faults.append(source.fault(origin, str(error)))
        if len(faults) > before:
            return
        member["tags"] = tags_of(setting, document.get("tags"))
        yield Member(member, {split(path): origin for path, (_, origin) in setting.items()})


def set_path(document: dict[str, Any], path: str, value: Any) -> None:
    """Set a field, such as `step.config.max_depth`; mappings on the way are made, and copied before they change.

    Raises:
        ValueError: a field on the way is not a mapping or list, or the list is not so long.
    """
    place: Any = document
    parts = split(path)
    for depth, part in enumerate(parts):
        if isinstance(place, list):
            if not isinstance(part, int) or not 0 <= part < len(place):
                most = len(place) - 1
                raise ValueError(f"{path}: {part!r} is not a place in a list; write 0 to {most}")
        elif not isinstance(place, dict):
            raise ValueError(f"{path}: {'.'.join(map(str, parts[:depth]))} is {place!r}, which has no fields")
        else:
            part = str(part)
        key: Any = part
        if depth == len(parts) - 1:
            place[key] = value
        else:
            inner = place[key] if isinstance(place, list) else place.get(key)
            place[key] = {} if inner is None else copy.copy(inner)
            place = place[key]


def split(path: str) -> FieldPath:
    """`step.resources.instance_types.0` as its parts; digits alone are places in lists."""
    return tuple(int(part) if part.isdigit() else part for part in path.split("."))


def tags_of(setting: dict[str, tuple[Any, FieldPath]], given: Any) -> Any:
    """The values of a member as tags, so that lists and statistics can be asked for them; own tags come first."""
    if given is not None and not isinstance(given, dict):
        return given  # the check of the request says what is wrong with it
    names = [path.rpartition(".")[2] for path in setting]
    values = {
        name if names.count(name) == 1 else path: value if isinstance(value, str) else json.dumps(value)
        for name, (path, (value, _)) in zip(names, setting.items(), strict=True)
    }
    own = given or {}
    room = max(0, MOST_TAGS - len(own))
    return {**{name: value[:100] for name, value in list(values.items())[:room]}, **own}


def _settings(source: Source, sweep: Any, faults: list[Fault]) -> Iterator[dict[str, tuple[Any, FieldPath]]]:
    """The value of each path, and where it stands in the file, for each member."""
    where: FieldPath = ("sweep",)
    if not isinstance(sweep, dict):
        faults.append(source.fault(where, f"{sweep!r} is not a sweep; {_EXAMPLE}"))
        return
    for name in sorted(set(sweep) - {"name", "grid", "list"}):
        faults.append(source.fault((*where, name), "is not a field of a sweep; write name, and grid or list"))
    if not isinstance(sweep.get("name", ""), str):
        faults.append(source.fault((*where, "name"), f"{sweep['name']!r} is not a text; put it in quotes"))
    if ("grid" in sweep) == ("list" in sweep):
        how = "has both grid and list; keep one" if "grid" in sweep else f"has no values; {_EXAMPLE}"
        faults.append(source.fault(where, how))
    elif "grid" in sweep:
        yield from _grid(source, sweep["grid"], faults)
    else:
        yield from _list(source, sweep["list"], faults)


def _grid(source: Source, grid: Any, faults: list[Fault]) -> Iterator[dict[str, tuple[Any, FieldPath]]]:
    where: FieldPath = ("sweep", "grid")
    if not isinstance(grid, dict) or not grid:
        faults.append(source.fault(where, f"{grid!r} is not a mapping of paths to lists; {_EXAMPLE}"))
        return
    before, jobs = len(faults), 1
    for path, values in grid.items():
        _check_path(source, path, (*where, path), faults)
        if not isinstance(values, list) or not values:
            faults.append(source.fault((*where, path), f"{values!r} is not a list of values; write [{values!r}, …]"))
            continue
        jobs *= len(values)
    if jobs > MOST:
        faults.append(_too_many(source, where, jobs))
    if len(faults) > before:
        return
    sides = [[(path, (value, (*where, path, n))) for n, value in enumerate(values)] for path, values in grid.items()]
    yield from (dict(combination) for combination in itertools.product(*sides))


def _list(source: Source, settings: Any, faults: list[Fault]) -> Iterator[dict[str, tuple[Any, FieldPath]]]:
    where: FieldPath = ("sweep", "list")
    if not isinstance(settings, list) or not settings:
        faults.append(source.fault(where, f"{settings!r} is not a list of settings; {_EXAMPLE}"))
        return
    if len(settings) > MOST:
        faults.append(_too_many(source, where, len(settings)))
        return
    for number, setting in enumerate(settings):
        if not isinstance(setting, dict) or not setting:
            message = f"{setting!r} is not a mapping of paths to values; write {{step.config.max_depth: 3}}"
            faults.append(source.fault((*where, number), message))
            continue
        for path in setting:
            _check_path(source, path, (*where, number, path), faults)
        yield {path: (value, (*where, number, path)) for path, value in setting.items()}


def _too_many(source: Source, where: FieldPath, jobs: int) -> Fault:
    return source.fault(where, f"makes {jobs:,} jobs; {MOST:,} is the most that one sweep may have")


def _check_path(source: Source, path: str, place: FieldPath, faults: list[Fault]) -> None:
    first = path.partition(".")[0]
    if first not in ("step", "tags", "family") or path in ("step", "tags"):
        message = f"{path!r} cannot be swept; write a path below step, such as step.config.max_depth"
        faults.append(source.fault(place, message))
