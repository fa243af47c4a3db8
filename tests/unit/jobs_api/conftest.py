"""The jobs API on moto's tables, called with API Gateway's events; every answer is held against the OpenAPI document."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws

from boxcar.api import openapi
from boxcar.api.releases import ReleaseCalls
from boxcar.api.routes import ROUTES, JobsApi
from boxcar.jobs.history import History
from boxcar.jobs.references import ApprovedVersions
from boxcar.jobs.submit import Submitter
from boxcar.jobs.table import JobsTable
from boxcar.settings import Settings
from tests.unit.jobs_api.indexes import IndexedDynamoDB
from tests.unit.tables import make_tables

ANN = "arn:aws:iam::123456789012:user/team/ann"
BEN = "arn:aws:sts::123456789012:assumed-role/scientist/ben@example.com"
SETTINGS = Settings(
    stack="boxcar",
    bucket="data",
    jobs_table="jobs",
    models_table="models",
    images={"xgboost": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/xgboost:3.0-5"},
    region="eu-west-1",
    console_url="https://console.example.com",
)
CODE = {"digest": "d" * 16, "archive": "s3://data/code/trees-d.tar.gz", "prefix": "s3://data/code/trees-d/"}
NOON = 1767787200.0  # 2026-01-07T12:00:00Z


@cache
def document() -> dict[str, Any]:
    return openapi.document(ROUTES, "v1")


@dataclass
class Told:
    """What a caller got."""

    status: int
    document: Any
    headers: dict[str, str]

    @property
    def fields(self) -> list[str]:
        return [error["field"] for error in self.document["errors"]]


@dataclass
class Api:
    """The API, what it told the launcher and the monitor, and the time."""

    dynamodb: Any
    settings: Settings = SETTINGS
    now: float = NOON
    wakes: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    releases: ReleaseCalls | None = None

    def __post_init__(self) -> None:
        self.table = JobsTable(self.dynamodb, "jobs", pause=lambda _: None)
        self.schema = document()

    @property
    def api(self) -> JobsApi:
        return JobsApi(
            table=self.table,
            history=History(self.dynamodb, "jobs"),
            submitter=lambda: Submitter(
                table=self.table, settings=self.settings, states=lambda: None,
                s3=lambda: boto3.client("s3"), approved=ApprovedVersions(self.dynamodb, "models"), now=lambda: self.now,
            ),
            settings=self.settings,
            wake=self.wakes.append,
            tell_monitor=self.told.append,
            now=lambda: self.now,
            releases=self._releases,
        )  # fmt: skip

    def _releases(self) -> ReleaseCalls:
        assert self.releases, "tests/unit/jobs_api/test_releases.py has one"
        return self.releases

    def call(
        self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None, caller: str = ANN,
        text: str | None = None, encoded: bool = False,
    ) -> Told:  # fmt: skip
        route = next((route for route in ROUTES if route.method == method and _fits(route.resource, path)), None)
        resource = route.resource if route else path
        names = re.findall(r"{(\w+)}", resource)
        values = re.fullmatch(re.sub(r"{\w+}", "([^/]+)", resource), path)
        sent = text if text is not None else json.dumps(body) if body is not None else None
        listed = {name: value if isinstance(value, list) else [str(value)] for name, value in (query or {}).items()}
        event = {
            "resource": resource, "path": path, "httpMethod": method,
            "pathParameters": dict(zip(names, values.groups(), strict=True)) if names and values else None,
            "queryStringParameters": {name: texts[-1] for name, texts in listed.items()} or None,
            "multiValueQueryStringParameters": listed or None,
            "requestContext": {"stage": "v1", "identity": {"userArn": caller}},
            "body": base64.b64encode(sent.encode()).decode() if encoded and sent else sent,
            "isBase64Encoded": encoded,
        }  # fmt: skip
        answer = self.api.answer(event, "ref-1")
        told = Told(answer["statusCode"], json.loads(answer["body"]), answer["headers"])
        if route:
            self._conforms(route, told)
        return told

    def _conforms(self, route: openapi.Route, told: Told) -> None:
        """The answer is one that the document promises."""
        answers = self.schema["paths"][route.resource][route.method.lower()]["responses"]
        assert str(told.status) in answers, f"{route.name} answers {told.status}: {told.document}"
        ((content_type, content),) = answers[str(told.status)]["content"].items()
        assert told.headers["Content-Type"] == content_type
        schema = {**content["schema"], "components": self.schema["components"]}
        errors = [error.message for error in Draft202012Validator(schema).iter_errors(told.document)]
        assert not errors, errors

    @property
    def woken(self) -> list[str]:
        """Ids of the jobs that the launcher was told of."""
        return [job for wake in self.wakes for ids in wake["new"].values() for job in ids]

    def jobs(self) -> list[dict[str, Any]]:
        items = self.dynamodb.scan(TableName="jobs")["Items"]
        return [item for item in items if item["pk"]["S"].startswith("job#")]


def _fits(resource: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", resource), path) is not None


def request(name: str, **fields: Any) -> dict[str, Any]:
    """A job to submit; `step__x` is a field of its step."""
    step = {"name": "train", "kind": "training", "image": "xgboost", "script": "train.py", "code": CODE}
    step |= {key[6:]: value for key, value in fields.items() if key.startswith("step__")}
    return {"job": name, "step": step, **{key: value for key, value in fields.items() if not key.startswith("step__")}}


@pytest.fixture
def api() -> Api:
    """Tables in memory: fast."""
    return Api(IndexedDynamoDB())


@pytest.fixture
def moto_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Tables as moto has them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        make_tables(dynamodb)
        yield Api(dynamodb)


@pytest.fixture(params=["api", "moto_api"])
def both(request: pytest.FixtureRequest) -> Api:
    """One after the other."""
    api: Api = request.getfixturevalue(request.param)
    return api
