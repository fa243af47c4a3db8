"""Train: grow the trees. A training job in script mode.

Channels: train (Parquet), schema. Hyperparameters: the parameters of architecture.yaml, all of them, as arguments.
Writes model.json, schema.json, training.json and upstream/ to SM_MODEL_DIR; see trained.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

import numpy as np
import xgboost
from columns import Schema, draw, matrix
from container import InputError, channel, failure_file, run, write_json
from rows import labels, read_parquet, unique_keys

STOPPING_RATIO = 0.1  # of the training rows say when to stop
MINIMUM_STOPPING_ROWS = 100  # fewer would stop at noise
# With fewer rows a further thread saves nothing, and where cores are shared its waits cost seconds.
ROWS_PER_THREAD = 50_000


def train(parameters: argparse.Namespace, model_folder: Path) -> None:
    """Train one model and write it.

    Raises:
        InputError: a channel or file is missing or half-written.
    """
    started = time.monotonic()
    schema_folder = channel("schema")
    schema = Schema.load(schema_folder)
    table = read_parquet(channel("train"), [schema.key, schema.label, *schema.features])
    keys, target = unique_keys(table, schema.key), labels(table, schema.label)
    values = matrix(table, schema)

    is_stopping = draw(keys, "stopping") < STOPPING_RATIO
    stops_early = (
        parameters.early_stopping_rounds > 0
        and is_stopping.sum() >= MINIMUM_STOPPING_ROWS
        and len(np.unique(target[is_stopping])) == 2
    )
    if not stops_early:
        is_stopping[:] = False
    if len(np.unique(target[~is_stopping])) < 2:
        raise InputError(f"channel 'train' holds only one class of {schema.label!r}; run the prepare step again")

    booster = xgboost.train(
        _settings(parameters, target[~is_stopping]),
        _data(values[~is_stopping], target[~is_stopping], schema),
        num_boost_round=parameters.rounds,
        evals=[(_data(values[is_stopping], target[is_stopping], schema), "stopping")] if stops_early else [],
        early_stopping_rounds=parameters.early_stopping_rounds if stops_early else None,
        verbose_eval=25,
    )
    summary = {
        "schema": 1,
        "parameters": vars(parameters),
        "threshold": parameters.threshold,
        "rows": {"train": int((~is_stopping).sum()), "stopping": int(is_stopping.sum())},
        "rounds": booster.num_boosted_rounds(),
        "importances": _importances(booster, schema),
    }
    if stops_early:
        summary["rounds"] = booster.best_iteration + 1
        summary["stopping_log_loss"] = booster.best_score
        booster = booster[: booster.best_iteration + 1]

    model_folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(model_folder / "model.json")
    schema.save(model_folder)
    write_json(model_folder / "training.json", summary)
    if schema.upstream:
        shutil.copytree(schema_folder / "upstream", model_folder / "upstream", dirs_exist_ok=True)
    print(f"{schema.label}: {summary['rounds']} trees from {len(target)} rows in {time.monotonic() - started:.2f} s")


def _settings(parameters: argparse.Namespace, target: np.ndarray) -> dict[str, object]:
    ones = target.sum()
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "learning_rate": parameters.learning_rate,
        "max_depth": parameters.max_depth,
        "min_child_weight": parameters.min_child_weight,
        "subsample": parameters.subsample,
        "colsample_bytree": parameters.colsample_bytree,
        "reg_lambda": parameters.reg_lambda,
        "max_cat_threshold": parameters.max_cat_threshold,
        "scale_pos_weight": (len(target) - ones) / ones if parameters.balanced else 1.0,
        "seed": parameters.seed,
        "nthread": max(1, min(os.cpu_count() or 1, len(target) // ROWS_PER_THREAD)),
    }


def _data(values: np.ndarray, target: np.ndarray, schema: Schema) -> xgboost.DMatrix:
    return xgboost.DMatrix(
        values, target, feature_names=schema.features, feature_types=schema.feature_types, enable_categorical=True
    )


def _importances(booster: xgboost.Booster, schema: Schema) -> dict[str, float]:
    """Each feature's share of the gain (fall of the loss over all its splits), largest first; they add up to 1."""
    gains = booster.get_score(importance_type="total_gain")
    total = sum(gains.values()) or 1.0
    shares = {feature: round(gains.get(feature, 0.0) / total, 6) for feature in schema.features}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _yes(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"is {text!r}; write true or false")
    return text.lower() == "true"


def read_parameters() -> argparse.Namespace:
    """The hyperparameters, which SageMaker passes as arguments. architecture.yaml holds their defaults and bounds."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("rounds", "early_stopping_rounds", "max_depth", "max_cat_threshold", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("learning_rate", "min_child_weight", "subsample", "colsample_bytree", "reg_lambda", "threshold"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--balanced", type=_yes, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    parameters = read_parameters()
    run(lambda: train(parameters, Path(os.environ["SM_MODEL_DIR"])), failure_file)
