"""Which rows a run unloads: new ones, late ones, those of a missed day, all, or those of one day."""

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from boxcar.inference.counts import unloaded_rows
from tests.unit.inference.conftest import BUCKET

QUERY = "SELECT p.product_id, p.first_seen, p.price\nFROM products p -- as the family has it"
MODELS = ["bag", "mailer"]


@pytest.fixture
def shop(loads):
    loads.caller.ok("CREATE TABLE products (product_id BIGINT, first_seen TIMESTAMP, price FLOAT)")
    return loads


def arrive(shop: Any, *rows: str) -> None:
    shop.caller.ok(f"INSERT INTO products VALUES {', '.join(rows)}")


def predicted(shop: Any, *keys: int, models: list[str] = MODELS) -> None:
    for model in models:
        done = shop.load("before", "09:00", dict.fromkeys(keys, 0.5), model=model)
        assert done.status == "Completed", done.reason


def unloaded(shop: Any, models: list[str] = MODELS, since: str | None = None, until: str | None = None) -> list[int]:
    """Keys of the rows that a run gets, and what its manifest says of their number."""
    options = shop.tables.unload(QUERY, "first_seen", models, since, until)
    done = shop.ended(shop.statement(options))
    assert done.status == "Completed", done.reason
    prefix = f"runs/r/_run/work/{shop.started}/data/"
    keys: list[int] = []
    for item in shop.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        if item["Key"].endswith(".parquet"):
            body = shop.s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            keys += pq.read_table(io.BytesIO(body)).column("product_id").to_pylist()
    assert unloaded_rows(shop.s3, f"s3://{BUCKET}/{prefix}") == len(keys)
    return sorted(keys)


def test_before_the_first_run_everything_is_new(shop):
    arrive(shop, "(1, '2017-03-01', 1)", "(2, '2017-03-02', 1)")
    assert unloaded(shop) == [1, 2]


def test_what_every_model_has_predicted_is_not_new(shop):
    arrive(shop, "(1, '2017-03-01', 1)", "(2, '2017-03-02', 1)", "(3, '2017-03-02', 1)")
    predicted(shop, 1, 2)
    predicted(shop, 3, models=["bag"])
    assert unloaded(shop, since="2017-02-01 00:00:00") == [3]
    assert unloaded(shop, models=["bag"], since="2017-02-01 00:00:00") == []


def test_late_arrivals_and_missed_days_are_included_as_far_as_the_run_looks_back(shop):
    arrive(shop, "(1, '2017-03-20', 1)")
    predicted(shop, 1)
    arrive(shop, "(2, '2017-03-21', 1)", "(3, '2017-03-24', 1)", "(4, '2017-03-05', 1)", "(5, '2017-01-01', 1)")
    assert unloaded(shop, since="2017-02-18 00:00:00") == [2, 3, 4]


def test_a_day_is_its_rows_whether_predicted_or_not(shop):
    arrive(shop, "(1, '2017-03-01 23:59:59', 1)", "(2, '2017-03-02 00:00:00', 1)", "(3, '2017-03-03 00:00:00', 1)")
    predicted(shop, 2)
    assert unloaded(shop, since="2017-03-02 00:00:00", until="2017-03-03 00:00:00") == [2]


def test_monthly_is_everything(shop):
    arrive(shop, "(1, '2017-03-01', 1)", "(2, NULL, 1)", "(NULL, '2017-03-01', 1)")
    predicted(shop, 1)
    options = shop.tables.unload(QUERY, "first_seen", [], None, None)
    assert shop.ended(shop.statement(options)).status == "Completed"
    manifest = shop.s3.get_object(Bucket=BUCKET, Key=f"runs/r/_run/work/{shop.started}/data/manifest")["Body"].read()
    assert json.loads(manifest)["meta"]["record_count"] == 3


def test_a_row_without_a_key_is_not_lost_before_somebody_rejects_it(shop):
    arrive(shop, "(NULL, '2017-03-01', 1)")
    options = shop.tables.unload(QUERY, "first_seen", MODELS, "2017-02-01 00:00:00", None)
    assert shop.ended(shop.statement(options)).status == "Completed"
    assert unloaded_rows(shop.s3, f"s3://{BUCKET}/runs/r/_run/work/{shop.started}/data/") == 1
