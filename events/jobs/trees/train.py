"""Train trees on rows that this script draws itself, and print how well they do on rows they have not seen.

A training job in script mode: hyperparameters are arguments, what is in SM_MODEL_DIR in the end becomes model.tar.gz.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import xgboost


def draw(rows: int, columns: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of normal columns and a yes/no label that depends on pairs of them, `noise` of the labels turned round."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    signal = values[:, 0] * values[:, 1] + np.sin(2 * values[:, 2]) + 0.5 * values[:, 3]
    labels = (signal > 0).astype(int)
    turned = random.random(rows) < noise
    return values, np.where(turned, 1 - labels, labels)


def main() -> None:
    """Draw, train, tell, save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_depth", type=int, default=4)
    parser.add_argument("--eta", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    given, _ = parser.parse_known_args()

    values, labels = draw(given.rows, 12, given.noise, given.seed)
    train, test = slice(None, given.rows * 4 // 5), slice(given.rows * 4 // 5, None)
    held_out = xgboost.DMatrix(values[test], labels[test])
    began = time.monotonic()
    booster = xgboost.train(
        {
            "objective": "binary:logistic",
            "eval_metric": ["logloss", "auc"],
            "max_depth": given.max_depth,
            "eta": given.eta,
            "seed": given.seed,
            "nthread": int(os.environ.get("SM_NUM_CPUS", "1")),
        },
        xgboost.DMatrix(values[train], labels[train]),
        num_boost_round=given.rounds,
        evals=[(held_out, "test")],
        verbose_eval=max(1, given.rounds // 5),
    )
    scores = dict(part.split(":") for part in booster.eval(held_out).split()[1:])
    metrics = {name.removeprefix("eval-"): float(score) for name, score in scores.items()}
    print(f"metrics {json.dumps(metrics)} in {time.monotonic() - began:.1f} s")

    folder = Path(os.environ.get("SM_MODEL_DIR", "model"))
    folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(folder / "model.json")
    (folder / "metrics.json").write_text(json.dumps({**vars(given), **metrics}))


if __name__ == "__main__":
    main()
