"""What each feature looked like in training, in so few figures that a document holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from columns import Schema

BINS = 10  # of a number: deciles of the training rows
VALUES = 20  # of a name: the most frequent; the others are counted together


def describe(table: pa.Table, schema: Schema) -> dict[str, dict[str, Any]]:
    """For each feature its bins and how many training rows fall into each.

    A number has `edges`, a name has `values`; `counts` has one entry more than they, the last of a name being all
    other values; `missing` counts nulls.
    """
    described = {}
    for name in schema.features:
        column = table.column(name)
        if name in schema.categories:
            counted = pc.value_counts(column.drop_null()).to_pylist()
            frequent = sorted(counted, key=lambda item: (-item["counts"], item["values"]))
            bins = {"values": [item["values"] for item in frequent[:VALUES]]}
            described[name] = bins | count(column, bins)
        else:
            described[name] = describe_numbers(column)
    return described


def describe_numbers(column: pa.ChunkedArray) -> dict[str, Any]:
    """The same of one column of numbers: its deciles, and how many are in each."""
    known = column.drop_null().to_numpy()
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
    bins = {"edges": edges.tolist()}
    return bins | count(column, bins)


def count(column: pa.ChunkedArray, bins: dict[str, Any]) -> dict[str, Any]:
    """How many rows of a column fall into the bins that a column was described with, maybe another week's."""
    known = column.drop_null()
    if "values" in bins:
        places = pc.fill_null(pc.index_in(known, value_set=pa.array(bins["values"], pa.string())), len(bins["values"]))
        number = len(bins["values"]) + 1
        counts = np.bincount(places.to_numpy(), minlength=number)
    else:
        number = len(bins["edges"]) + 1
        counts = np.bincount(np.searchsorted(bins["edges"], known.to_numpy(), side="right"), minlength=number)
    return {"counts": counts.tolist(), "missing": column.null_count}


def recount(table: pa.Table, schema: Schema, before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows in the bins of the approved version, for the features that both versions have, each of the same kind."""
    return {
        name: count(table.column(name), before[name])
        for name in schema.features
        if name in before and ("values" in before[name]) == (name in schema.categories)
    }
