"""The approved version on the rows of the candidate: the one comparison in which only the models differ."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import serve
from columns import canonical
from container import InputError
from metrics import all_scores
from resampling import paired_drops
from rows import read_parquet, unique_keys
from trained import Trained

ROWS_TIMED = 1000
_ROUNDS = 21


def unloaded(folder: Path, key: str, inputs: dict[str, str], wanted: pa.ChunkedArray) -> pa.Table:
    """What a caller would send for the wanted keys, in their order: the inputs of a model, canonical.

    Raises:
        InputError: the unload lacks a column that the model reads, or a key.
    """
    table = read_parquet(folder, list(dict.fromkeys([key, *inputs])))
    places = pc.index_in(wanted, value_set=unique_keys(table, key).combine_chunks())
    if places.null_count:
        raise InputError(f"{places.null_count} validation rows are not in the unload; run the prepare step again")
    return canonical(table.take(places), inputs)


def compare(
    approved: Trained, label: str, data: Path, keys: pa.ChunkedArray, truth: np.ndarray, scores: np.ndarray
) -> dict[str, Any]:
    """Score the validation rows with the approved version too, and say how much worse the candidate is.

    Args:
        approved: the version in production.
        label: the column that the candidate predicts.
        data: folder of the unload, which has all columns that either of them reads.
        keys: of the validation rows.
        truth: their labels, shape (rows,).
        scores: of the candidate, shape (rows,).

    Raises:
        InputError: the approved version predicts another label, or reads columns that are no longer unloaded.
    """
    if approved.schema.label != label:
        raise InputError(f"the approved version predicts {approved.schema.label!r}, this one {label!r}")
    before = approved.score(unloaded(data, approved.schema.key, approved.schema.inputs, keys)).astype(float)
    drops = paired_drops(truth, scores, before)
    return {
        "rows": len(truth),
        "scores": all_scores(truth, before),
        "drops": {metric: drop.rounded() for metric, drop in drops.items()},
    }


def latencies(models: dict[str, Trained], data: Path, keys: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Seconds in which the serving code answers 1,000 rows, for each model and round, shape (rounds,).

    The models take turns, so that a round of one and the same round of the other saw the same machine: what else it
    does slows both, and comes and goes from round to round.
    """
    some = keys.take(pa.array(np.resize(np.arange(len(keys)), ROWS_TIMED)))
    bodies = {name: _csv(unloaded(data, model.schema.key, model.schema.inputs, some)) for name, model in models.items()}
    seconds = {name: np.empty(_ROUNDS) for name in models}
    for place in range(-1, _ROUNDS):  # the first round warms up and does not count: the next writes over it
        for name, model in models.items():
            began = time.perf_counter()
            serve.output_fn(serve.predict_fn(serve.input_fn(bodies[name], "text/csv"), model), "text/csv")
            seconds[name][max(place, 0)] = time.perf_counter() - began
    return seconds


def _csv(table: pa.Table) -> bytes:
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, options)
    return sink.getvalue().to_pybytes()
