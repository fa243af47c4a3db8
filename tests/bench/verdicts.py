"""How often a verdict cries wolf on equal models, and how often it sees a true drop of 1, 2 and 5 points."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from boxcar.evaluations import Evaluation
from boxcar.plans import Gate
from boxcar.verdicts import judge
from cli import retailer
from cli.architectures import read_yaml
from local.environments import environment
from local.sagemaker.containers import IMAGES
from local.sagemaker.launcher import Interpreter
from tests.unit.boosted_trees.work import CODE, ROOT, Work

WEEK = 13
MODEL = "box"  # the hardest of the four
SIZES = (1000, 5300)  # validation rows; the second is what the demo has
SECONDS = 100  # of drawing pairs: the more, the finer the rates
DROPS = {"equal": 0.0, "1 point": 0.01, "2 points": 0.02, "5 points": 0.05}
PROCESSES = 2
GATES = {"any drop": Gate(max_score_drop=0), "limit 0.02": Gate(max_score_drop=0.02)}

# Runs where evaluate runs, with the code that evaluate uses. Half of the products, held out, are the population: on it
# the true difference of two models is known. The second model differs by its seed, and then by noise on its logits, as
# much of it as makes it truly worse by so many points. Samples of the population are what a week would have held out.
PAIRS = """
import csv, json, sys, time
import numpy as np
import pyarrow.parquet as pq
from metrics import roc_auc
from resampling import paired_drops

folder, others, label = sys.argv[1:4]
sizes, drops, seconds, seed = map(json.loads, sys.argv[4:])
table = pq.read_table(folder + "/prepare/processing/output/validation/validation.parquet")
keys, truth = [str(key) for key in table["product_id"].to_pylist()], table[label].to_numpy().astype(float)
def scores(path):
    with open(path + "/validation.csv.out") as file:
        known = {row[0]: float(row[1]) for row in csv.reader(file) if row}
    return np.array([known[key] for key in keys])
first, second = sorted((scores(folder + "/predictions"), scores(others)), key=lambda s: roc_auc(truth, s))
def logit(s):
    s = np.clip(s, 1e-6, 1 - 1e-6)
    return np.log(s / (1 - s))
def worse(by, draw):
    target, noise = roc_auc(truth, first) - by, draw.normal(size=len(truth))
    low, high = 0.0, 8.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if roc_auc(truth, logit(second) + middle * noise) > target else (low, middle)
    return 1 / (1 + np.exp(-(logit(second) + low * noise)))
draw = np.random.default_rng(seed)
candidates = {name: [worse(by, draw) for _ in range(5)] for name, by in drops.items()}
until, number = time.monotonic() + seconds, 0
while number < 10 or time.monotonic() < until:
    number += 1
    for name in drops:
        for rows in sizes:
            candidate = candidates[name][number % 5]
            here, elsewhere = draw.integers(0, len(truth), rows), draw.integers(0, len(truth), rows)
            drop = paired_drops(truth[here], candidate[here], first[here], seed=number, resamples=300)["roc_auc"]
            print(json.dumps({
                "kind": name, "rows": rows, "drop": drop.rounded(), "now": roc_auc(truth[here], candidate[here]),
                "before": roc_auc(truth[here], first[here]), "once": roc_auc(truth[elsewhere], first[elsewhere]),
            }))
"""


def main() -> dict[str, Any]:
    """Train two models on the demo's products, draw pairs of samples, judge each pair as Compare does."""
    image = IMAGES["sagemaker-xgboost:3.0-5"]
    python = Interpreter(environment(image.environment), image.preload, threads=1)
    try:
        with tempfile.TemporaryDirectory(prefix="boxcar-bench-") as folder:
            work = _trained(Path(folder), python)
            found = _pairs(Path(folder), work, python.python)
    finally:
        python.close()
    print(
        f"{'true difference':<18}{'rows':>6}{'pairs':>7}{'any drop':>10}{'limit 0.02':>12}{'scores of two weeks > 0.02':>28}"
    )
    rates: dict[tuple[str, int], dict[str, float]] = {}
    for kind in DROPS:
        for rows in SIZES:
            pairs = [pair for pair in found if (pair["kind"], pair["rows"]) == (kind, rows)]
            verdicts = {name: [_rejected(pair, gate) for pair in pairs] for name, gate in GATES.items()}
            verdicts["plain"] = [pair["once"] - pair["now"] > 0.02 for pair in pairs]
            rates[kind, rows] = {name: sum(said) / len(said) for name, said in verdicts.items()}
            any_drop, limit, plain = rates[kind, rows].values()
            print(f"{kind:<18}{rows:>6}{len(pairs):>7}{any_drop:>10.1%}{limit:>12.1%}{plain:>28.1%}")
    print("any drop: gate.max_score_drop 0, what the interval alone sees; limit 0.02: the default gate;")
    print("the last column compares scores as recorded, each on its own week's rows: the rule without an interval")
    demo = max(SIZES)
    return {
        "false_alarm_rate": round(rates["equal", demo]["any drop"], 4),
        "seen_1pt": round(rates["1 point", demo]["any drop"], 4),
        "seen_2pt": round(rates["2 points", demo]["any drop"], 4),
        "seen_5pt": round(rates["5 points", demo]["any drop"], 4),
        "false_alarm_rate_of_default_gate": round(rates["equal", demo]["limit 0.02"], 4),
        "false_alarm_rate_of_plain_threshold": round(rates["equal", demo]["plain"], 4),
        "rows": demo,
        "pairs": sum(pair["rows"] == demo for pair in found) // len(DROPS),
    }


def _rejected(pair: dict[str, Any], gate: Gate) -> bool:
    """What the verdict says of the score alone: everything else about the two is the same."""
    same = {"rows": {"train": 1, "validation": pair["rows"]}, "labels": {"0": 1, "1": 1}}
    comparison = {"scores": {"roc_auc": pair["before"]}, "drops": {"roc_auc": pair["drop"]}}
    candidate = {**same, "schema": 2, "scores": {"roc_auc": pair["now"]}, "comparison": comparison}
    approved = {**same, "scores": {"roc_auc": pair["once"]}}
    verdict = judge(Evaluation.model_validate(candidate), Evaluation.model_validate(approved), gate)
    return verdict.outcome == "reject"


def _trained(folder: Path, python: Interpreter) -> Work:
    """Two models of the demo's family on half of the products, by the architecture's own scripts."""
    features = read_yaml(ROOT / "families/packaging.yaml")["features"]
    work = Work(folder / "work", python, MODEL, MODEL, features, ratio=0.5)
    work.folder.mkdir()
    steps = [work.prepare(_unload(folder)), work.train(seed=2), work.predict()]
    (folder / "others").mkdir()
    (work.folder / "predictions/validation.csv.out").rename(folder / "others/validation.csv.out")
    steps += [work.train(seed=1), work.predict()]
    for step in steps:
        if step.code:
            raise RuntimeError(step.output)
    return work


def _unload(folder: Path) -> Path:
    """The family's query over the retailer's products as of the demo's week; DuckDB reads this much of Redshift's SQL."""
    import duckdb

    query = read_yaml(ROOT / "families/packaging.yaml")["source"]["query"]
    target = folder / "unload"
    target.mkdir()
    with duckdb.connect() as connection:
        for name, path, _ in retailer.new_rows(retailer.data_folder(), 0, WEEK, folder):
            names = ", ".join(f"'{column}'" for column, _ in retailer._columns(name))
            rows = f"'{path}'" if path.suffix == ".parquet" else f"read_csv('{path}', header=false, names=[{names}])"
            connection.execute(f"CREATE TABLE {name} AS FROM {rows}")
        pq.write_table(connection.execute(query).to_arrow_table(), target / "0000_part_00.parquet")
    return target


def _pairs(folder: Path, work: Work, python: Path) -> list[dict[str, Any]]:
    script = folder / "pairs.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(CODE)!r})\n{PAIRS}")
    arguments = [str(work.folder), str(folder / "others"), MODEL, json.dumps(SIZES), json.dumps(DROPS), str(SECONDS)]
    running = [
        subprocess.Popen(
            [str(python), "-B", str(script), *arguments, str(seed)],
            stdout=(folder / f"pairs-{seed}").open("w"),
            env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        for seed in range(PROCESSES)
    ]
    if any(process.wait() for process in running):
        raise RuntimeError("the pairs could not be drawn; see the traceback above")
    return [json.loads(line) for seed in range(PROCESSES) for line in (folder / f"pairs-{seed}").open()]
