"""Evaluate beside an approved version: both on the same rows, what chance does, and what cannot be compared."""

import json
import shutil

import pyarrow.compute as pc
import pytest

from .work import Work

# The weighted metrics against the plain ones on rows that are really repeated, and the interval against a second way.
RESAMPLED = """
import numpy as np
import metrics
from resampling import Weighted, paired_drops, slice_gaps, slowdown
draw = np.random.default_rng(5)
labels = (draw.random(400) < 0.3).astype(float)
scores = np.round(np.clip(draw.normal(0.4 + 0.2 * labels, 0.2), 0, 1), 2)
weights = draw.integers(0, 4, (20, 400))
found = Weighted(labels, scores).figures(weights.astype(float))
for place, times in enumerate(weights):
    rows = np.repeat(np.arange(400), times)
    for name, value in found.items():
        assert np.isclose(value[place], getattr(metrics, name)(labels[rows], scores[rows])), name

worse = np.clip(scores + draw.normal(0, 0.2, 400), 0, 1)
drops = paired_drops(labels, worse, scores)
for name, drop in drops.items():
    assert drop.low < drop.drop < drop.high, name
    assert np.isclose(abs(drop.drop), abs(getattr(metrics, name)(labels, worse) - getattr(metrics, name)(labels, scores)))
assert drops["roc_auc"].low > 0 and drops["log_loss"].low > 0, "worse is above 0 whichever way a metric runs"
by_hand = []
for _ in range(1000):
    rows = draw.integers(0, 400, 400)
    by_hand.append(metrics.roc_auc(labels[rows], scores[rows]) - metrics.roc_auc(labels[rows], worse[rows]))
low, high = np.quantile(by_hand, [0.025, 0.975])
assert abs(low - drops["roc_auc"].low) < 0.01 and abs(high - drops["roc_auc"].high) < 0.01
same = paired_drops(labels, scores, scores)["roc_auc"]
assert same.drop == same.low == same.high == 0, "two equal models differ by nothing in every resample"
assert paired_drops(labels, worse, scores) == drops, "the same rows give the same interval"

one_class = paired_drops(np.r_[1.0, np.zeros(30)], draw.random(31), draw.random(31))
assert np.isfinite(one_class["roc_auc"].low), "resamples without the only 1 are left out"

places = draw.integers(0, 4, 400)
called = (scores >= 0.5).astype(float)
values, gaps = slice_gaps(labels, scores, called, places, list("abcd"))
assert np.isclose(values["roc_auc"][2], metrics.roc_auc(labels[places == 2], scores[places == 2]))
assert np.isclose(values["positive_rate"][1], called[places == 1].mean())
assert gaps["positive_rate"]["gap"] < 2 * gaps["positive_rate"]["noise"]
unfair = np.where(places == 3, draw.random(400), scores)
_, gaps = slice_gaps(labels, unfair, called, places, list("abcd"))
assert gaps["roc_auc"]["lowest"] == "d" and gaps["roc_auc"]["gap"] > gaps["roc_auc"]["noise"] > 0

def by_chance_or_not(rates, sizes, seed):
    draw, places = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    rows = len(places)
    labels = (draw.random(rows) < 0.3).astype(float)
    called = (draw.random(rows) < np.array(rates)[places]).astype(float)
    names = [f"{size} rows" for size in sizes]
    return slice_gaps(labels, draw.random(rows), called, places, names, seed)[1]

hidden = by_chance_or_not([0.299, 0.256, 0.27], [10_000, 10_001, 100], 1)["positive_rate"]
assert (hidden["highest"], hidden["lowest"]) == ("10000 rows", "10001 rows"), hidden
assert hidden["gap"] > 0.02 and hidden["gap"] > hidden["noise"], "a small slice hides no gap between large ones"
small = by_chance_or_not([0.3, 0.3, 0.9], [1000, 1001, 100], 1)["positive_rate"]
assert small["highest"] == "100 rows" and small["gap"] > small["noise"], "nor does a large one that of a small one"
cried = [by_chance_or_not([0.3] * 3, [300, 250, 50], seed) for seed in range(100)]
for figure in ("positive_rate", "roc_auc"):
    wolves = sum(gaps[figure]["gap"] > gaps[figure]["noise"] for gaps in cried)
    assert 0 < wolves <= 12, f"{figure}: equal slices cry wolf in {wolves} of 100, 5 are expected"

crowded = []  # a busy machine: in two rounds of three something else takes the processor from one, the other or both
for _ in range(200):
    rounds = 0.004 * (1 + draw.exponential(0.05, (2, 21)) + draw.exponential(8, (2, 21)) * (draw.random((2, 21)) < 0.67))
    crowded.append(slowdown(rounds[0], rounds[1]))
    twice = slowdown(2 * rounds[0], rounds[1])
    assert np.isclose(twice["times"], 2 * crowded[-1]["times"], rtol=1e-5)
assert sum(found["low"] > 3 for found in crowded) <= 2, "equal models"
assert slowdown(np.full(21, 0.02), np.full(21, 0.004)) == {"times": 5, "low": 5, "high": 5}
"""

CALIBRATED = """
import numpy as np
from calibration import calibration
draw = np.random.default_rng(7)
honest = draw.random(5000)
labels = (draw.random(5000) < honest).astype(float)
good = calibration(labels, honest)
assert good["error"] <= 1.5 * good["noise"], good
boastful = np.clip(honest * 1.5, 0, 1)
bad = calibration(labels, boastful)
assert bad["error"] > 0.1 > bad["noise"], bad
by_hand = np.mean([abs(part[0].mean() - part[1].mean()) for part in zip(
    np.array_split(np.sort(honest), 10), np.array_split(labels[np.argsort(honest)], 10))])
assert abs(good["error"] - by_hand) < 1e-6
assert calibration(labels, np.full(5000, 0.5))["bins"] == [{"rows": 5000, "score": 0.5, "ones": round(labels.mean(), 6)}]
"""


@pytest.mark.parametrize("script", [RESAMPLED, CALIBRATED], ids=["resampled", "calibrated"])
def test_the_statistics_agree_with_the_long_way(work, script):
    done = work.run_text(script)
    assert done.code == 0, done.output


def evaluated(box: Work) -> dict:
    done = box.evaluate()
    assert done.code == 0, done.output
    return box.evaluation


def test_the_same_model_again_differs_by_nothing(box, trained):
    box.approved = trained["box"]
    document = evaluated(box)
    found = document["comparison"]
    assert found["problem"] == "" and found["rows"] == document["rows"]["validation"]
    assert found["scores"] == document["scores"]
    assert set(found["drops"]) == {"roc_auc", "average_precision", "log_loss"}
    for drop in found["drops"].values():
        assert drop == {"drop": 0, "low": 0, "high": 0}
    for name, counted in found["features"].items():
        described = document["features"][name]
        assert counted == {"counts": described["counts"], "missing": described["missing"]}


def test_a_worse_model_is_worse_on_the_same_rows_and_faster(box, trained):
    assert box.train(rounds=1, max_depth=1).code == 0
    assert box.predict().code == 0
    box.approved = trained["box"]
    document = evaluated(box)
    found = document["comparison"]
    assert found["scores"] == trained["box"].evaluation["scores"]
    assert found["drops"]["roc_auc"]["low"] > 0 and found["drops"]["log_loss"]["low"] > 0
    assert found["latency"]["seconds"] > 0
    assert found["slowdown"]["low"] <= found["slowdown"]["times"] <= found["slowdown"]["high"]


def test_a_model_with_other_features_is_compared_on_what_both_were_unloaded_with(trained, tmp_path, python):
    """own_container reads few columns and a score; box as its predecessor reads others, all in the unload."""
    new = Work(tmp_path / "new", python, "box", "box", {"numeric": ["price"], "categorical": ["department"]})
    new.folder.mkdir()
    new.all(trained["box"].data, rounds=5)
    new.approved = trained["box"]
    found = evaluated(new)["comparison"]
    assert found["problem"] == "" and found["drops"]["roc_auc"]["drop"] > 0
    assert set(found["features"]) == {"price", "department"}


def test_features_that_moved_are_counted_in_the_old_bins(box, trained, unload, products):
    dear = products.set_column(products.column_names.index("price"), "price", pc.multiply(products["price"], 3.0))
    box.all(unload(dear), rounds=20)
    box.approved = trained["box"]
    document = evaluated(box)
    before, now = trained["box"].evaluation["features"]["price"], document["comparison"]["features"]["price"]
    assert now["counts"][-1] > 2 * before["counts"][-1]
    assert sum(now["counts"]) + now["missing"] == document["rows"]["train"]


def test_a_version_that_predicts_something_else_is_no_comparison_and_says_so(trained, tmp_path):
    own = trained["own_container"]
    copy = Work(tmp_path / "own", own.python, own.model, own.label, own.features, own.upstream, data=own.data)
    shutil.copytree(own.folder, copy.folder)
    copy.approved = trained["box"]
    found = evaluated(copy)["comparison"]
    assert found["problem"] == "the approved version predicts 'box', this one 'own_container'"
    assert "drops" not in found


def test_a_damaged_approved_version_does_not_stop_its_successor(box, trained, tmp_path):
    old = Work(tmp_path / "old", box.python)
    shutil.copytree(trained["box"].folder, old.folder)
    old.archive.write_bytes(old.archive.read_bytes()[:200])
    box.approved = old
    document = evaluated(box)
    assert "is not a complete archive" in document["comparison"]["problem"]
    assert not document["comparison"].keys() & {"drops", "latency", "slowdown"}
    assert document["latency"]["seconds"] > 0
    assert document["comparison"]["features"], "what its features were is written elsewhere"


def test_an_approved_version_from_before_distributions_leaves_drift_unknown(box, trained, tmp_path):
    old = Work(tmp_path / "old", box.python)
    shutil.copytree(trained["box"].folder, old.folder)
    path = old.out("evaluate", "evaluation") / "evaluation.json"
    path.write_text(json.dumps({"schema": 1, "scores": {"roc_auc": 0.9}}))
    box.approved = old
    found = evaluated(box)["comparison"]
    assert "features" not in found and found["drops"]


def test_slices_are_judged_where_enough_rows_have_them(box):
    box.fairness = {"slice": "department", "min_rows": 40}
    assert box.prepare(box.data).code == 0
    slices = evaluated(box)["slices"]
    assert slices["column"] == "department" and len(slices["values"]) >= 2
    for value in slices["values"].values():
        assert value["rows"] >= 40 and 0 <= value["positive_rate"] <= 1
    for gap in slices["gaps"].values():
        assert gap["low"] <= gap["gap"] <= gap["high"] and gap["noise"] > 0
    in_all = sum(value["rows"] for value in slices["values"].values()) + slices["rows_left_out"]
    assert in_all == box.evaluation["rows"]["validation"]


def test_a_slice_may_be_a_column_that_no_model_sees(trained, tmp_path, python):
    new = Work(tmp_path / "new", python, "box", "box", {"numeric": ["price"], "categorical": ["brand"]})
    new.folder.mkdir()
    new.fairness = {"slice": "department", "min_rows": 40}
    new.all(trained["box"].data, rounds=5)
    assert new.evaluation["slices"]["values"]
    assert "department" not in new.evaluation["features"]


def test_a_slice_of_which_no_value_has_enough_rows_has_no_gap(box):
    box.fairness = {"slice": "product_type", "min_rows": 100_000}
    assert box.prepare(box.data).code == 0
    slices = evaluated(box)["slices"]
    assert slices["gaps"] == {} and slices["rows_left_out"] == box.evaluation["rows"]["validation"]
