"""The jobs API as its callers meet it: signed calls through API Gateway, IAM enforced, the whole stack behind it."""

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.credentials import Credentials
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from cli.api import ApiProblem, JobsApi
from local.client import wait_for
from tests.e2e.deployed import Deployed

CODE = {"digest": "d" * 16, "archive": "s3://none/code/x.tar.gz", "prefix": "s3://none/code/x/"}


def waiting_job(name: str = "", **fields: Any) -> dict[str, Any]:
    """A training job; the stack's AWS has no machine for it as long as `no_capacity` is used."""
    step = {"name": "train", "kind": "training", "image": "xgboost", "script": "train.py", "code": CODE}
    return {"job": name or f"t-{uuid.uuid4().hex[:8]}", "step": step, **fields}


def statement_job(sql: str = "SELECT 1", **fields: Any) -> dict[str, Any]:
    step = {"name": "count", "kind": "statement", "options": {"sql": sql}, **fields}
    return {"job": f"s-{uuid.uuid4().hex[:8]}", "step": step}


@pytest.fixture
def no_capacity(empty_stack: Deployed) -> Deployed:
    empty_stack.cloud.add_fault(service="sagemaker", action="CreateTrainingJob", error="ResourceLimitExceeded")
    return empty_stack


@pytest.fixture(scope="module")
def ann(empty_stack: Deployed) -> JobsApi:
    """A user with the policy of the stack, and nothing else."""
    iam = empty_stack.session.client("iam")
    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn=empty_stack.session.outputs["JobsApiCallersArn"])
    return caller(empty_stack, "ann")


def caller(stack: Deployed, user: str) -> JobsApi:
    key = stack.session.client("iam").create_access_key(UserName=user)["AccessKey"]
    api = stack.session.api
    return JobsApi(api.url, api.region, Credentials(key["AccessKeyId"], key["SecretAccessKey"]), pause=lambda _: None)


def ended(api: JobsApi, job: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        document: dict[str, Any] = api.call("GET", f"/jobs/{job}")[1]
        return document if document["status"] in ("Completed", "Failed", "Stopped") else None

    return wait_for(found, 60, every=0.3, why=f"job {job} did not end")


def pages(api: JobsApi, **query: Any) -> Iterator[list[dict[str, Any]]]:
    while True:
        page = api.call("GET", "/jobs", query)[1]
        yield page["jobs"]
        if page["next"] is None:
            return
        query["next"] = page["next"]


def test_a_job_from_its_submission_to_its_end(ann: JobsApi) -> None:
    wanted = statement_job()
    status, job = ann.call("POST", "/jobs", body=wanted)
    assert (status, job["owner"], job["status"]) == (201, "ann", "New")
    done = ended(ann, job["job"])
    assert done["status"] == "Completed", done
    assert done["attempts"][0]["pool"] == "statement"
    assert ann.call("POST", "/jobs", body=wanted)[0] == 200, "the same again is the same job"
    assert len(ann.call("GET", f"/jobs/{wanted['job']}")[1]["attempts"]) == 1
    with pytest.raises(ApiProblem) as refused:
        ann.call("POST", "/jobs", body={**wanted, "tags": {"other": "content"}})
    assert refused.value.status == 409
    assert "tags" in refused.value.message
    with pytest.raises(ApiProblem, match="Completed"):
        ann.call("DELETE", f"/jobs/{job['job']}")


def test_a_failed_job_says_why_and_is_tried_again(ann: JobsApi) -> None:
    job = ann.call("POST", "/jobs", body=statement_job("SELECT nothing FROM nowhere", max_attempts=1))[1]["job"]
    failed = ended(ann, job)
    assert failed["status"] == "Failed"
    explanation = ann.call("GET", f"/jobs/{job}", {"explain": True})[1]["explanation"]
    assert "nowhere" in explanation["failure"]["reason"]
    assert explanation["failure"]["action"]
    assert ann.call("POST", f"/jobs/{job}/retry")[0] == 202
    again = wait_for(lambda: (found := ended(ann, job))["attempt"] > failed["attempt"] and found, 30)
    assert again["status"] == "Failed"


def test_a_waiting_job_explains_itself_and_is_stopped(no_capacity: Deployed, ann: JobsApi) -> None:
    job = ann.call("POST", "/jobs", body=waiting_job())[1]["job"]

    def refused_by_aws() -> dict[str, Any] | None:
        told: dict[str, Any] = ann.call("GET", f"/jobs/{job}", {"explain": True})[1]
        return told["explanation"] if told["status"] == "New" and told["waiting_for"] else None

    explanation = wait_for(refused_by_aws, 30, every=0.2)
    assert explanation["waiting"]["why"] in ("pool_full", "backoff", "launcher"), explanation
    assert explanation["waiting"]["pools"][0]["pool"] == "training/ml.m5.large"
    assert any("CapacityTimeout" in expected["what"] for expected in explanation["next"])
    assert ann.call("DELETE", f"/jobs/{job}")[0] == 202
    assert ended(ann, job)["status"] == "Stopped"


def test_a_running_job_is_stopped(ann: JobsApi) -> None:
    numbers = " CROSS JOIN ".join(f"generate_series(1, 100000) t{letter}({letter})" for letter in "abc")
    job = ann.call("POST", "/jobs", body=statement_job(f"SELECT sum(sqrt(a * b * c)) FROM {numbers}"))[1]["job"]

    def running() -> bool:
        told = ann.call("GET", f"/jobs/{job}")[1]
        assert told["status"] in ("New", "Launched", "InProgress"), told
        return bool(told["attempts"] and told["attempts"][0]["arn"])

    wait_for(running, 30, every=0.2)
    assert ann.call("DELETE", f"/jobs/{job}")[0] == 202
    assert ended(ann, job)["status"] == "Stopped"


def test_250_jobs_in_pages(no_capacity: Deployed, ann: JobsApi) -> None:
    names = [f"page-{number}" for number in range(250)]
    for start in (0, 100, 200):
        bodies = [waiting_job(name, sweep="pages", tags={"kind": "paged"}) for name in names[start : start + 100]]
        status, told = ann.call("POST", "/jobs", body={"jobs": bodies})
        assert (status, all(job["created"] for job in told["jobs"])) == (201, True)
    for query in ({"owner": "ann"}, {}):  # two indexes
        listed = list(pages(ann, sweep="pages", tag="kind=paged", limit=100, **query))
        assert [len(page) for page in listed if page] == [100, 100, 50]
        jobs = [job for page in listed for job in page]
        assert sorted(job["run"].rpartition("/")[2] for job in jobs) == sorted(names)
        times = [job["created_at"] for job in jobs]
        assert times == sorted(times, reverse=True)
    with pytest.raises(ApiProblem) as refused:
        ann.call("GET", "/jobs", {"next": "x"})
    assert refused.value.problem["errors"][0]["field"] == "next"


def test_two_submitters_at_once_make_one_job(no_capacity: Deployed, ann: JobsApi) -> None:
    body = {"jobs": [waiting_job() for _ in range(10)]}
    with ThreadPoolExecutor(4) as at_once:
        told = list(at_once.map(lambda _: ann.call("POST", "/jobs", body=body), range(4)))
    created = [[job["created"] for job in answer["jobs"]] for _, answer in told]
    assert [sum(column) for column in zip(*created, strict=True)] == [1] * 10, "each was created by exactly one"
    assert len({job["job"] for _, answer in told for job in answer["jobs"]}) == 10


def test_none_of_many_is_stored_if_one_is_bad(ann: JobsApi) -> None:
    good, bad = waiting_job(), waiting_job()
    bad["step"]["resources"] = {"instance_types": []}
    with pytest.raises(ApiProblem) as refused:
        ann.call("POST", "/jobs", body={"jobs": [good, bad]})
    assert refused.value.status == 400
    assert refused.value.problem["errors"][0]["field"] == "jobs[1].step.resources.instance_types"
    assert ann.call("GET", f"/jobs/{good['job']}", check=False)[0] == 404


def test_answers_are_those_of_the_served_document(no_capacity: Deployed, ann: JobsApi) -> None:
    document = ann.call("GET", "/openapi.json")[1]
    validate(document)
    job = waiting_job()
    for method, path, query, body in (
        ("POST", "/jobs", None, job),
        ("POST", "/jobs", None, job),
        ("POST", "/jobs", None, {**job, "sweep": "other"}),
        ("POST", "/jobs", None, {"job": "x"}),
        ("GET", "/jobs", None, None),
        ("GET", "/jobs", {"limit": 0}, None),
        ("GET", f"/jobs/{job['job']}", {"explain": True}, None),
        ("GET", "/jobs/nothing", None, None),
        ("POST", f"/jobs/{job['job']}/retry", None, None),
        ("DELETE", f"/jobs/{job['job']}", None, None),
        ("DELETE", "/jobs/nothing", None, None),
    ):
        status, told = ann.call(method, path, query, body, check=False)
        route = path.replace(job["job"], "{id}").replace("nothing", "{id}")
        ((_, content),) = document["paths"][route][method.lower()]["responses"][str(status)]["content"].items()
        schema = {**content["schema"], "components": document["components"]}
        assert not [error.message for error in Draft202012Validator(schema).iter_errors(told)], (method, path, told)


def test_who_may_not_call(empty_stack: Deployed, ann: JobsApi) -> None:
    iam, api = empty_stack.session.client("iam"), empty_stack.session.api
    iam.create_user(UserName="guest")
    guest = caller(empty_stack, "guest")
    status, told = guest.call("GET", "/jobs", check=False)
    assert status == 403
    assert told["Message"].startswith("User: arn:aws:iam::000000000000:user/guest is not authorized to perform: ")
    assert "execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********0000:" in told["Message"]
    api_id = empty_stack.session.outputs["JobsApiUrl"].split("/")[2].partition(".")[0]
    arn = f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/v1/GET/*"
    reads = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    iam.put_user_policy(UserName="guest", PolicyName="reads", PolicyDocument=policy)
    assert guest.call("GET", "/jobs", check=False)[0] == 200
    assert guest.call("POST", "/jobs", body=waiting_job(), check=False)[0] == 403
    with pytest.raises(urllib.error.HTTPError) as unsigned:
        urllib.request.urlopen(f"{api.url}/jobs")
    assert unsigned.value.code == 403
    assert json.load(unsigned.value) == {"message": "Missing Authentication Token"}
    forged = JobsApi(api.url, api.region, Credentials(ann.credentials.access_key, "wrong"))
    assert forged.call("GET", "/jobs", check=False)[0] == 403

    def logged() -> list[dict[str, str]]:
        lines = access_log(empty_stack)
        return lines[-5:] if [line["caller"] for line in lines[-2:]] == ["-", "-"] else []

    lines = wait_for(logged, why="the last two calls, of nobody, are not in the access log")
    told = [(line["method"], line["status"], line["caller"].rpartition("/")[2]) for line in lines]
    assert told[:3] == [("GET", "403", "guest"), ("GET", "200", "guest"), ("POST", "403", "guest")]
    assert told[3:] == [("GET", "403", "-"), ("GET", "403", "-")], "nobody knows who these two were"
    assert "not authorized to perform: execute-api:Invoke" in lines[-3]["error"]


def access_log(stack: Deployed) -> list[dict[str, str]]:
    group = f"/aws/apigateway/{stack.session.stack}-jobs"
    pages = stack.session.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [json.loads(event["message"]) for page in pages for event in page["events"]]


def test_a_throttled_table_is_told_and_nothing_is_lost(empty_stack: Deployed, ann: JobsApi) -> None:
    body = statement_job()
    empty_stack.cloud.add_fault(
        service="dynamodb", action="PutItem", error="ThrottlingException", caller="*ServeJobs*", count=1000
    )
    with pytest.raises(ApiProblem) as refused:
        ann.call("POST", "/jobs", body=body)
    assert (refused.value.status, refused.value.problem["title"]) == (503, "Too much at once")
    empty_stack.cloud.forget_faults()
    assert ann.call("POST", "/jobs", body=body)[0] == 201
    assert ended(ann, body["job"])["status"] == "Completed"


def test_a_short_spell_of_throttling_is_not_noticed(empty_stack: Deployed, ann: JobsApi) -> None:
    empty_stack.cloud.add_fault(
        service="dynamodb", action="PutItem", error="ThrottlingException", caller="*ServeJobs*", count=2
    )
    assert ann.call("POST", "/jobs", body=statement_job())[0] == 201
