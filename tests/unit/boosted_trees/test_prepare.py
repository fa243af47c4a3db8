"""Prepare: what it lets through, how it splits, and what it says when the rows are not usable."""

import json
import random

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest


def keys(work, part: str) -> set[int]:
    return set(pq.read_table(work.out("prepare", part))["product_id"].to_pylist())


def refused(done) -> str:
    """The message of a job that stopped because of its input."""
    assert done.code == 1
    assert done.message.startswith("InputError: ")
    assert done.message in done.output
    return done.message


def with_column(table: pa.Table, name: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def test_every_product_is_in_exactly_one_part_and_the_ratio_holds(trained, products):
    box = trained["box"]
    train, validation = keys(box, "train"), keys(box, "validation")
    assert not train & validation
    assert {str(key) for key in train | validation} == {str(key) for key in products["product_id"].to_pylist()}
    assert 0.17 < len(validation) / products.num_rows < 0.23
    assert box.schema()["rows"] == {"train": len(train), "validation": len(validation), "dropped_without_label": 0}


def test_a_validation_product_stays_one_when_more_products_come(work, unload, products):
    assert work.prepare(unload(products[:2500])).code == 0
    before = keys(work, "validation"), keys(work, "train")
    assert work.prepare(unload(products)).code == 0
    assert before[0] < keys(work, "validation")
    assert before[1] < keys(work, "train")


def test_models_of_a_family_hold_out_the_same_products(trained):
    assert keys(trained["box"], "validation") == keys(trained["own_container"], "validation")


def test_the_order_and_the_files_of_the_rows_change_nothing(work, unload, products):
    few = products[:1500]
    work.prepare(unload(few))
    outputs = {
        "train": "train.parquet",
        "validation": "validation.parquet",
        "serving": "validation.csv",
        "schema": "schema.json",
    }
    before = {name: (work.out("prepare", name) / file).read_bytes() for name, file in outputs.items()}
    order = random.Random(7).sample(range(1500), 1500)
    mixed = few.take(order)
    work.prepare(unload(mixed[:100], mixed[100:900], mixed[900:]))
    assert before == {name: (work.out("prepare", name) / file).read_bytes() for name, file in outputs.items()}


def test_rows_without_a_label_are_dropped_and_counted(work, unload, products):
    table = products[:1500]
    labels = [None if i < 300 else value for i, value in enumerate(table["mailer"].to_pylist())]
    done = work.prepare(unload(with_column(table, "mailer", pa.array(labels, pa.int16()))))
    assert done.code == 0, done.output
    assert work.schema()["rows"]["dropped_without_label"] == 300
    assert sum(sum(part.values()) for part in work.schema()["labels"].values()) == 1200


@pytest.mark.parametrize("column", ["department", "manufacturer_id", "product_category", "product_type"])
def test_categories_are_ordered_by_how_often_training_rows_have_them(trained, column):
    rows = pq.read_table(trained["box"].out("prepare", "train"))
    counts = {item["values"]: item["counts"] for item in pc.value_counts(rows[column].drop_null()).to_pylist()}
    frequent = sorted((-count, name) for name, count in counts.items() if count >= 10)
    assert trained["box"].schema()["categories"][column] == [name for _, name in frequent]
    assert len(frequent) < len(counts)


def test_whole_numbers_and_decimals_and_spaces_are_read_as_what_they_are_listed_as(work, unload, products):
    table = products[:1500]
    table = with_column(table, "manufacturer_id", pc.cast(table["manufacturer_id"], pa.float64()))
    table = with_column(table, "price", pc.cast(pc.round(table["price"], 2), pa.decimal128(12, 2), safe=False))
    table = with_column(table, "department", pc.binary_join_element_wise(" ", table["department"], "\n", ""))
    assert work.prepare(unload(table)).code == 0
    rows = pq.read_table(work.out("prepare", "train"))
    assert rows.schema.field("price").type == pa.float64()
    assert rows["manufacturer_id"][0].as_py().isdigit()
    assert set(rows["department"].to_pylist()) <= set(products["department"].to_pylist())


def test_upstream_scores_become_a_feature_and_the_model_travels_along(trained):
    own = trained["own_container"]
    rows = pq.read_table(own.out("prepare", "train"))
    assert pc.min_max(rows["box_score"]).as_py()["max"] <= 1
    assert len(pc.unique(rows["box_score"])) > 100
    assert (own.out("prepare", "schema") / "upstream" / "box" / "model.json").exists()
    # a caller sends what box needs too, not box's score
    assert "manufacturer_id" in own.schema()["inputs"]
    assert "box_score" not in own.schema()["inputs"]


def test_missing_column_is_named_with_its_file(work, unload, products):
    message = refused(work.prepare(unload(products[:800], products[800:1600].drop_columns(["price", "brand"]))))
    assert "data/0001_part_00.parquet has no column 'price', 'brand'" in message
    assert "source.query" in message


@pytest.mark.parametrize("kept", [0, 1])
def test_one_class_names_family_model_label_and_class(work, unload, products, kept):
    table = products.filter(pc.equal(products["mailer"], kept))[:900]
    message = refused(work.prepare(unload(table)))
    assert f"family packaging, model mailer: label column 'mailer' holds only {kept} (900 rows)" in message
    assert "source.query" in message


def test_a_class_that_only_one_part_holds_is_refused(work, unload, products):
    mailers, others = (products.filter(pc.equal(products["mailer"], value)) for value in (1, 0))
    message = refused(work.prepare(unload(pa.concat_tables([mailers[:1], others[:1000]]))))
    assert "hold no 1 in label column 'mailer' (1 in all)" in message


def test_duplicate_keys_are_counted_and_one_is_shown(work, unload, products):
    message = refused(work.prepare(unload(products[:1000], products[:3])))
    assert "key column 'product_id' is not unique: 3 of 1003 rows repeat a key" in message
    assert str(products["product_id"][0].as_py()) in message


def test_null_keys_are_refused(work, unload, products):
    table = with_column(products[:10], "product_id", pa.array([None] * 4 + list(range(6)), pa.int64()))
    assert "key column 'product_id' is null in 4 rows" in refused(work.prepare(unload(table)))


def test_too_few_rows_with_a_label(work, unload, products):
    assert "only 50 rows have a label 'mailer', fewer than source.minimum_rows (100)" in refused(
        work.prepare(unload(products[:50]))
    )


def test_labels_other_than_0_and_1(work, unload, products):
    table = with_column(products[:300], "mailer", pa.array([2] + [0, 1] * 149 + [0], pa.int16()))
    assert "label column 'mailer' holds 2; a label is 0, 1 or null" in refused(work.prepare(unload(table)))


def test_text_in_a_numeric_column(work, unload, products):
    table = with_column(products[:300], "price", pa.array(["cheap"] * 300))
    message = refused(work.prepare(unload(table)))
    assert "column 'price' is listed under features.numeric, but is string" in message
    assert "'cheap'" in message


def test_infinite_numbers(work, unload, products):
    table = with_column(products[:300], "price", pa.array([float("inf")] * 2 + [1.0] * 298))
    assert "column 'price' holds 2 infinite values; guard its division with NULLIF" in refused(
        work.prepare(unload(table))
    )


def test_empty_folder(work, unload):
    assert "input 'data' holds no Parquet file (found: nothing)" in refused(work.prepare(unload()))


def test_file_without_rows(work, unload, products):
    assert "only 0 rows have a label" in refused(work.prepare(unload(products[:0])))


def test_half_written_file_is_named(work, unload, products):
    folder = unload(products[:500], products[500:1000])
    file = folder / "0001_part_00.parquet"
    file.write_bytes(file.read_bytes()[:-500])
    message = refused(work.prepare(folder))
    assert "data/0001_part_00.parquet is not a complete Parquet file" in message


def test_half_written_upstream_model(trained, work, unload, products, tmp_path):
    archive = tmp_path / "model.tar.gz"
    whole = trained["box"].archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    work.upstream = {"box": archive}
    assert "upstream_box/model.tar.gz is not a complete archive" in refused(work.prepare(unload(products[:1000])))


def test_upstream_that_reads_a_column_as_another_type(trained, work, unload, products):
    work.upstream = {"box": trained["box"].archive}
    work.features = {"numeric": ["price", "manufacturer_id"], "categorical": ["department"]}
    message = refused(work.prepare(unload(products[:1000])))
    assert "column 'manufacturer_id' is numeric here, but model box" in message


def test_messages_are_for_people_not_traces(work, unload, products):
    done = work.prepare(unload(products[:50]))
    assert "Traceback" not in done.output


def test_schema_is_json_that_people_can_read(trained):
    text = (trained["box"].out("prepare", "schema") / "schema.json").read_text()
    assert json.loads(text)["label"] == "box"
    assert text.count("\n") > 20
