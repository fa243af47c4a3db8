"""Job files as text: YAML or JSON, with the line of every field, and nothing in them that JSON cannot carry.

Plain values are read as the core schema of YAML 1.2 reads them, which is what JSON means too. YAML 1.1, which PyYAML
reads by itself, takes `1e-3` for a text and `no` for a boolean: a learning rate would arrive as a word.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in one file."""

    file: str
    line: int | None
    field: str
    message: str  # the value that was found, and what to write instead

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.message) if part)


@dataclass(frozen=True)
class Source:
    """One document of a file: its value, and the line (1 is the first) where each field stands."""

    file: str
    value: Any
    lines: dict[FieldPath, int]

    def line(self, path: FieldPath) -> int | None:
        """Where a field stands, or what it would be in, if it is not there."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)

    def fault(self, path: FieldPath, message: str, field: str | None = None) -> Fault:
        """Something wrong with one field."""
        return Fault(self.file, self.line(path), dotted(path) if field is None else field, message)


def dotted(path: FieldPath) -> str:
    """`("step", "inputs", 0)` as people write it: `step.inputs.0`."""
    return ".".join(map(str, path))


def split_field(field: str) -> tuple[int | None, str]:
    """`jobs[17].step.image`, as the API names a field of a batch, as `(17, "step.image")`."""
    match = re.fullmatch(r"jobs(?:\[|\.)(\d+)\]?\.?(.*)", field)
    return (int(match[1]), match[2]) if match else (None, field)


def read_documents(file: str, text: str) -> tuple[list[Source], list[Fault]]:
    """Every document of a file (YAML may hold several, after `---`), and what cannot be read."""
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        return [], [_unreadable(file, error)]
    sources: list[Source] = []
    faults: list[Fault] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            reading = _Reading(file, loader, {}, faults, set())
            value = reading.value(node, ())
            if value is not None:
                sources.append(Source(file, value, reading.lines))
    except yaml.YAMLError as error:
        if sources or "\t" not in text:
            return [], [*faults, _unreadable(file, error)]
        return _as_json(file, text, error)
    finally:
        loader.dispose()
    if not sources and not faults:
        faults.append(Fault(file, None, "", "is empty; write a job, as in events/jobs/train-trees.yaml"))
    return sources, faults


def plain_value(text: str) -> Any:
    """A value as it would be read from a file: `3`, `1e-3`, `true`, `[1, 2]`, `{a: 1}`, words.

    Raises:
        ValueError: it cannot be read.
    """
    sources, faults = read_documents("", text)
    if faults or len(sources) > 1:
        if text.strip() in ("", "null", "~"):
            return None if text.strip() else ""
        raise ValueError(str(faults[0]) if faults else "holds `---`")
    return sources[0].value


def _as_json(file: str, text: str, found: yaml.YAMLError) -> tuple[list[Source], list[Fault]]:
    """JSON indented by tabs, which YAML does not allow. The lines of its fields are not known."""
    try:
        return [Source(file, json.loads(text), {})], []
    except ValueError:
        return [], [_unreadable(file, found)]


def _unreadable(file: str, error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    words = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    return Fault(
        file,
        mark.line + 1 if mark else None,
        "",
        f"is neither YAML nor JSON: {f'{context}, ' if context else ''}{words}",
    )


class _Loader(yaml.SafeLoader):
    """Scalars of the core schema of YAML 1.2 (yaml.org/spec/1.2.2, chapter 10.3), and merge keys."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+([eE][-+]?[0-9]+)?|[0-9]+(\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+))"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass
class _Reading:
    """One document on its way from nodes to values."""

    file: str
    loader: _Loader
    lines: dict[FieldPath, int]
    faults: list[Fault]
    inside: set[int]  # nodes that are being read: an alias to one of them never ends

    def value(self, node: yaml.Node, path: FieldPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self.inside:
            self._fault(node, path, "refers to itself; write the values out")
            return None
        self.inside.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(child, (*path, number)) for number, child in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self.inside.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for name in sorted({name for name in own if isinstance(name, str) and own.count(name) > 1}):
            again = [key for key, _ in node.value if key.value == name][-1]
            self._fault(again, (*path, name), "is written twice; keep one")
        self.loader.flatten_mapping(node)
        found: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, path, "a name of a field must be a text")
                continue
            self.lines[*path, key.value] = key.start_mark.line + 1
            found[key.value] = self.value(child, (*path, key.value))
        return found

    def _scalar(self, node: yaml.Node, path: FieldPath) -> Any:
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._fault(node, path, f"{node.value!r} cannot be read: {getattr(error, 'problem', None) or error}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._fault(node, path, f"{node.value} is not a number that JSON knows; write a finite one")
            return None
        if not isinstance(value, str | int | float | bool | None):
            self._fault(node, path, f"{node.value!r} is a {type(value).__name__}; put it in quotes to have a text")
            return None
        return value

    def _fault(self, node: yaml.Node, path: FieldPath, message: str) -> None:
        self.faults.append(Fault(self.file, node.start_mark.line + 1, dotted(path), message))
