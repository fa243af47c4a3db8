"""Columns: which ones a model reads, and how they become numbers, the same way in training and in serving.

A table goes through two doors. `canonical` makes each column what it is meant to be, whatever the warehouse or the
caller wrote it as: numeric columns are 64-bit floats, categorical ones trimmed text, and what is missing is null.
`matrix` turns canonical columns into what XGBoost reads: 32-bit floats, with a category as its place in the schema.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from container import InputError, read_json, write_json

KEY = "key:"  # the column of keys in files for serving: a name that no column of the warehouse has
OTHER = 0  # the code of a category that training saw too rarely, or never


@dataclass(frozen=True)
class Schema:
    """The columns of a model, learned when its rows were prepared. Travels with the model.

    It does not say whose it is: models of one label and the same features share the rows that were prepared.
    """

    key: str
    label: str
    numeric: list[str]
    categorical: list[str]
    upstream: list[str]  # models whose scores are features, each a numeric column <model>_score
    categories: dict[str, list[str]]  # per categorical column, by falling frequency in training; code = place + 1
    inputs: dict[str, str]  # what a caller sends, in this order: column -> numeric or categorical; upstream's come last
    rows: dict[str, int] = field(default_factory=dict)  # train, validation, dropped_without_label
    labels: dict[str, dict[str, int]] = field(default_factory=dict)  # train, validation -> "0", "1" -> rows
    schema: int = 1

    @property
    def scores(self) -> list[str]:
        """The columns that hold upstream models' scores."""
        return [score_column(model) for model in self.upstream]

    @property
    def features(self) -> list[str]:
        """All columns of the matrix, in order."""
        return [*self.numeric, *self.scores, *self.categorical]

    @property
    def feature_types(self) -> list[str]:
        """XGBoost's letters for `features`: q is a quantity, c a category."""
        return ["q"] * (len(self.numeric) + len(self.upstream)) + ["c"] * len(self.categorical)

    def save(self, folder: Path) -> None:
        """Write schema.json."""
        write_json(folder / "schema.json", asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Schema:
        """Read schema.json.

        Raises:
            InputError: it is missing, half-written, or of another version.
        """
        document = read_json(folder / "schema.json")
        for name in ("family", "model"):  # until 2026-11 a schema said whose it is, so that no two models shared one
            document.pop(name, None)
        if document.get("schema") != 1 or document.keys() != {f.name for f in fields(cls)}:
            raise InputError(
                f"{folder.name}/schema.json is not a schema of version 1; train the model again with this architecture"
            )
        return cls(**document)


def score_column(model: str) -> str:
    """The name of the column that holds a model's scores."""
    return f"{model}_score"


def slice_column(name: str) -> str:
    """Where the validation rows hold the column they are sliced by: a name that no column of the warehouse has."""
    return f"slice:{name}"


def numbers(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Make a column 64-bit floats. NaN is missing.

    Raises:
        InputError: it holds text that is no number, dates, or infinities.
    """
    try:
        column = column.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"column {name!r} is listed under features.numeric, but is {column.type} and does not read as numbers "
            f"({str(error).splitlines()[0]}); list it under features.categorical, or cast it in source.query"
        ) from None
    if infinite := pc.sum(pc.is_inf(column)).as_py():
        raise InputError(
            f"column {name!r} holds {infinite} infinite values; guard its division with NULLIF in source.query"
        )
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)


def texts(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Make a column trimmed text on one line. Empty text is missing.

    Raises:
        InputError: it holds fractions or nested values, which are no names.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            column = column.cast(pa.float64(), safe=False).cast(pa.int64())  # 69.0 is the name 69
        column = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"column {name!r} is used as a name, but is {column.type} and does not read as whole numbers or text "
            f"({str(error).splitlines()[0]}); list it under features.numeric, or cast it in source.query"
        ) from None
    # Names repeat: clean each once. Serving reads its input line by line, so no name may span two.
    encoded = pa.concat_arrays([pa.array([], pa.string()), *column.chunks]).dictionary_encode()
    names = pc.utf8_trim_whitespace(pc.replace_substring_regex(encoded.dictionary, r"\s*[\r\n]+\s*", " "))
    names = pc.if_else(pc.equal(names, ""), pa.scalar(None, pa.string()), names)
    return pa.chunked_array([pc.take(names, encoded.indices)])


def canonical(table: pa.Table, types: dict[str, str]) -> pa.Table:
    """The named columns of a table, each what it is meant to be (numeric or categorical); others are left out.

    Raises:
        InputError: a column cannot be read as what it is listed as.
    """
    doors = {"numeric": numbers, "categorical": texts}
    return pa.table({name: doors[kind](table.column(name), name) for name, kind in types.items()})


def matrix(table: pa.Table, schema: Schema) -> np.ndarray:
    """The features of a canonical table as (rows, features) 32-bit floats; NaN is missing, 0 a rare category."""
    values = np.empty((table.num_rows, len(schema.features)), dtype=np.float32)
    for place, name in enumerate(schema.features):
        column = table.column(name)
        if name in schema.categories:
            codes = pc.index_in(column, value_set=pa.array(schema.categories[name], pa.string()))
            known = pc.fill_null(pc.add(codes.cast(pa.float32()), 1.0), float(OTHER))
            column = pc.if_else(pc.is_null(column), pa.scalar(None, pa.float32()), known)
        values[:, place] = column.to_numpy()
    return values


def draw(keys: pa.ChunkedArray, purpose: str) -> np.ndarray:
    """For each key an even draw from [0, 1), fixed by the key and the purpose alone: the same in every week and run."""
    salt = purpose.encode()  # of 16 bytes at most; draws for two purposes know nothing of each other
    digests = b"".join(blake2b(key.encode(), digest_size=8, person=salt).digest() for key in keys.to_pylist())
    return np.frombuffer(digests, dtype=">u8").astype(np.float64) / 2.0**64
