import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.jobs_api.conftest import BEN, Api, request


def throttled(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)


class Dying:
    """A DynamoDB that fails at the n-th item that is put."""

    def __init__(self, dynamodb: Any, lives: int, error: Exception) -> None:
        self._dynamodb, self._lives, self._error = dynamodb, lives, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def put_item(self, **request: Any) -> Any:
        if self._lives == 0:
            raise self._error
        self._lives -= 1
        return self._dynamodb.put_item(**request)


def test_a_job_is_stored_for_its_caller_and_the_launcher_is_woken(both: Api) -> None:
    api = both
    told = api.call("POST", "/jobs", request("depth-6", sweep="depths", tags={"ticket": "P-1"}))
    assert told.status == 201
    job = told.document
    assert (job["status"], job["owner"], job["sweep"], job["tags"]) == ("New", "ann", "depths", {"ticket": "P-1"})
    assert job["created"] is True
    assert job["created_at"] == "2026-01-07T12:00:00.000Z"
    assert job["instance_type"] == "ml.m5.large"
    assert api.wakes == [{"pools": {"training/ml.m5.large": 1}, "new": {"training/ml.m5.large": [job["job"]]}}]
    assert len(api.jobs()) == 1


def test_the_owner_is_the_session_of_a_role_or_whoever_is_named(api: Api) -> None:
    assert api.call("POST", "/jobs", request("a"), caller=BEN).document["owner"] == "ben@example.com"
    assert api.call("POST", "/jobs", request("b", owner="team-search"), caller=BEN).document["owner"] == "team-search"


@pytest.mark.parametrize("caller", ["", "arn:aws:sts::1:assumed-role/x/=odd"])
def test_a_caller_whose_name_cannot_own_jobs_is_asked_for_one(api: Api, caller: str) -> None:
    told = api.call("POST", "/jobs", {"jobs": [request("a", owner="x"), request("b")]}, caller=caller)
    assert (told.status, told.fields) == (400, ["jobs[1].owner"])
    assert not api.jobs()


def test_the_same_again_is_the_same_job(both: Api) -> None:
    api = both
    first = api.call("POST", "/jobs", request("depth-6"))
    again = api.call("POST", "/jobs", request("depth-6"))
    assert again.status == 200
    assert again.document == {**first.document, "created": False}
    assert len(api.jobs()) == 1


def test_a_repeat_wakes_the_launcher_for_a_job_that_still_waits(api: Api) -> None:
    """Whoever stored it may have died before it could say so."""
    job = api.call("POST", "/jobs", request("depth-6")).document["job"]
    api.wakes.clear()
    api.call("POST", "/jobs", request("depth-6"))
    assert api.woken == [job]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"step__config": {"max_depth": 7}}, "step.config"),
        ({"step__max_runtime_s": 60}, "step.max_runtime_s"),
        ({"tags": {"a": "b"}}, "tags"),
        ({"sweep": "other"}, "sweep"),
        ({"family": "packaging"}, "family"),
    ],
)
def test_other_content_under_the_same_name_is_a_conflict(api: Api, change: dict[str, Any], field: str) -> None:
    api.call("POST", "/jobs", request("depth-6"))
    told = api.call("POST", "/jobs", request("depth-6", **change))
    assert (told.status, told.fields) == (409, [field])
    assert told.headers["Content-Type"] == "application/problem+json"
    listed = api.call("POST", "/jobs", {"jobs": [request("new"), request("depth-6", **change)]})
    assert (listed.status, listed.fields) == (409, [f"jobs[1].{field}"])
    assert len(api.jobs()) == 1, "none of many is stored, if one cannot be"


def test_one_name_twice_in_a_request(both: Api) -> None:
    told = both.call("POST", "/jobs", {"jobs": [request("a"), request("b"), request("a", sweep="x")]})
    assert (told.status, told.fields) == (400, ["jobs[2].job"])
    assert not both.jobs()
    same = both.call("POST", "/jobs", {"jobs": [request("a"), request("a")]})
    assert same.status == 201
    assert [job["created"] for job in same.document["jobs"]] == [True, False]


def test_a_conflict_that_comes_while_jobs_are_stored_is_found(api: Api) -> None:
    """Another caller takes the name between the check and the write."""

    class Slower:
        def __getattr__(_, name: str) -> Any:  # noqa: N805
            return getattr(api.dynamodb, name)

        def put_item(_, **wanted: Any) -> Any:  # noqa: N805
            api.table.client = api.dynamodb
            api.call("POST", "/jobs", request("b", sweep="hers"))
            return api.dynamodb.put_item(**wanted)

    api.table.client = Slower()
    told = api.call("POST", "/jobs", {"jobs": [request("a"), request("b")]})
    assert (told.status, told.fields) == (409, ["jobs[1].sweep"])
    assert any(name.startswith("boxcar-ann-a-") for name in api.woken), "what was stored is to run"


def test_the_same_name_of_another_owner_is_another_job(api: Api) -> None:
    ann = api.call("POST", "/jobs", request("depth-6"))
    ben = api.call("POST", "/jobs", request("depth-6"), caller=BEN)
    assert (ann.status, ben.status) == (201, 201)
    assert ann.document["job"] != ben.document["job"]


def test_a_hundred_at_once(api: Api) -> None:
    told = api.call("POST", "/jobs", {"jobs": [request(f"depth-{n}") for n in range(100)]})
    assert told.status == 201
    ids = [job["job"] for job in told.document["jobs"]]
    assert len(set(ids)) == len(api.jobs()) == 100
    assert [name.split("-")[3] for name in ids] == [str(n) for n in range(100)], "in the order of the request"
    assert sorted(api.woken) == sorted(ids)


def test_more_than_a_hundred_or_none_are_refused(api: Api) -> None:
    for jobs in ([request(f"d-{n}") for n in range(101)], []):
        told = api.call("POST", "/jobs", {"jobs": jobs})
        assert (told.status, told.fields) == (400, ["jobs"])
    assert not api.jobs()


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"step__kind": "traning"}, "step.kind"),
        ({"step__image": "xgbost"}, "step.image"),
        ({"step__inputs": {"train": "/data"}}, "step.inputs.train"),
        ({"step__inputs": {"train": "@prepare.train"}}, "step.inputs.train"),
        ({"step__max_attempts": 11}, "step.max_attempts"),
        ({"step__resources": {"instance_typs": ["ml.m5.large"]}}, "step.resources.instance_typs"),
        ({"step__config": {"text": "x" * 250_000}}, "step"),
        ({"tags": {str(n): "x" for n in range(21)}}, "tags"),
        ({"priority": 1}, "priority"),
    ],
)
def test_one_bad_job_and_none_is_stored(api: Api, bad: dict[str, Any], field: str) -> None:
    told = api.call("POST", "/jobs", {"jobs": [request("a"), request("b", **bad), request("c")]})
    assert (told.status, told.fields) == (400, [f"jobs[1].{field}"]), told.document
    assert told.document["errors"][0]["message"]
    alone = api.call("POST", "/jobs", request("b", **bad))
    assert (alone.status, alone.fields) == (400, [field])
    one = api.call("POST", "/jobs", {"jobs": [request("b", **bad)]})
    assert (one.status, one.fields) == (400, [f"jobs[0].{field}"])
    assert not api.jobs()
    assert not api.wakes


def test_every_fault_of_a_request_is_named(api: Api) -> None:
    told = api.call("POST", "/jobs", {"job": "a b", "step": {"name": "Train"}, "colour": "red"})
    assert sorted(told.fields) == ["colour", "job", "step.kind", "step.name"]


@pytest.mark.parametrize("text", ["", "{", "nul", "\ufeff{}"])
def test_a_body_that_is_not_json(api: Api, text: str) -> None:
    told = api.call("POST", "/jobs", text=text)
    assert (told.status, told.fields) == (400, ["body"])


@pytest.mark.parametrize("body", [[], "job", 3, None])
def test_json_that_is_no_job(api: Api, body: Any) -> None:
    assert api.call("POST", "/jobs", text=json.dumps(body)).status == 400


def test_a_body_in_base64_is_read(api: Api) -> None:
    assert api.call("POST", "/jobs", request("a"), encoded=True).status == 201


def test_a_body_that_is_too_large(api: Api) -> None:
    told = api.call("POST", "/jobs", text=json.dumps(request("a", step__config={"text": "x" * 1_000_000})))
    assert (told.status, told.fields) == (400, ["body"])
    assert "1000000 are allowed" in told.document["detail"]


def test_a_parameter_that_is_not_known(api: Api) -> None:
    told = api.call("POST", "/jobs", request("a"), query={"dry": "true"})
    assert (told.status, told.fields) == (400, ["dry"])
    assert not api.jobs()


@pytest.mark.parametrize("lives", [0, 1, 3])
@pytest.mark.parametrize(("error", "status"), [(throttled("PutItem"), 503), (ConnectionError("gone"), 500)])
def test_a_crash_in_the_middle_is_finished_by_a_repeat(api: Api, lives: int, error: Exception, status: int) -> None:
    body = {"jobs": [request(f"depth-{n}") for n in range(5)]}
    healthy, api.table.client = api.table.client, Dying(api.dynamodb, lives, error)
    told = api.call("POST", "/jobs", body)
    assert told.status == status
    assert len(api.jobs()) == lives
    assert len(api.woken) == lives, "what was stored is woken for"
    api.table.client = healthy
    again = api.call("POST", "/jobs", body)
    assert again.status == 201
    assert [job["created"] for job in again.document["jobs"]] == [False] * lives + [True] * (5 - lives)
    assert len(api.jobs()) == 5
    assert api.call("POST", "/jobs", body).status == 200


def test_a_table_that_is_throttled_says_when_to_come_back(api: Api) -> None:
    api.table.client = Dying(api.dynamodb, 0, throttled("PutItem"))
    told = api.call("POST", "/jobs", request("a"))
    assert (told.status, told.headers["Retry-After"]) == (503, "2")


def test_a_table_that_leaves_out_what_it_is_asked_for(api: Api) -> None:
    """BatchGetItem answers with what it did not read, when it is throttled."""
    body = {"jobs": [request("a"), request("b")]}
    api.call("POST", "/jobs", body)
    asked = []

    class Sparing:
        def __getattr__(_, name: str) -> Any:  # noqa: N805
            return getattr(api.dynamodb, name)

        def batch_get_item(_, RequestItems: dict[str, Any]) -> Any:  # noqa: N803, N805
            keys = RequestItems["jobs"]["Keys"]
            asked.append(len(keys))
            some = api.dynamodb.batch_get_item(RequestItems={"jobs": {**RequestItems["jobs"], "Keys": keys[:most]}})
            return {**some, "UnprocessedKeys": {"jobs": {"Keys": keys[most:]}} if keys[most:] else {}}

    api.table.client, most = Sparing(), 1
    assert api.call("POST", "/jobs", {"jobs": [request("a"), request("b", sweep="x")]}).fields == ["jobs[1].sweep"]
    assert asked == [2, 1]
    most = 0
    assert api.call("POST", "/jobs", body).status == 503


def test_what_nobody_foresaw_tells_nothing_of_the_inside(api: Api) -> None:
    api.table.client = Dying(api.dynamodb, 0, RuntimeError("arn:aws:secret"))
    told = api.call("POST", "/jobs", request("a"))
    assert told.status == 500
    assert "secret" not in json.dumps(told.document)
    assert "ref-1" in told.document["detail"]


def test_two_submitters_of_one_name_make_one_job(api: Api) -> None:
    """The other one is faster: between the checks and the write of the first."""

    class Slower:
        def __getattr__(_, name: str) -> Any:  # noqa: N805
            return getattr(api.dynamodb, name)

        def put_item(_, **wanted: Any) -> Any:  # noqa: N805
            api.table.client = api.dynamodb
            api.call("POST", "/jobs", request("depth-6"))
            return api.dynamodb.put_item(**wanted)

    api.table.client = Slower()
    told = api.call("POST", "/jobs", request("depth-6"))
    assert (told.status, told.document["created"]) == (200, False)
    assert len(api.jobs()) == 1
