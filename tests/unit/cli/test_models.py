"""What `boxcar models` tells of versions, on real tables: two versions of box, and one of own_container that uses box."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from boxcar.evaluations import Evaluation
from boxcar.families import Family, FamilyVersion
from boxcar.family_store import FamilyStore
from boxcar.plans import Gate
from boxcar.registry.table import ModelsTable
from boxcar.verdicts import judge
from boxcar.versions import Version
from cli.models import models
from tests.unit.tables import make_table

BUCKET, TABLE = "data", "boxcar-models"
DATA, CODE = "d" * 60 + "cafe", "c0de" * 4


@dataclass
class FakeSession:
    """A session on moto's account."""

    clients: dict[str, Any]
    outputs: dict[str, str] = field(default_factory=lambda: {"ModelsTableName": TABLE, "BucketName": BUCKET})

    def client(self, service: str) -> Any:
        return self.clients[service]


def evaluation(score: float, **more: Any) -> dict[str, Any]:
    return {
        "schema": 2,
        "rows": {"train": 800, "validation": 200},
        "scores": {"roc_auc": score, "log_loss": 0.3},
        "labels": {"0": 700, "1": 300},
        "importances": {"price": 0.7, "brand": 0.3},
        "calibration": {"error": 0.01, "bins": [{"rows": 100, "score": 0.1, "ones": 0.12}]},
        **more,
    }


def store(session: FakeSession, model: str, number: str, score: float, **more: Any) -> dict[str, Any]:
    """Register a version as Register does, with the real verdict on it."""
    version = Version.parse(number)
    address = f"s3://{BUCKET}/models/packaging/{model}/{number}/evaluation.json"
    figures = more.pop("figures", evaluation(score))
    body = json.dumps(figures).encode()
    session.clients["s3"].put_object(Bucket=BUCKET, Key=address.split("/", 3)[3], Body=body)
    before = more.pop("before", None)
    verdict = judge(
        Evaluation.model_validate(figures),
        Evaluation.model_validate(evaluation(before[1])) if before else None,
        Gate(),
        model=model,
        family="packaging",
        version=number,
        compared_with=before[0] if before else None,
    )
    document = {
        "version": number,
        "sort_key": version.sort_key,
        "change": "patch" if before else "first",
        "family": "packaging",
        "model": model,
        "status": "Approved",
        "run": f"run-{number}",
        "created": "2026-11-26T10:00:00+00:00",
        "interface_digest": "i",
        "code_digest": "c",
        "config": {
            "architecture": "boosted_trees",
            "parameters": {"rounds": 200, "learning_rate": 0.2},
            "features": {"numeric": ["price"], "categorical": ["brand"]},
            "label": model,
            "uses_predictions_of": [],
        },
        "metrics": figures["scores"],
        "threshold": 0.5,
        "labels": figures["labels"],
        "rows": figures["rows"],
        "verdict": verdict.model_dump(mode="json"),
        "outputs": {"model": address.replace("evaluation.json", "model.tar.gz"), "evaluation": address},
        "evaluation": address,
        "package_arn": f"arn:aws:sagemaker:eu-west-1:1:model-package/boxcar-packaging-{model}/1",
        **more,
    }
    ModelsTable(session.clients["dynamodb"], TABLE).commit(
        "packaging", model, version, document, approve=True, compared_with=verdict.compared_with
    )
    return document


def origin(**more: Any) -> dict[str, Any]:
    return {
        "source": "s3://data/triggers/training/p.json",
        "requested_by": "ann",
        "family_version": 3,
        "family_file": "families/packaging.yaml",
        "image": "xgboost:3.0-5",
        "code": {"digest": CODE, "archive": "s3://data/code/t.tar.gz", "prefix": "s3://data/code/t/"},
        "unloaded": {
            "query": "SELECT 1", "query_digest": "q" * 64, "address": "s3://data/runs/x/", "digest": DATA,
            "files": 2, "bytes": 435_600,
        },
        "upstream": {},
        **more,
    }  # fmt: skip


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made = FakeSession({name: boto3.client(name) for name in ("s3", "dynamodb")})
        made.clients["s3"].create_bucket(Bucket=BUCKET)
        make_table(made.clients["dynamodb"], "ModelsTable", TABLE)
        family = Family.model_validate(
            {
                "family": "packaging",
                "source": {"query": "SELECT 1"},
                "inference": {"query": "SELECT 1"},
                "key": "product_id",
                "models": {"box": {"label": "box"}, "own_container": {"label": "own_container"}},
            }
        )
        FamilyStore(made.clients["dynamodb"], TABLE).append(
            FamilyVersion(number=1, file="families/packaging.yaml", family=family, architectures={})
        )
        store(made, "box", "1.0.0", 0.90)  # registered before there were origins
        store(made, "box", "1.0.1", 0.91, before=("1.0.0", 0.90), origin=origin())
        store(made, "own_container", "1.0.0", 0.95, origin=origin(upstream={"box": "1.0.1"}))
        yield made


def call(session: FakeSession, *words: str) -> Result:
    return CliRunner().invoke(models, list(words), obj=session)


def told(session: FakeSession, *words: str) -> str:
    result = call(session, *words)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_the_approved_version_is_shown_with_every_criterion_and_what_it_was_made_of(session: FakeSession) -> None:
    text = told(session, "show", "packaging/box")
    assert "packaging/box 1.0.1 Approved, in production" in text
    assert "approve, against 1.0.0" in text
    assert all(name in text for name in ("score drop", "label shift", "row change"))
    assert DATA in text and CODE in text and "435.6 kB" in text


def test_what_a_person_decided_is_told_as_the_registry_tells_it(session: FakeSession) -> None:
    decided = {"by": "ann", "identity": "arn:aws:iam::1:user/ann", "at": "2026-11-26T10:00:00+00:00"}
    first = {**decided, "outcome": "approved", "why": "it is well"}
    back = {**decided, "outcome": "approved", "why": "1.0.3 is slow", "rollback": True}
    store(session, "box", "1.0.2", 0.92, before=("1.0.1", 0.91), decisions=[first, back])
    for words in (("show", "packaging/box"), ("history", "packaging/box")):
        text = told(session, *words)
        assert "approved by ann: it is well" in text and "put back by ann: 1.0.3 is slow" in text


def test_a_version_from_before_origins_were_recorded_is_shown_all_the_same(session: FakeSession) -> None:
    text = told(session, "show", "packaging/box@1.0.0")
    assert "made of not recorded" in text
    assert "in production" not in text


def test_history_has_every_version_and_its_page_escapes_what_it_holds(session: FakeSession, tmp_path: Any) -> None:
    evil = "<script>alert(1)</script>"
    store(session, "box", "1.0.2", 0.92, before=("1.0.1", 0.91), run=evil)
    page = tmp_path / "history.html"
    text = told(session, "history", "packaging/box", "--page", str(page))
    assert [number for number in ("1.0.0", "1.0.1", "1.0.2 *") if number in text] == ["1.0.0", "1.0.1", "1.0.2 *"]
    html = page.read_text()
    assert evil not in html and "&lt;script&gt;" in html and html.count("<svg") == 2


def test_versions_weighed_against_each_other_are_compared_by_the_verdict(session: FakeSession) -> None:
    document = json.loads(call(session, "compare", "packaging/box@1.0.0", "packaging/box@1.0.1", "--json").output)
    assert document["scores"]["roc_auc"] == [0.90, 0.91]
    assert document["difference"]["drop"] == pytest.approx(-0.01)
    assert document["made_of"]["data"] == ["not recorded", DATA]
    assert "every parameter" in document["same"]


def test_versions_of_two_models_are_each_on_rows_of_their_own(session: FakeSession, tmp_path: Any) -> None:
    page = tmp_path / "compare.html"
    words = ("compare", "packaging/box", "packaging/own_container", "--page", str(page))
    assert "each on rows of their own" in told(session, *words)
    assert "label" in json.loads(call(session, *words[:3], "--json").output)["made_of"]
    assert "<script" not in page.read_text()


def test_a_parameter_that_differs_is_named_with_both_values(session: FakeSession) -> None:
    config = store(session, "box", "1.1.0", 0.91, before=("1.0.1", 0.91))["config"]
    changed = {**config, "parameters": {**config["parameters"], "learning_rate": 0.3}}
    store(session, "box", "1.2.0", 0.91, before=("1.1.0", 0.91), config=changed)
    document = json.loads(call(session, "compare", "packaging/box@1.1.0", "packaging/box@1.2.0", "--json").output)
    assert document["made_of"] == {"parameters.learning_rate": ["0.2", "0.3"]}


def test_lineage_goes_both_ways(session: FakeSession) -> None:
    text = told(session, "lineage", "packaging/own_container")
    assert "uses: box@1.0.1" in text and DATA in text and "families/packaging.yaml, version 3" in text
    assert "version: packaging/own_container@1.0.0" in told(session, "lineage", "packaging/box@1.0.1")
    assert "no other version" in told(session, "lineage", "packaging/box@1.0.0")


@pytest.mark.parametrize(
    ("option", "value", "versions"),
    [
        ("--data", DATA[:12], ["packaging/box@1.0.1", "packaging/own_container@1.0.0"]),
        ("--code", CODE, ["packaging/box@1.0.1", "packaging/own_container@1.0.0"]),
        ("--run", "run-1.0.1", ["packaging/box@1.0.1"]),
        ("--file", "s3://data/runs/run-1.0.1/box/predict/1/predictions/part-0.out", ["packaging/box@1.0.1"]),
    ],
)
def test_versions_are_found_by_what_they_were_made_of(
    session: FakeSession, option: str, value: str, versions: list[str]
) -> None:
    lines = call(session, "lineage", option, value, "--json").output.splitlines()
    assert [json.loads(line)["version"] for line in lines] == versions


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "packaging"), "write FAMILY/MODEL@VERSION"),
        (("show", "packaging/box@9"), "write three numbers"),
        (("show", "packaging/box@9.0.0"), "it has 1.0.0, 1.0.1"),
        (("show", "packaging/crate"), "models are packaging/box, packaging/own_container"),
        (("history", "packaging/crate"), "has no version"),
        (("lineage",), "write one of"),
        (("lineage", "packaging/box", "--run", "x"), "write one of"),
        (("lineage", "--data", "abc"), "at least 6 digits"),
        (("lineage", "--data", "abcdef"), "no version was made of data abcdef"),
        (("lineage", "--file", "s3://data/models/x"), "write s3://<bucket>/runs/<run>/"),
        (("lineage", "--file", "s3://data/runs/run-1.0.1/crate/predict/1/x"), "registered no version of crate"),
    ],
)
def test_what_cannot_be_found_says_what_to_write(session: FakeSession, words: tuple[str, ...], said: str) -> None:
    result = call(session, *words)
    assert result.exit_code != 0
    assert said in " ".join(result.output.split())


class FakeWarehouse:
    """The Data API, with one answer for every statement."""

    def __init__(self, *records: list[dict[str, Any]], error: str = "") -> None:
        self.records, self.error, self.asked = list(records), error, {}

    def execute_statement(self, **request: Any) -> dict[str, str]:
        self.asked = request
        return {"Id": "s-1"}

    def describe_statement(self, **_: str) -> dict[str, str]:
        return {"Status": "FAILED", "Error": self.error} if self.error else {"Status": "FINISHED"}

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: [{"Records": self.records}])


def reach(session: FakeSession, warehouse: FakeWarehouse) -> None:
    """Let the stack have this warehouse."""
    session.clients["redshift-data"] = warehouse
    names = ("DatabaseName", "WorkgroupName", "ClusterIdentifier", "UserName")
    session.outputs |= {f"Redshift{name}": "w" for name in names} | {"WarehouseRoleArn": "default"}


def test_a_row_of_predictions_leads_to_its_version_and_on(session: FakeSession) -> None:
    row = [{"stringValue": "1.0.1"}, {"doubleValue": 0.93}, {"booleanValue": True}, {"stringValue": "daily-7"}]
    warehouse = FakeWarehouse([*row, {"stringValue": "2026-11-26 07:00:00"}])
    reach(session, warehouse)
    injected = "41' OR '1'='1"
    text = told(session, "lineage", "packaging/box", "--product", injected)
    assert "packaging/box@1.0.1" in text and "run_id: daily-7" in text and "score: 0.93" in text and DATA in text
    assert injected not in warehouse.asked["Sql"], "values are bound"
    assert {"name": "key", "value": injected} in warehouse.asked["Parameters"]


def test_a_version_leads_to_the_rows_that_it_predicted(session: FakeSession) -> None:
    rows = [{"stringValue": "daily-7"}, {"longValue": 8212}, {"stringValue": "2026-11-26 07:00:00"}]
    reach(session, FakeWarehouse(rows))
    text = told(session, "lineage", "packaging/box", "--predictions")
    assert "predictions: 8,212 rows of run daily-7, 2026-11-26 07:00:00" in text
    reach(session, FakeWarehouse())
    assert "no prediction that is in the warehouse" in told(session, "lineage", "packaging/box", "--predictions")


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("packaging/box",), "", "packaging_predictions has no row with model 'box' and product_id '41'"),
        (("packaging/box",), 'relation "packaging_predictions" does not exist', "no inference run has written"),
        (("packaging/box",), "permission denied for schema public", "permission denied for schema public"),
        (("packaging/box@1.0.1",), "", "its row says which version"),
        (("other/box",), "", "family 'other' was never applied"),
    ],
)
def test_a_row_that_cannot_be_found_says_why(
    session: FakeSession, words: tuple[str, ...], error: str, said: str
) -> None:
    reach(session, FakeWarehouse(error=error))
    result = call(session, "lineage", *words, "--product", "41")
    assert result.exit_code != 0 and said in " ".join(result.output.split())
