"""Serve: score rows, one a line, in batch transform and on endpoints.

The functions are the contract of SageMaker's framework containers (AWS docs, "Use XGBoost", and the SageMaker
Inference Toolkit): model_fn once per worker, then input_fn, predict_fn and output_fn for each request.

A request is CSV without a header: the columns of schema.json's `inputs`, in that order, nothing between two commas
where a value is missing. The answer is one line a row: the score. With the key as one more column in front, the answer
is `key,score`. Batch transform sends many lines at once and cuts only between lines. Or it is one Parquet file with
these columns by name, and the key as `key:`; other columns in it are not read.
"""

from __future__ import annotations

import csv
import io
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


def input_fn(body: bytes | str, content_type: str) -> bytes | pq.ParquetFile:
    """Accept CSV and Parquet.

    Raises:
        ValueError: the content type is another, or it is no complete Parquet file.
    """
    kind = content_type.split(";")[0].strip().lower()
    if kind == PARQUET:
        try:
            return pq.ParquetFile(pa.BufferReader(body))
        except pa.ArrowInvalid as error:
            raise ValueError(f"the body is not a complete Parquet file: {error}") from None
    if kind != "text/csv":
        raise ValueError(f"Content-Type is {content_type!r}; send text/csv, without a header, or {PARQUET}")
    return body.encode() if isinstance(body, str) else bytes(body)


def predict_fn(body: bytes | pq.ParquetFile, model: Trained) -> tuple[pa.ChunkedArray | None, np.ndarray]:
    """Score the rows: their keys, if they came with keys, and the probabilities of label 1, in the order of the rows.

    Raises:
        ValueError: a line has too few or too many columns, or text where a number belongs; a file lacks a column.
    """
    if not isinstance(body, pq.ParquetFile):
        rows = _rows(body, model.schema.inputs)
    else:
        there = body.schema_arrow.names
        if missing := [name for name in model.schema.inputs if name not in there]:
            raise ValueError(f"the file has no column {', '.join(missing)}; send {', '.join(model.schema.inputs)}")
        rows = body.read(columns=[name for name in (KEY, *model.schema.inputs) if name in there])
    keys = rows.column(KEY) if KEY in rows.column_names else None
    return keys, model.score(canonical(rows, model.schema.inputs))


def _rows(body: bytes, inputs: dict[str, str]) -> pa.Table:
    """The lines of a CSV body as columns, which are named by their places."""
    types = {name: pa.float64() if kind == "numeric" else pa.string() for name, kind in inputs.items()}
    if not body.strip():
        return pa.schema(types).empty_table()
    first = body.lstrip(b"\r\n").split(b"\n", 1)[0].decode()
    found = len(next(csv.reader([first])))
    has_key = found == len(inputs) + 1
    if found != len(inputs) and not has_key:
        raise ValueError(
            f"line 1 has {found} columns; send {len(inputs)} ({', '.join(inputs)}), "
            f"or {len(inputs) + 1} with the key in front"
        )
    types = {KEY: pa.string(), **types} if has_key else types
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(body),
            read_options=pyarrow.csv.ReadOptions(column_names=list(types), block_size=max(len(body), 1)),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{error}; the columns are {', '.join(types).replace(KEY, 'key')}") from None


def output_fn(prediction: tuple[pa.ChunkedArray | None, np.ndarray], accept: str) -> tuple[str, str]:
    """Write one line a row, as CSV whatever was asked for. The digits of a score give its 32 bits back exactly."""
    keys, scores = prediction
    columns = {"score": pa.array(scores, pa.float32())}
    table = pa.table(columns if keys is None else {KEY: keys, **columns})
    try:
        text = _lines(table, "none")
    except pa.ArrowInvalid:  # a key holds a comma or a quote
        text = _lines(table, "needed")
    return text, "text/csv"


def _lines(table: pa.Table, quoting: str) -> str:
    sink = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style=quoting)
    pyarrow.csv.write_csv(table, sink, options)
    return sink.getvalue().decode()
