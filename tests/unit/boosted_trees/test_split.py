"""Split: files of the right size for the transform, rejects with reasons, counts of everything; memory stays flat."""

import csv
import json
import math
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from .work import Done, Work


class Split:
    """The step, run as a processing job over the models that were trained."""

    def __init__(self, work: Work, trained: dict[str, Work]) -> None:
        self.work = work
        self.config = {
            "family": "packaging", "key": "product_id", "first_seen": "first_seen", "format": "csv", "target_mb": 32,
            "ranges": {}, "latest": "2026-11-28 00:00:00", "watermark": None,
            "models": {
                name: {"files": name, **{key: one.evaluation[key] for key in ("inputs", "features", "sample")}}
                for name, one in trained.items()
            },
        }  # fmt: skip

    def __call__(self, *tables: pa.Table, **config: object) -> Done:
        base = self.work.folder / "split"
        into = base / "processing" / "input"
        code = self.work._code(into / "code")
        for folder in ("data", "config"):
            (into / folder).mkdir()
        for number, table in enumerate(tables):
            pq.write_table(table, into / "data" / f"{number:04d}_part_00.parquet")
        (into / "data" / "manifest").write_text("{}")
        (into / "config" / "config.json").write_text(json.dumps({**self.config, **config}))
        return self.work.run(code / "split.py", [], {}, base / "output" / "message")

    def out(self, name: str) -> Path:
        return self.work.folder / "split" / "processing" / "output" / name

    @property
    def counts(self) -> dict:
        return json.loads((self.out("counts") / "counts.json").read_text())

    def lines(self, model: str) -> list[list[str]]:
        files = sorted((self.out("files") / model).iterdir())
        return [line for path in files for line in csv.reader(path.open(newline=""))]

    @property
    def rejects(self) -> list[dict]:
        return list(csv.DictReader((self.out("rejects") / "rejects.csv").open(newline="")))


@pytest.fixture
def split(work, trained) -> Split:
    return Split(work, trained)


@pytest.fixture
def rows(products) -> pa.Table:
    """As the inference query gives them: no labels, and when each was first seen."""
    labels = [name for name in ("mailer", "bag", "box", "own_container") if name in products.column_names]
    seen = [datetime(2017, 3, 1) + timedelta(minutes=number) for number in range(products.num_rows)]
    return products.drop_columns(labels).append_column("first_seen", pa.array(seen, pa.timestamp("us")))


def test_every_row_is_in_a_file_of_each_model_as_its_serving_code_reads_it(split, rows, trained):
    assert split(rows).code == 0
    counts = split.counts
    assert counts["rows"] == rows.num_rows and counts["rejected"] == 0 and split.rejects == []
    assert counts["first_seen"] == pc.max(rows["first_seen"]).as_py().isoformat(" ", "microseconds")
    for model in trained:
        lines = split.lines(model)
        assert [line[0] for line in lines] == [str(key) for key in rows["product_id"].to_pylist()]
        assert {len(line) for line in lines} == {1 + len(split.config["models"][model]["inputs"])}
        assert counts["models"][model]["rows"] == rows.num_rows


def test_training_and_serving_agree_to_the_last_digit(split, rows, trained):
    """The same product through split and serve has the score that the model was judged with."""
    assert split(rows).code == 0
    for model, work in trained.items():
        judged = {
            key: score for path in (work.folder / "predictions").iterdir() for key, score in csv.reader(path.open())
        }
        body = "".join(
            ",".join(line) + "\n" for line in split.lines(model) if line[0] in judged and "," not in "".join(line)
        )
        (split.work.folder / "body.csv").write_text(body)
        script = (
            "import sys, serve; m = serve.model_fn(sys.argv[1]); b = open(sys.argv[2]).read()\n"
            "print(serve.output_fn(serve.predict_fn(serve.input_fn(b, 'text/csv'), m), '')[0])"
        )
        done = work.run_text(script, work.unpacked, split.work.folder / "body.csv")
        served = dict(line.split(",") for line in done.output.split() if "," in line)
        assert len(served) > 100
        assert served == {key: judged[key] for key in served}


def test_files_are_cut_at_their_target(split, rows):
    many = pa.concat_tables([rows] * 12)
    assert split(many, target_mb=1).code == 0
    files = split.counts["models"]["box"]["files"]
    assert len(files) > 2
    assert all(2**20 <= one["bytes"] < 4 * 2**20 for one in files[:-1])
    assert sum(one["rows"] for one in files) == many.num_rows


def test_models_that_share_files_find_the_columns_of_each_in_them(split, rows, trained):
    models = {name: {**model, "files": "box"} for name, model in split.config["models"].items()}
    box = models["box"]["inputs"]
    models["box"]["inputs"] = {name: kind for name, kind in box.items() if name != "discount"}
    models["own_container"]["inputs"].pop("price")
    assert split(rows, format="parquet", models=models).code == 0
    assert [path.name for path in split.out("files").iterdir()] == ["box"]
    table = pq.read_table(split.out("files") / "box" / "part-00000.parquet")
    assert set(table.column_names) == {"key:", *box}
    assert table.num_rows == rows.num_rows
    counted = split.counts["models"]
    assert counted["box"]["files"] == counted["own_container"]["files"]
    assert [counted[name]["rows"] for name in trained] == [rows.num_rows] * len(trained)


def test_parquet_files_are_cut_by_their_rows_in_memory(split, rows):
    many = pa.concat_tables([rows] * 12)
    assert split(many, target_mb=1, format="parquet").code == 0
    files = split.counts["models"]["box"]["files"]
    assert len(files) > 2
    assert max(one["bytes"] for one in files) < 2**20  # what lies on disk is smaller
    for one in files[:-1]:
        table = pq.read_table(split.out("files") / "box" / one["name"])
        assert 2**20 <= table.nbytes < 4 * 2**20


def test_bad_rows_are_put_aside_with_their_reason(split, rows):
    some = rows.slice(0, 6)
    keys, price = some["product_id"].to_pylist(), [1.0, -2.0, math.inf, 4.0, math.nan, None]
    some = some.set_column(some.column_names.index("product_id"), "product_id", pa.array([*keys[:3], None, *keys[4:]]))
    some = some.set_column(some.column_names.index("price"), "price", pa.array(price))
    assert split(some, ranges={"price": [0, 100]}).code == 0
    assert split.counts["rejects"] == {
        "product_id is missing": 1, "price is infinite": 1, "price is not from 0 to 100": 1,
    }  # fmt: skip
    assert split.counts["rejected"] == 3 and split.counts["models"]["box"]["rows"] == 3
    assert {row["product_id"]: row["reason"] for row in split.rejects} == {
        "": "product_id is missing", str(keys[1]): "price is not from 0 to 100", str(keys[2]): "price is infinite",
    }  # fmt: skip


def test_a_row_of_the_future_is_put_aside_and_says_nothing_of_how_far_the_rows_come(split, rows):
    some = rows.slice(0, 4)
    seen = [datetime(2026, 11, 27), datetime(2026, 11, 28), datetime(2099, 1, 1), None]
    some = some.set_column(some.column_names.index("first_seen"), "first_seen", pa.array(seen, pa.timestamp("us")))
    assert split(some).code == 0
    assert split.counts["rejects"] == {"first_seen is in the future, at or after 2026-11-28 00:00:00": 2}
    assert split.counts["first_seen"] == "2026-11-27 00:00:00.000000"
    assert [line[0] for line in split.lines("box")] == [str(some["product_id"][place]) for place in (0, 3)]


def test_rejects_of_before_the_watermark_are_counted_apart(split, rows):
    some = rows.slice(0, 5)
    seen = [datetime(2017, 3, day) for day in (1, 2, 3, 4)] + [None]
    some = some.set_column(some.column_names.index("first_seen"), "first_seen", pa.array(seen, pa.timestamp("us")))
    some = some.set_column(
        some.column_names.index("price"), "price", pa.array([math.inf, 1.0, math.inf, math.inf, math.inf])
    )
    assert split(some, watermark="2017-03-03 00:00:00.000000").code == 0
    assert (split.counts["rejected"], split.counts["rejected_before"]) == (4, 2)


@pytest.mark.parametrize("column", ["price", "first_seen", "brand"])
def test_a_column_that_training_saw_and_the_query_lacks_is_named(split, rows, column):
    done = split(rows.drop_columns([column]))
    assert done.code == 1
    assert f"has no column {column!r}" in done.message and "inference.query" in done.message


def test_features_are_counted_in_the_bins_of_training(split, rows):
    assert split(rows).code == 0
    counted = split.counts["models"]["box"]["features"]
    for name, before in split.config["models"]["box"]["features"].items():
        assert len(counted[name]["counts"]) == len(before["counts"])
        assert sum(counted[name]["counts"]) + counted[name]["missing"] == rows.num_rows


def test_a_value_that_differs_from_training_is_reported(split, rows):
    assert split(rows).code == 0
    assert split.counts["models"]["box"]["skew"] == {"rows": 100, "differ": {}, "examples": {}, "changed": []}


def test_skew_names_column_key_and_both_values(split, rows):
    known = split.config["models"]["box"]["sample"][0]
    place = rows["product_id"].to_pylist().index(int(known["key"]))
    price = rows["price"].to_pylist()
    price[place] = 12345.0
    assert split(rows.set_column(rows.column_names.index("price"), "price", pa.array(price))).code == 0
    skew = split.counts["models"]["box"]["skew"]
    assert (skew["differ"], skew["changed"]) == ({"price": 1}, [known["key"]])
    assert skew["examples"]["price"] == {"key": known["key"], "training": known["values"]["price"], "serving": 12345.0}


def test_memory_does_not_grow_with_rows(split, rows, work):
    """Four times as many rows in the same process: its peak is the same within a few megabytes."""
    script = "import resource, runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')\n"
    peaks = []
    for copies in (4, 24):
        shutil.rmtree(work.folder / "split", ignore_errors=True)
        assert split(*[rows] * copies, target_mb=1).code == 0
        measure = script + "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        done = work.run_text(measure, work.folder / "split/processing/input/code/split.py")
        peaks.append(int(done.output.rpartition("peak ")[2]) / 1024)
    assert peaks[1] - peaks[0] < 40
