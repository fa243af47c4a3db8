"""Releases by API: once a name, refused with the field that is wrong, and what serves."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boxcar.api import releases
from boxcar.api.releases import ReleaseCalls
from boxcar.approvals.reviews import Past, Placement, Review, Reviews
from boxcar.attributes import encode_all
from boxcar.errors import TriggerError
from boxcar.families import Family, FamilyVersion
from boxcar.registry.decisions import Decision
from boxcar.registry.table import ModelsTable
from boxcar.serving.overview import Overview
from boxcar.serving.records import Endpoint, Endpoints, Live
from boxcar.versions import Version
from cli.architectures import read_yaml
from tests.unit.jobs_api.conftest import ANN, BEN, NOON, Api
from tests.unit.serving.fakes import FakeSageMaker
from tests.unit.starting.test_starting import States

NAME = "boxcar-packaging-box"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:boxcar-release"
ASKED = {"release": "week-48", "family": "packaging", "model": "box"}


def family(name: str, source: str) -> FamilyVersion:
    if name != "packaging":
        raise TriggerError(f"{source}: family: {name!r} was never applied; write one of packaging")
    document = read_yaml(Path("families/packaging.yaml"))
    for model in ("box", "mailer"):
        document["models"][model]["serving"] = {}
    document["models"]["bag"].pop("serving", None)
    made = Family.model_validate(document)
    return FamilyVersion(number=1, file="families/packaging.yaml", family=made, architectures={})


@pytest.fixture
def api(moto_api: Api) -> Api:
    """Version 1.0.0 is approved, 1.0.1 rejected."""
    store(moto_api, "1.0.0", "Approved")
    store(moto_api, "1.0.1", "Rejected")
    endpoints, reviews = Endpoints(moto_api.dynamodb, "models"), Reviews(moto_api.dynamodb, "models")
    moto_api.releases = ReleaseCalls(
        states=States(),
        machines={"release": MACHINE},
        family=family,
        table=ModelsTable(moto_api.dynamodb, "models"),
        overview=Overview(endpoints, reviews, FakeSageMaker(), lambda: moto_api.now),
        stack="boxcar",
        now=lambda: moto_api.now,
    )
    return moto_api


def store(api: Api, version: str, status: str) -> None:
    """A version as Register leaves it."""
    document = {"family": "packaging", "model": "box", "version": version, "status": status}
    for sort_key in (f"version#{Version.parse(version).sort_key}", *(["approved"] if status == "Approved" else [])):
        item = {"pk": "model#packaging/box", "sk": sort_key, **document}
        api.dynamodb.put_item(TableName="models", Item=encode_all(item))


def test_the_same_request_again_is_the_same_release_whoever_sends_it(api: Api) -> None:
    first = api.call("POST", "/releases", ASKED)
    assert (first.status, first.document["created"], first.document["endpoint"]) == (201, True, NAME)
    again = api.call("POST", "/releases", ASKED)
    assert (again.status, again.document) == (200, {**first.document, "created": False})
    other = api.call("POST", "/releases", {**ASKED, "version": "1.0.0"})
    assert (other.status, other.fields) == (409, ["release"])
    anew = api.call("POST", "/releases", ASKED, caller=BEN)  # another person, or the same role in another session
    assert (anew.status, anew.document) == (200, again.document)
    elsewhere = api.call("POST", "/releases", {**ASKED, "model": "mailer"})
    assert elsewhere.fields == ["version"], "the name is of one model; of mailer no version is approved"


def test_the_run_is_told_what_to_release_and_who_asked(api: Api) -> None:
    api.call("POST", "/releases", {**ASKED, "version": "1.0.0"}, caller=ANN)
    ((execution, told),) = api.releases.states.known.items()  # type: ignore[union-attr]
    assert execution.startswith("arn:aws:states:eu-west-1:123456789012:execution:boxcar-release:packaging-")
    assert told["input"] == '{"family": "packaging", "model": "box", "requested_by": "ann", "version": "1.0.0"}'


@pytest.mark.parametrize(
    ("changed", "status", "field", "words"),
    [
        ({"release": "week 48"}, 400, "release", "does not fit"),
        ({"version": "1.0"}, 400, "version", "does not fit"),
        ({"modle": "box"}, 400, "modle", "it is not known"),
        ({"family": "packing"}, 400, "family", "'packing' was never applied; write one of packaging"),
        ({"model": "bax"}, 400, "model", "'bax' is not a model of family packaging; write one of"),
        ({"model": "bag"}, 400, "model", "families/packaging.yaml: models.bag.serving: is missing"),
        ({"model": "mailer"}, 409, "version", "no version of packaging/mailer is approved"),
        ({"version": "9.9.9"}, 400, "version", "there is no version 9.9.9 of packaging/box"),
        ({"version": "1.0.1"}, 409, "version", "packaging/box 1.0.1 is Rejected"),
    ],
)
def test_what_cannot_be_released_is_refused_by_field_and_starts_nothing(
    api: Api, changed: dict[str, Any], status: int, field: str, words: str
) -> None:
    refused = api.call("POST", "/releases", {**ASKED, **changed})
    assert (refused.status, refused.fields) == (status, [field]), refused.document
    assert words in refused.document["detail"]
    assert not api.releases.states.known  # type: ignore[union-attr]


def test_a_repeat_after_the_version_was_rejected_finds_the_run_that_was_started(api: Api) -> None:
    asked = {**ASKED, "version": "1.0.0"}
    first = api.call("POST", "/releases", asked)
    store(api, "1.0.0", "Rejected")
    assert api.call("POST", "/releases", asked).document["run"] == first.document["run"]


def test_a_throttled_start_says_when_to_try_again(api: Api) -> None:
    def throttled(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "StartExecution")

    assert api.releases
    api.releases.states.start_execution = throttled
    busy = api.call("POST", "/releases", ASKED)
    assert busy.status == 503 and busy.headers["Retry-After"]


def test_what_serves_what_waits_and_who_decided(api: Api) -> None:
    assert api.call("GET", "/endpoints").document == {"endpoints": []}
    assert api.call("GET", "/endpoints/packaging/box").status == 404
    live = Live(version="1.0.0", config="c", run="r0", since="2026-01-01T00:00:00+00:00", number=1)
    record = Endpoint(endpoint=NAME, family="packaging", model="box", live=live)
    assert api.releases
    overview = api.releases.overview
    overview.endpoints.change(record, lambda before: before.model_copy(update={"live": live}))
    no = Decision(outcome="rejected", by="Ann (by link)", identity="link", why="not on a Friday", at="then")
    question = Review(
        family="packaging", model="box", version="1.0.1", run="r2", execution="arn", attempt=0, task_token="t",
        token_digest="d", until=int(NOON) + 60, release=Placement(endpoint=NAME, instance="ml.m5.large", least=1, most=1),
        earlier=[Past(version="1.0.1", run="r1", state="decided", decision=no)],
    )  # fmt: skip
    overview.reviews.ask(question, None)
    shown = api.call("GET", "/endpoints/packaging/box").document
    assert (shown["version"], shown["status"], shown["asks"]["run"]) == ("1.0.0", "gone", "r2")
    assert [past["decision"]["why"] for past in shown["decisions"]] == ["not on a Friday"]
    assert api.call("GET", "/endpoints").document == {"endpoints": [shown]}
    api.now += 60
    late = api.call("GET", "/endpoints/packaging/box").document
    assert late["asks"] is None and [past["state"] for past in late["decisions"]] == ["expired", "decided"]


def test_the_example_of_the_document_can_be_sent() -> None:
    assert releases.NewRelease.model_validate(releases.EXAMPLE)
