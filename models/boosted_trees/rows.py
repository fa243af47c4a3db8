"""Rows: read Parquet, whole or not at all, and say in which file something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from columns import numbers, texts
from container import InputError


def read_parquet(folder: Path, columns: list[str]) -> pa.Table:
    """Read the named columns of all Parquet files in a folder, in order of their names.

    Raises:
        InputError: there is no file, one is half-written, or one lacks a column.
    """
    tables = [_read_file(path, folder, columns) for path in parquet_files(folder)]
    return pa.concat_tables(tables, promote_options="permissive")


def parquet_files(folder: Path) -> list[Path]:
    """All Parquet files in a folder, in order of their names.

    Raises:
        InputError: there is none.
    """
    files = sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith((".", "_")))
    if not files:
        found = ", ".join(sorted(path.name for path in folder.rglob("*") if path.is_file())[:5]) or "nothing"
        raise InputError(
            f"input {folder.name!r} holds no Parquet file (found: {found}); the step before wrote no rows. "
            f"Check that source.query returns rows"
        )
    return files


def _read_file(path: Path, folder: Path, columns: list[str]) -> pa.Table:
    name = f"{folder.name}/{path.relative_to(folder)}"
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            if missing := [column for column in columns if column not in there]:
                raise InputError(
                    f"{name} has no column {', '.join(map(repr, missing))}; select it in source.query, or take it "
                    f"out of the features. The file has: {', '.join(there)}"
                )
            return file.read(columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{name} is not a complete Parquet file ({path.stat().st_size} bytes: {reason})") from None


def unique_keys(table: pa.Table, key: str) -> pa.ChunkedArray:
    """The keys as text.

    Raises:
        InputError: a key is missing, or two rows share one.
    """
    keys = texts(table.column(key), key)
    if keys.null_count:
        raise InputError(f"key column {key!r} is null in {keys.null_count} rows; filter them out in source.query")
    counts = pc.value_counts(keys)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        extra = pc.sum(repeated.field("counts")).as_py() - len(repeated)
        example = repeated[0].as_py()
        raise InputError(
            f"key column {key!r} is not unique: {extra} of {len(keys)} rows repeat a key, such as "
            f"{example['values']} ({example['counts']} rows); join or group in source.query so that each key comes once"
        )
    return keys


def labels(table: pa.Table, label: str) -> np.ndarray:
    """The labels as 64-bit floats, 0, 1 or NaN where missing.

    Raises:
        InputError: there are other values.
    """
    values = numbers(table.column(label), label)
    for value in pc.unique(values).drop_null().to_pylist():
        if value not in (0.0, 1.0):
            raise InputError(
                f"label column {label!r} holds {value:g}; a label is 0, 1 or null. Write it as "
                f"CASE WHEN … THEN 1 ELSE 0 END in source.query"
            )
    return values.to_numpy()


def count_labels(values: np.ndarray) -> dict[str, int]:
    """How often each class comes."""
    ones = int(values.sum())
    return {"0": len(values) - ones, "1": ones}
