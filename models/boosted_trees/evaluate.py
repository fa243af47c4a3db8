"""Evaluate: weigh the predictions against the labels. A processing job.

Inputs: config, validation (Parquet), predictions (lines of key,score), schema, model (model.tar.gz).
Output: evaluation (evaluation.json), which Boxcar compares with the one of the version in production.
"""

from __future__ import annotations

import csv
import json
import math
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from columns import Schema
from container import Folders, InputError, run, write_json
from metrics import average_precision, confusion, log_loss, roc_auc
from rows import labels, read_parquet, unique_keys


def evaluate(folders: Folders) -> None:
    """Compute the figures of one candidate.

    Raises:
        InputError: predictions and validation rows do not belong together, or an input is missing or half-written.
    """
    config = folders.config()
    schema = Schema.load(folders.input("schema"))
    training = _training(folders.input("model") / "model.tar.gz")
    table = read_parquet(folders.input("validation"), [schema.key, schema.label])
    keys, truth = unique_keys(table, schema.key).to_pylist(), labels(table, schema.label)
    scores = _match(keys, _predictions(folders.input("predictions")))

    evaluation = {
        "schema": 1,
        "model": config["model"],
        "rows": {"train": schema.rows["train"], "validation": len(keys)},
        "scores": {
            "roc_auc": round(roc_auc(truth, scores), 6),
            "average_precision": round(average_precision(truth, scores), 6),
            "log_loss": round(log_loss(truth, scores), 6),
        },
        "threshold": training["threshold"],
        "confusion": confusion(truth, scores, training["threshold"]),
        "labels": {value: sum(part[value] for part in schema.labels.values()) for value in ("0", "1")},
        "importances": training["importances"],
    }
    write_json(folders.output("evaluation") / "evaluation.json", evaluation)
    print(f"{config['model']}: {evaluation['scores']}")


def _training(archive: Path) -> dict[str, Any]:
    """The summary that training left beside the trees."""
    try:
        with tarfile.open(archive) as tar:
            member = next(item for item in tar if item.isfile() and item.name.removeprefix("./") == "training.json")
            file = tar.extractfile(member)
            assert file  # it is one
            return json.load(file)
    except StopIteration:
        raise InputError(f"model/{archive.name} holds no training.json; train the model again") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise InputError(f"model/{archive.name} is missing or not complete: {error}") from None


def _predictions(folder: Path) -> dict[str, float]:
    """Scores by key.

    Raises:
        InputError: a line is not key,score with a score from 0 to 1, or a key comes twice.
    """
    predictions: dict[str, float] = {}
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        with path.open(newline="") as file:
            for number, line in enumerate(csv.reader(file), 1):
                if not line:  # batch transform ends each answer with a line break, whether it has one or not
                    continue
                where = f"predictions/{path.name}, line {number}"
                try:
                    key, score = line[0], float(line[1])
                except (IndexError, ValueError):
                    raise InputError(f"{where}: {','.join(line)!r} is not key,score") from None
                if len(line) != 2 or math.isnan(score) or not 0 <= score <= 1:
                    raise InputError(f"{where}: {','.join(line)!r} is not key,score with a score from 0 to 1")
                if key in predictions:
                    raise InputError(f"{where}: key {key!r} was predicted before")
                predictions[key] = score
    return predictions


def _match(keys: list[str], predictions: dict[str, float]) -> np.ndarray:
    """The scores in the order of the keys.

    Raises:
        InputError: keys without a prediction, or predictions without a row.
    """
    missing = [key for key in keys if key not in predictions]
    unknown = len(predictions) - (len(keys) - len(missing))
    if missing or unknown:
        example = f", such as {missing[0]}" if missing else ""
        raise InputError(
            f"{len(keys)} validation rows and {len(predictions)} predictions do not match: {len(missing)} rows have no "
            f"prediction{example}, {unknown} predictions have no row; run the predict step again on this validation set"
        )
    return np.array([predictions[key] for key in keys])


if __name__ == "__main__":
    folders = Folders(__file__)
    run(lambda: evaluate(folders), lambda: folders.message)
