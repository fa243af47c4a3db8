"""Evaluate: weigh the predictions against the labels, and against what the approved version says of the same rows.

A processing job. Inputs: config, validation and train (Parquet), data (the unload), predictions (lines of key,score),
model (model.tar.gz), and, when a version is approved, approved_model and approved_evaluation.
Output: evaluation (evaluation.json), from which Boxcar makes the verdict. All that needs more than counting is done
here, where there is NumPy and the rows lie.
"""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from approved import ROWS_TIMED, compare, latencies, unloaded
from calibration import calibration
from columns import slice_column
from container import Folders, InputError, read_json, run, write_json
from distributions import describe, describe_numbers, recount
from metrics import all_scores, confusion
from resampling import slice_gaps, slowdown
from rows import labels, read_parquet, unique_keys
from trained import Trained, unpack

FILE_NAME = "evaluation.json"
SAMPLE_ROWS = 100  # by which serving is held against training


def evaluate(folders: Folders) -> None:
    """Compute the figures of one candidate.

    Raises:
        InputError: predictions and validation rows do not belong together, or an input is missing or half-written.
    """
    config = folders.config()
    sliced = config.get("fairness") or {}
    with tempfile.TemporaryDirectory() as scratch:
        candidate, training = _unpacked(folders.input("model") / "model.tar.gz", Path(scratch) / "candidate")
        schema = candidate.schema
        columns = [schema.key, schema.label, *([slice_column(sliced["slice"])] if sliced else [])]
        table = read_parquet(folders.input("validation"), columns)
        keys, truth = unique_keys(table, schema.key), labels(table, schema.label)
        scores = _match(keys.to_pylist(), _predictions(folders.input("predictions")))
        train = read_parquet(folders.input("train"), schema.features)
        features = describe(train, schema)

        evaluation = {
            "schema": 2,
            "model": config["model"],
            "rows": {"train": schema.rows["train"], "validation": len(keys)},
            "scores": all_scores(truth, scores),
            "threshold": training["threshold"],
            "confusion": confusion(truth, scores, training["threshold"]),
            "labels": {value: sum(part[value] for part in schema.labels.values()) for value in ("0", "1")},
            "importances": training["importances"],
            "calibration": calibration(truth, scores),
            "features": features,
            "inputs": schema.inputs,
            "score_bins": describe_numbers(pa.chunked_array([pa.array(scores)])),
            "sample": _sample(candidate, folders.input("data"), keys, scores),
        }
        if sliced:
            called = (scores >= training["threshold"]).astype(float)
            evaluation["slices"] = _slices(table.column(columns[2]), sliced, truth, scores, called)
        data, models = folders.input("data"), {"candidate": candidate}
        comparison: dict[str, Any] = {}
        if archive := folders.optional("approved_model"):
            problems: list[str] = []
            approved = _tried(problems, lambda: _unpacked(archive / "model.tar.gz", Path(scratch) / "approved")[0])
            if approved:
                models["approved"] = approved
                found = _tried(problems, lambda: compare(approved, schema.label, data, keys, truth, scores))
                comparison |= found or {}
            if known := _tried(problems, lambda: _features_before(folders.optional("approved_evaluation"))):
                comparison["features"] = recount(train, schema, known)
            comparison["problem"] = "; ".join(problems)
        timed = _tried([], lambda: latencies(models, data, keys)) or latencies({"candidate": candidate}, data, keys)
        evaluation["latency"] = _fastest(timed["candidate"])
        if folders.optional("approved_model"):
            if "approved" in timed:
                comparison["latency"] = _fastest(timed["approved"])
                comparison["slowdown"] = slowdown(timed["candidate"], timed["approved"])
            evaluation["comparison"] = comparison
    write_json(folders.output("evaluation") / FILE_NAME, evaluation)
    print(f"{config['model']}: {evaluation['scores']}")


def _sample(candidate: Trained, data: Path, keys: pa.ChunkedArray, scores: np.ndarray) -> list[dict[str, Any]]:
    """The first validation rows as the model reads them, and their scores.

    They are the same ones every week, for their order is their hash's.
    """
    some = keys[:SAMPLE_ROWS]
    rows = unloaded(data, candidate.schema.key, candidate.schema.inputs, some).to_pylist()
    known = zip(some.to_pylist(), rows, scores[:SAMPLE_ROWS].tolist(), strict=True)
    return [{"key": key, "values": row, "score": score} for key, row, score in known]


def _fastest(seconds: np.ndarray) -> dict[str, Any]:
    """The round that nothing disturbed: how long the code takes, as far as this machine can tell."""
    return {"rows": ROWS_TIMED, "seconds": round(float(seconds.min()), 6)}


def _tried(problems: list[str], attempt: Callable[[], Any]) -> Any:
    """What an attempt gives, or None and one problem more.

    Another week's code made the approved version; whatever is wrong with it must not stop its successor. Boxcar is
    told that there is no comparison, and does not take that for a pass.
    """
    try:
        return attempt()
    except Exception as error:
        problems.append(str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}")
        return None


def _features_before(folder: Path | None) -> dict[str, Any]:
    """What the features looked like when the approved version was trained; nothing if nobody wrote it down."""
    features: dict[str, Any] = read_json(folder / FILE_NAME).get("features", {}) if folder else {}
    return features


def _unpacked(archive: Path, folder: Path) -> tuple[Trained, dict[str, Any]]:
    """A model, and the summary that training left beside the trees."""
    unpack(archive, folder)
    if not (folder / "training.json").is_file():
        raise InputError(f"model/{archive.name} holds no training.json; train the model again")
    return Trained.load(folder), json.loads((folder / "training.json").read_text())


def _slices(
    column: pa.ChunkedArray, wanted: dict[str, Any], truth: np.ndarray, scores: np.ndarray, called: np.ndarray
) -> dict[str, Any]:
    """The model's figures for each value of a column that enough validation rows have, and how far they are apart."""
    counts = {item["values"]: item["counts"] for item in pc.value_counts(column.drop_null()).to_pylist()}
    names = sorted(name for name, count in counts.items() if count >= wanted["min_rows"])
    places = pc.fill_null(pc.index_in(column, value_set=pa.array(names, pa.string())), -1).to_numpy()
    judged = places >= 0
    document: dict[str, Any] = {"column": wanted["slice"], "min_rows": wanted["min_rows"], "values": {}, "gaps": {}}
    document["rows_left_out"] = int((~judged).sum())
    if not names:
        return document
    figures, document["gaps"] = slice_gaps(truth[judged], scores[judged], called[judged], places[judged], names)
    for place, name in enumerate(names):
        known = {figure: float(values[place]) for figure, values in figures.items()}
        document["values"][name] = {
            "rows": counts[name],
            **{figure: round(value, 6) if math.isfinite(value) else None for figure, value in known.items()},
        }
    return document


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
