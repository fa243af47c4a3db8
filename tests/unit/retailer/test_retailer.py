"""Loading the retailer's year: as of a week, once, forth and back, and not at all when something breaks."""

import json
import re

import boto3
import duckdb
import pytest
from moto import mock_aws

from cli import retailer
from cli.package_rules import LABELS
from local.redshift.service import RedshiftData
from tests.unit.redshift.conftest import CALLER, ROLE, TRUST, FakeCloud


class DataClient:
    """What boto3's `redshift-data` client offers, on the embedded warehouse."""

    def __init__(self, service):
        self._service = service
        self.sql = []
        self.fail = ""

    def __getattr__(self, method):
        action = "".join(word.title() for word in method.split("_"))

        def call(**request):
            self.sql += request.get("Sqls", [request["Sql"]] if "Sql" in request else [])
            if self.fail:  # a statement that the warehouse cannot run, in the middle of the batch
                request["Sqls"] = [re.sub(f"^{self.fail}", "COPY nowhere", sql) for sql in request.get("Sqls", [])]
                request = {name: value for name, value in request.items() if value}
            return self._service.handle(action, request, CALLER)

        return call


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A small retailer: products 1 to 40, each first sold in week 1 + id % 4, and again in every later week."""
    folder = tmp_path_factory.mktemp("year")
    with duckdb.connect() as db:
        db.execute(
            f"""
            COPY (SELECT i AS product_id, i % 7 AS manufacturer_id, 'GROCERY' AS department, 'National' AS brand,
                  'COOKIES/CONES' AS product_category, CASE WHEN i % 5 > 0 THEN 'SPECIALTY COOKIES' END AS product_type,
                  CASE WHEN i % 10 > 0 THEN (i * 3) || ' OZ' END AS package_size FROM range(1, 41) t(i))
            TO '{folder}/products.parquet';
            COPY (SELECT 900 + w AS household_id, 330 AS store_id, i * 100 + w AS basket_id, i AS product_id, 1 AS quantity,
                  i / 10.0 AS sales_value, 0.0::DOUBLE AS retail_disc, 0.0::DOUBLE AS coupon_disc,
                  0.0::DOUBLE AS coupon_match_disc, w AS week, TIMESTAMP '2017-01-01 11:53:26' AS transaction_timestamp
                  FROM range(1, 41) t(i), range(1, 7) u(w) WHERE w > i % 4)
            TO '{folder}/transactions.parquet';
            """
        )
    return folder


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="data-bucket")
        boto3.client("iam").create_role(RoleName="warehouse", AssumeRolePolicyDocument=json.dumps(TRUST))
        service = RedshiftData(FakeCloud(tmp_path))
        yield retailer.Warehouse(s3, DataClient(service), "data-bucket", "dev", workgroup="boxcar", role=ROLE)
        service.close()


def test_a_week_is_loaded_once(warehouse, source):
    first = retailer.load(warehouse, 2, source)
    assert first == {"products": 20, "transactions": 30, "package_tests": 18}
    assert retailer.counts(warehouse) == first
    assert retailer.load(warehouse, 2, source) == dict.fromkeys(first, 0)
    assert retailer.counts(warehouse) == first


def test_the_next_week_adds_only_what_is_new(warehouse, source):
    retailer.load(warehouse, 2, source)
    assert retailer.load(warehouse, 3, source) == {"products": 10, "transactions": 30, "package_tests": 8}
    rows = retailer.query(warehouse, "SELECT product_id, COUNT(*) FROM products GROUP BY 1 HAVING COUNT(*) > 1")
    assert rows == []
    weeks = retailer.query(warehouse, "SELECT first_sold_week, COUNT(*) FROM products GROUP BY 1 ORDER BY 1")
    assert weeks == [[1, 10], [2, 10], [3, 10]]


def test_weeks_one_by_one_give_what_one_jump_gives(warehouse, source):
    for week in (1, 2, 3, 4):
        retailer.load(warehouse, week, source)
    slow = retailer.query(warehouse, "SELECT * FROM package_tests ORDER BY product_id")
    retailer.remove(warehouse)
    retailer.load(warehouse, 4, source)
    assert retailer.query(warehouse, "SELECT * FROM package_tests ORDER BY product_id") == slow


def test_an_earlier_week_takes_back_what_came_after_it(warehouse, source):
    retailer.load(warehouse, 3, source)
    assert retailer.load(warehouse, 2, source) == {"products": -10, "transactions": -30, "package_tests": -8}
    assert retailer.loaded_week(warehouse) == 2


def test_labels_exist_only_where_the_size_is_known_and_are_dated(warehouse, source):
    retailer.load(warehouse, 4, source)
    assert retailer.query(
        warehouse,
        "SELECT COUNT(*) FROM package_tests t JOIN products p ON p.product_id = t.product_id "
        "WHERE p.package_size IS NULL OR t.tested_week <> p.first_sold_week",
    ) == [[0]]
    shares = retailer.label_shares(warehouse)
    assert set(shares) == set(LABELS)
    assert 0 < shares["box"] < 1


def test_a_failed_load_leaves_the_week_that_was_there(warehouse, source):
    retailer.load(warehouse, 2, source)
    before = retailer.counts(warehouse)
    warehouse.data.fail = "COPY package_tests"
    with pytest.raises(retailer.RetailerError, match='relation "nowhere" does not exist'):
        retailer.load(warehouse, 3, source)
    warehouse.data.fail = ""
    assert retailer.counts(warehouse) == before
    assert retailer.loaded_week(warehouse) == 2
    retailer.load(warehouse, 3, source)
    assert retailer.loaded_week(warehouse) == 3


def test_no_value_is_written_into_the_sql(warehouse, source):
    retailer.load(warehouse, 2, source)
    assert [sql for sql in warehouse.data.sql if sql.startswith("DELETE")] == [
        "DELETE FROM products WHERE first_sold_week > :week",
        "DELETE FROM transactions WHERE week > :week",
        "DELETE FROM package_tests WHERE tested_week > :week",
    ]


def test_remove_leaves_neither_tables_nor_files(warehouse, source):
    retailer.load(warehouse, 2, source)
    retailer.remove(warehouse)
    retailer.remove(warehouse)
    assert warehouse.s3.list_objects_v2(Bucket="data-bucket")["KeyCount"] == 0
    with pytest.raises(retailer.RetailerError, match="does not exist"):
        retailer.counts(warehouse)


@pytest.mark.parametrize("week", [0, 54, -1])
def test_a_week_outside_the_year_is_refused(warehouse, week):
    with pytest.raises(ValueError, match=f"week: {week} is not a week of the year; write 1 to 53"):
        retailer.load(warehouse, week)


def test_a_cluster_is_named_with_its_user():
    cluster = retailer.Warehouse(None, None, "bucket", "dev", cluster="reporting", user="loader")
    assert cluster.target == {"ClusterIdentifier": "reporting", "Database": "dev", "DbUser": "loader"}
    assert cluster.iam_role == "IAM_ROLE default"
