"""A cell of the sweep: one backend on one instance in one shape. Its document is the same from plan to report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neuron.backends.protocol import Shape

NUMBERS = {"batch": 4096, "cores": 1024, "sequence": 512, "slots": 64}  # the largest of each
REQUIRED = ("cell", "backend", "batch", "sequence")


class CellError(ValueError):
    """A cell that says something that cannot be; the message names field and value."""


@dataclass(frozen=True)
class Cell:
    """What a document says of how to compile and run; the target is for the load test."""

    cell: str
    backend: str
    batch: int
    sequence: int
    instance: str = ""
    cores: int = 1
    backbone: str = "minilm"  # or base: BERT-base's size with random weights
    slots: int = 1  # how many texts a row may hold
    buckets: Sequence[int] = ()  # shorter lengths that are compiled too: a text goes to the shortest that holds it
    options: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def shape(self) -> Shape:
        """The shape to compile for."""
        return Shape(self.batch, self.sequence, self.slots)

    @property
    def fed(self) -> Shape:
        """The shape that a worker hands to its model: DataParallel gives each core a compiled batch of it."""
        copies = self.cores if self.options.get("data_parallel") else 1
        return Shape(self.batch * copies, self.sequence, self.slots)


def read_cell(document: Mapping[str, Any]) -> Cell:
    """Return the cell of a document.

    Raises:
        CellError: a field is missing, unknown, of another type or too large.
    """
    fields = Cell.__dataclass_fields__
    for name in REQUIRED:
        if name not in document:
            raise CellError(f"{name}: missing; a cell needs {', '.join(REQUIRED)}")
    for name, value in document.items():
        if name not in fields:
            raise CellError(f"{name}: a cell has no such field; it has {', '.join(fields)}")
        if name in NUMBERS and not (type(value) is int and 1 <= value <= NUMBERS[name]):
            raise CellError(f"{name}: {value!r} is not a whole number from 1 to {NUMBERS[name]}")
        if name in ("cell", "backend", "instance", "backbone") and not isinstance(value, str):
            raise CellError(f"{name}: {value!r} is not text")
        if name in ("options", "target") and not isinstance(value, Mapping):
            raise CellError(f"{name}: {value!r} is not an object")
        if name == "buckets" and not isinstance(value, list):
            raise CellError(f"{name}: {value!r} is not a list")
    for length in document.get("buckets", []):
        if not (type(length) is int and 1 <= length < document["sequence"]):
            raise CellError(f"buckets: {length!r} is not a whole number below the sequence, {document['sequence']}")
    return Cell(**document)
