"""What counting after a load moves: a model's watermark, but for a day that was filled in."""

import importlib.util
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.errors import CountMismatch
from boxcar.inference.counts import with_sizes
from boxcar.inference.watermarks import Watermarks
from boxcar.plans import write_plan
from boxcar.settings import settings
from tests.unit.inference.test_planning import COUNTS, plan
from tests.unit.tables import make_tables, resources

APP = Path(__file__).parents[3] / "functions/check_counts/app.py"
SEEN = "2017-04-02 00:00:00.000000"


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    named = {
        "BOXCAR_STACK": "boxcar",
        "BOXCAR_BUCKET": "data",
        "BOXCAR_JOBS_TABLE": "jobs",
        "BOXCAR_MODELS_TABLE": "models",
    }
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**named, **keys}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    spec = importlib.util.spec_from_file_location("check_counts", APP)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with mock_aws():
        monkeypatch.setattr(module, "client", boto3.client)
        make_tables(boto3.client("dynamodb"))
        boto3.client("s3").create_bucket(Bucket="data")
        places = {"split": "s3://data/split/", "load": "s3://data/load/"}
        monkeypatch.setattr(module.RunOutputs, "output_of", lambda self, model, step, output: places[step])
        yield module
    settings.cache_clear()


def put(key: str, document: Any) -> None:
    boto3.client("s3").put_object(Bucket="data", Key=key, Body=json.dumps(document).encode())


def loaded(rows: int, seen: str = SEEN, **request: Any) -> None:
    """A run of which a model has loaded so many rows."""
    counts = {**COUNTS, "first_seen": seen}
    put("split/counts.json", counts)
    put("load/000", {"bin": 0, "row_count": rows, "yes": 1})
    write_plan(boto3.client("s3"), "data", "run-1", with_sizes(plan({"family": "packaging", **request}), counts))


@pytest.mark.parametrize(
    ("request_", "mark"), [({}, SEEN), ({"scope": "monthly"}, SEEN), ({"day": "2017-04-02"}, None)]
)
def test_a_load_moves_the_watermark_and_a_day_that_is_filled_in_does_not(function, request_, mark):
    loaded(97, **request_)
    answer = function.handler({"run": "run-1", "after": "load", "model": "bag"}, None)
    assert answer == {"model": "bag", "version": "1.2.3", "rows": 97}
    assert Watermarks(boto3.client("dynamodb"), "models").get("packaging", "bag") == mark


def test_a_watermark_never_lies_in_the_future(function):
    loaded(97, seen="2099-01-01 00:00:00.000000")
    function.handler({"run": "run-1", "after": "load", "model": "bag"}, None)
    assert Watermarks(boto3.client("dynamodb"), "models").get("packaging", "bag") == "2026-11-26 10:00:00.123"


def test_rows_that_did_not_arrive_are_named_and_the_watermark_stays(function):
    loaded(96)
    with pytest.raises(CountMismatch, match="model bag: 97 rows were to be predicted, 96 were loaded"):
        function.handler({"run": "run-1", "after": "load", "model": "bag"}, None)
    assert Watermarks(boto3.client("dynamodb"), "models").get("packaging", "bag") is None


def test_whoever_moves_a_watermark_may_write_nothing_of_the_families(function):
    loaded(97)
    function.handler({"run": "run-1", "after": "load", "model": "bag"}, None)
    [item] = boto3.client("dynamodb").scan(TableName="models")["Items"]
    policies = resources()["CheckCountsFunction"]["Properties"]["Policies"]
    [allowed] = [one for policy in policies for one in policy["Statement"] if one["Action"] == "dynamodb:PutItem"]
    [keys] = allowed["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert fnmatchcase(item["pk"]["S"], keys) and not fnmatchcase("family#packaging", keys)
