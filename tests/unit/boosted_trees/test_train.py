"""Train: repeatable, blind to the validation rows, and clear about what it did."""

import json
import shutil
from dataclasses import replace

import pytest


def model_bytes(work) -> bytes:
    return (work.folder / "train" / "model" / "model.json").read_bytes()


def summary(work) -> dict:
    return json.loads((work.folder / "train" / "model" / "training.json").read_text())


def test_same_data_gives_the_same_model_byte_for_byte(box):
    before = model_bytes(box)
    shutil.rmtree(box.out("prepare", "validation"))  # training needs none of it
    assert box.train(rounds=20).code == 0
    assert model_bytes(box) == before


def test_another_seed_gives_another_model(box):
    before = model_bytes(box)
    assert box.train(rounds=20, seed=2).code == 0
    assert model_bytes(box) != before


def test_early_stopping_keeps_the_best_trees_and_costs_no_validation_rows(box):
    done = box.train(rounds=400, learning_rate=0.5, early_stopping_rounds=3)
    assert done.code == 0, done.output
    assert summary(box)["rounds"] < 100
    trees = json.loads(model_bytes(box))["learner"]["gradient_booster"]["model"]["trees"]
    assert len(trees) == summary(box)["rounds"]
    assert sum(summary(box)["rows"].values()) == box.schema()["rows"]["train"]
    assert 0.05 < summary(box)["rows"]["stopping"] / box.schema()["rows"]["train"] < 0.15


def test_without_early_stopping_all_rows_grow_all_trees(box):
    assert box.train(rounds=7, early_stopping_rounds=0).code == 0
    assert summary(box)["rounds"] == 7
    assert summary(box)["rows"] == {"train": box.schema()["rows"]["train"], "stopping": 0}


def test_the_model_carries_its_schema_its_threshold_and_its_upstream(trained):
    folder = trained["own_container"].unpacked
    assert json.loads((folder / "schema.json").read_text()) == trained["own_container"].schema()
    assert json.loads((folder / "training.json").read_text())["threshold"] == 0.5
    assert (folder / "upstream" / "box" / "schema.json").exists()


def test_importances_are_shares_in_falling_order(trained):
    shares = summary(trained["own_container"])["importances"]
    assert set(shares) == {"price", "quantity", "box_score", "department", "brand"}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_balanced_weighs_the_rarer_class_up(trained, tmp_path):
    own = trained["own_container"]
    copy = replace(own, folder=tmp_path / "copy")
    shutil.copytree(own.folder, copy.folder)
    before = copy.evaluation["confusion"]["tp"]
    assert copy.train(rounds=20, balanced="True").code == 0
    assert copy.predict().code == 0
    assert copy.evaluate().code == 0
    assert copy.evaluation["confusion"]["tp"] > before


def test_a_half_written_channel_is_named_in_the_failure_file(box):
    file = box.out("prepare", "train") / "train.parquet"
    file.write_bytes(file.read_bytes()[:1000])
    done = box.train()
    assert done.code == 1
    assert done.message.startswith("InputError: train/train.parquet is not a complete Parquet file (1000 bytes")


def test_a_schema_of_another_version_is_refused(box):
    path = box.out("prepare", "schema") / "schema.json"
    path.write_text(json.dumps(box.schema() | {"schema": 2}))
    assert "schema.json is not a schema of version 1" in box.train().message


def test_unknown_hyperparameters_are_refused(box):
    done = box.train(depth=3)
    assert done.code == 2
    assert "--depth" in done.output
