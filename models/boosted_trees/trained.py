"""A trained model as it lies in model.tar.gz: the one way to score rows, wherever that happens.

model.json     trees, XGBoost's own format
schema.json    columns and categories
training.json  how training went
upstream/<u>/  the same three of each model whose scores are features: frozen with the model that learned from them, so
               that serving sees what training saw, whichever version of u is approved by then
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import xgboost
from columns import Schema, matrix, score_column
from container import InputError


class Trained:
    """A model and the models it builds on, in memory."""

    def __init__(self, schema: Schema, booster: xgboost.Booster, upstream: dict[str, Trained]) -> None:
        self.schema = schema
        self.booster = booster
        self.upstream = upstream

    @classmethod
    def load(cls, folder: Path) -> Trained:
        """Read a model from its folder.

        Raises:
            InputError: a file is missing or half-written.
        """
        schema = Schema.load(folder)
        # One thread: the model server runs a worker per core, and a request is a few rows.
        booster = xgboost.Booster({"nthread": 1})
        try:
            booster.load_model(folder / "model.json")
        except xgboost.core.XGBoostError as error:
            raise InputError(f"{folder.name}/model.json cannot be read: {str(error).splitlines()[0]}") from None
        return cls(schema, booster, {model: cls.load(folder / "upstream" / model) for model in schema.upstream})

    def score(self, table: pa.Table) -> np.ndarray:
        """The probability of label 1 for each row of a canonical table, shape (rows,), 32-bit floats."""
        if table.num_rows == 0:
            return np.empty(0, dtype=np.float32)
        rows, places = distinct(matrix(add_scores(table, self.upstream), self.schema))
        return self.booster.inplace_predict(rows, validate_features=False)[places]


def add_scores(table: pa.Table, upstream: dict[str, Trained]) -> pa.Table:
    """A canonical table with one column more, <u>_score, for each upstream model u."""
    for model, trained in upstream.items():
        scores = pa.array(trained.score(table).astype(np.float64))
        table = table.append_column(score_column(model), scores)
    return table


def distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of a (rows, features) matrix of 32-bit floats, sorted, and for each row which of them it is.

    To a model many rows are alike (a third of the demo's catalogue), and trees are walked faster when neighbours take
    the same branches. So rows are sorted by the last column first: names come last, and have fewer values than numbers
    (a third less time than the other way round). Rows are compared bit by bit, so missing is like missing.
    """
    bits = values.view(np.int32)
    order = np.lexsort(bits.T)
    ordered = bits[order]
    is_first = np.ones(len(values), dtype=bool)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    places = np.empty(len(values), dtype=np.intp)
    places[order] = np.cumsum(is_first) - 1
    return ordered[is_first].view(np.float32), places


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack model.tar.gz.

    Raises:
        InputError: it is missing or half-written.
    """
    try:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):  # nothing lands outside the folder; images may be older than 3.10.12
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(folder)  # noqa: S202
    except FileNotFoundError:
        raise InputError(
            f"{archive.parent.name}/{archive.name} is missing: the step before did not write a model"
        ) from None
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise InputError(f"{archive.parent.name}/{archive.name} is not a complete archive: {error}") from None
    return folder
