"""Serve: score rows, one a line, in batch transform and on endpoints.

The functions are the contract of SageMaker's framework containers (AWS docs, "Use XGBoost", and the SageMaker
Inference Toolkit): model_fn once per worker, then input_fn, predict_fn and output_fn for each request.

A request is CSV without a header: the columns of schema.json's `inputs`, in that order, nothing between two commas
where a value is missing. The answer is one line a row: the score. With the key as one more column in front, the answer
is `key,score`. Batch transform sends many lines at once and cuts only between lines. Or it is one Parquet file with
these columns by name, and the key as `key:`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from columns import KEY, canonical
from trained import Trained

PARQUET = "application/x-parquet"


def model_fn(model_dir: str) -> Trained:
    """Load the model from where SageMaker unpacked model.tar.gz."""
    return Trained.load(Path(model_dir))


def input_fn(body: bytes | str, content_type: str) -> bytes | pa.Table:
    """Accept CSV and Parquet.

    Raises:
        ValueError: the content type is another, or it is no complete Parquet file.
    """
    kind = content_type.split(";")[0].strip().lower()
    if kind == PARQUET:
        try:
            return pq.read_table(pa.BufferReader(body))
        except pa.ArrowInvalid as error:
            raise ValueError(f"the body is not a complete Parquet file: {error}") from None
    if kind != "text/csv":
        raise ValueError(f"Content-Type is {content_type!r}; send text/csv, without a header, or {PARQUET}")
    return body.encode() if isinstance(body, str) else bytes(body)


def predict_fn(body: bytes | pa.Table, model: Trained) -> tuple[list[str] | None, np.ndarray]:
    """Score the rows: their keys, if they came with keys, and the probabilities of label 1, in the order of the rows.

    Raises:
        ValueError: a line has too few or too many columns, or text where a number belongs; a file lacks a column.
    """
    if isinstance(body, pa.Table):
        if missing := [name for name in model.schema.inputs if name not in body.column_names]:
            raise ValueError(f"the file has no column {', '.join(missing)}; send {', '.join(model.schema.inputs)}")
        given = body.column(KEY).to_pylist() if KEY in body.column_names else None
        return given, model.score(canonical(body, model.schema.inputs))
    if not body.strip():
        return None, np.empty(0, dtype=np.float32)
    inputs = model.schema.inputs
    first = body.lstrip(b"\r\n").split(b"\n", 1)[0].decode()
    found = len(next(csv.reader([first])))
    has_key = found == len(inputs) + 1
    if found != len(inputs) and not has_key:
        raise ValueError(
            f"line 1 has {found} columns; send {len(inputs)} ({', '.join(inputs)}), "
            f"or {len(inputs) + 1} with the key in front"
        )
    types = {name: pa.float64() if kind == "numeric" else pa.string() for name, kind in inputs.items()}
    types = {KEY: pa.string(), **types} if has_key else types
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(body),
            read_options=pyarrow.csv.ReadOptions(column_names=list(types), block_size=max(len(body), 1)),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{error}; the columns are {', '.join(types).replace(KEY, 'key')}") from None
    keys = table.column(KEY).to_pylist() if has_key else None
    return keys, model.score(canonical(table, inputs))


def output_fn(prediction: tuple[list[str] | None, np.ndarray], accept: str) -> tuple[str, str]:
    """Write one line a row. Nine digits give every 32-bit float back exactly. It is CSV, whatever was asked for."""
    keys, scores = prediction
    if keys is None:
        lines = [f"{score:.9g}\n" for score in scores.tolist()]
    else:
        lines = [f"{_quoted(name)},{score:.9g}\n" for name, score in zip(keys, scores.tolist(), strict=True)]
    return "".join(lines), "text/csv"


def _quoted(name: str | None) -> str:
    text = name or ""
    return '"' + text.replace('"', '""') + '"' if any(letter in text for letter in ',"') else text
