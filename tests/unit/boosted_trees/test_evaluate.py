"""Evaluate: figures that others agree with, and no figure at all where predictions and rows do not match."""

import pytest

# scikit-learn lies in the image, so it can be asked; the scripts themselves do without it.
AGREE = """
import numpy as np
from sklearn import metrics as reference
import metrics
draw = np.random.default_rng(3)
for rows in (10, 500, 5000):
    for decimals in (1, 2, 9):  # one decimal makes many ties
        labels = (draw.random(rows) < 0.3).astype(float)
        labels[:2] = 0, 1
        scores = np.round(np.clip(draw.normal(0.4 + 0.2 * labels, 0.2), 0, 1), decimals)
        assert np.isclose(metrics.roc_auc(labels, scores), reference.roc_auc_score(labels, scores))
        assert np.isclose(metrics.average_precision(labels, scores), reference.average_precision_score(labels, scores))
        inside = np.clip(scores, 0.01, 0.99)
        assert np.isclose(metrics.log_loss(labels, inside), reference.log_loss(labels, inside))
        (tn, fp), (fn, tp) = reference.confusion_matrix(labels, scores >= 0.5)
        assert metrics.confusion(labels, scores, 0.5) == {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
assert metrics.log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])) < 20
"""


def predictions(work):
    return work.folder / "predictions" / "validation.csv.out"


def figures(work) -> dict:
    """All of an evaluation that is the same each time: not how long it took."""
    return {name: value for name, value in work.evaluation.items() if name != "latency"}


def refused(done) -> str:
    assert done.code == 1
    assert done.message.startswith("InputError: ")
    assert "Traceback" not in done.output
    return done.message


def test_figures_agree_with_scikit_learn(work):
    done = work.run_text(AGREE)
    assert done.code == 0, done.output


@pytest.mark.parametrize("model", ["box", "own_container"])
def test_the_document_is_whole_and_its_numbers_add_up(trained, model):
    work = trained[model]
    document, schema = work.evaluation, work.schema()
    assert list(document) == [
        "schema", "model", "rows", "scores", "threshold", "confusion", "labels", "importances",
        "calibration", "features", "inputs", "score_bins", "sample", "latency",
    ]  # fmt: skip
    assert document["model"] == model
    assert document["rows"] == {name: schema["rows"][name] for name in ("train", "validation")}
    assert sum(document["confusion"].values()) == document["rows"]["validation"]
    assert sum(document["labels"].values()) == sum(document["rows"].values())
    assert document["scores"]["roc_auc"] > 0.75
    assert 0 < document["scores"]["log_loss"] < 0.7
    for feature in document["features"].values():
        assert sum(feature["counts"]) + feature["missing"] == document["rows"]["train"]
    assert document["inputs"] == schema["inputs"]
    assert sum(document["score_bins"]["counts"]) == document["rows"]["validation"]
    assert len(document["sample"]) == 100 and all(
        row["values"].keys() == schema["inputs"].keys() for row in document["sample"]
    )
    judged = dict(line.split(",") for line in (work.folder / "predictions/validation.csv.out").read_text().splitlines())
    assert all(row["score"] == float(judged[row["key"]]) for row in document["sample"])
    bins = document["calibration"]["bins"]
    assert sum(one["rows"] for one in bins) == document["rows"]["validation"]
    assert 0 < document["latency"]["seconds"] < 5 and document["latency"]["rows"] == 1000


def test_the_threshold_moves_the_confusion_and_nothing_else(box):
    before = figures(box)
    assert box.train(rounds=20, threshold=0.9).code == 0
    assert box.predict().code == 0
    assert box.evaluate().code == 0
    assert box.evaluation["scores"] == before["scores"]
    assert box.evaluation["threshold"] == 0.9
    assert box.evaluation["confusion"]["tp"] < before["confusion"]["tp"]


def test_a_line_break_too_many_between_two_answers(box):
    """Batch transform ends each answer with one, whether the answer has its own or not."""
    lines, before = predictions(box).read_text().splitlines(keepends=True), figures(box)
    predictions(box).write_text("".join(lines[:10]) + "\n" + "".join(lines[10:]) + "\n")
    assert box.evaluate().code == 0
    assert figures(box) == before


def test_missing_predictions_are_counted(box):
    lines = predictions(box).read_text().splitlines()
    predictions(box).write_text("\n".join(lines[3:]) + "\n")
    message = refused(box.evaluate())
    assert (
        f"{len(lines)} validation rows and {len(lines) - 3} predictions do not match: 3 rows have no prediction"
        in message
    )


def test_predictions_of_other_products_are_counted(box):
    with predictions(box).open("a") as file:
        file.write("-1,0.5\n-2,0.5\n")
    assert "0 rows have no prediction, 2 predictions have no row" in refused(box.evaluate())


def test_no_predictions_at_all(box):
    predictions(box).unlink()
    assert "and 0 predictions do not match" in refused(box.evaluate())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("7", "'7' is not key,score"),
        ("7,high", "'7,high' is not key,score"),
        ("7,0.5,0.6", "with a score from 0 to 1"),
        ("7,nan", "with a score from 0 to 1"),
        ("7,1.5", "with a score from 0 to 1"),
    ],
)
def test_a_line_that_is_no_prediction_is_named(box, line, said):
    lines = predictions(box).read_text().splitlines()
    predictions(box).write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    message = refused(box.evaluate())
    assert "predictions/validation.csv.out, line 2: " in message
    assert said in message


def test_a_product_predicted_twice(box):
    text = predictions(box).read_text()
    predictions(box).write_text(text + text.splitlines()[0] + "\n")
    assert "was predicted before" in refused(box.evaluate())


def test_predictions_may_lie_in_several_files(box):
    lines = predictions(box).read_text().splitlines(keepends=True)
    predictions(box).write_text("".join(lines[:10]))
    predictions(box).with_name("more.csv.out").write_text("".join(lines[10:]))
    before = figures(box)
    assert box.evaluate().code == 0
    assert figures(box) == before


def test_half_written_model_archive(box):
    box.archive.write_bytes(box.archive.read_bytes()[:200])
    assert "model/model.tar.gz is not a complete archive" in refused(box.evaluate())
