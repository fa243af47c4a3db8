from dataclasses import replace
from typing import Any

import pytest
from openapi_spec_validator import validate

from boxcar.api import openapi
from boxcar.api.routes import DOCUMENTED, ROUTES
from boxcar.jobs.record import Job
from tests.unit.jobs_api.conftest import BEN, NOON, Api, request
from tests.unit.tables import resources


def submitted(api: Api, name: str = "depth-6", **fields: Any) -> Job:
    told = api.call("POST", "/jobs", request(name, **fields))
    job = api.table.get(told.document["job"])
    assert job
    return job


def failed(api: Api, job: Job) -> Job:
    launched = job.launched("training/ml.m5.large", {}, NOON, 180, 3600)
    ending = replace(launched.attempts[-1], started=NOON, ended=NOON + 90, failure="AlgorithmError", reason="exit 1")
    api.table.save(job, saved := replace(launched, version=job.version))
    return api.table.save(
        replace(saved, version=job.version + 1), saved.failed("AlgorithmError", "exit 1", NOON + 90, 1e6, ending)
    )


def test_a_job_is_found_by_its_id_and_by_its_name(api: Api) -> None:
    job = submitted(api)
    by_id = api.call("GET", f"/jobs/{job.id}", caller=BEN)
    by_name = api.call("GET", "/jobs/depth-6")
    assert by_id.status == by_name.status == 200
    assert by_id.document == by_name.document
    assert by_id.document["explanation"] is None
    assert api.call("GET", "/jobs/depth-6", caller=BEN).status == 404, "her name for it is hers"


@pytest.mark.parametrize(("method", "path"), [("GET", "/jobs/x"), ("DELETE", "/jobs/x"), ("POST", "/jobs/x/retry")])
def test_a_job_that_is_not_there(api: Api, method: str, path: str) -> None:
    told = api.call(method, path)
    assert told.status == 404
    assert "'x'" in told.document["detail"]
    assert not api.wakes
    assert not api.told


@pytest.mark.parametrize(("method", "path"), [("GET", "/jobs/x"), ("DELETE", "/jobs/x"), ("POST", "/jobs/x/retry")])
def test_a_parameter_that_is_not_known(api: Api, method: str, path: str) -> None:
    assert api.call(method, path, query={"force": "true"}).fields == ["force"]


def test_everything_about_an_attempt(api: Api) -> None:
    job = failed(api, submitted(api))
    told = api.call("GET", f"/jobs/{job.id}").document
    assert (told["status"], told["failure"], told["reason"], told["seconds"]) == (
        "Failed",
        "AlgorithmError",
        "exit 1",
        90,
    )
    (attempt,) = told["attempts"]
    assert (attempt["number"], attempt["name"], attempt["pool"]) == (1, f"{job.id}-1", "training/ml.m5.large")
    assert told["logs"] == {"group": "/aws/sagemaker/TrainingJobs", "prefix": f"{job.id}-1/"}
    assert told["document"]["script"] == "train.py"
    assert told["links"]["logs"].startswith("https://console.example.com/cloudwatch/home?region=eu-west-1#logsV2:")


def test_why_a_job_waits(both: Api) -> None:
    api = both
    first, job = submitted(api, "first"), submitted(api)
    told = api.call("GET", f"/jobs/{job.id}", query={"explain": "true"}).document["explanation"]
    assert told["waiting"]["why"] == "line"
    assert (told["waiting"]["ahead"], told["waiting"]["whose_turn"]) == (1, "ann")
    api.table.update_lease("training/ml.m5.large", "SET held = :four", {}, values={"four": 4})
    api.settings = replace(api.settings, instance_limits={"training/ml.m5.large": 4})
    told = api.call("GET", f"/jobs/{first.id}", query={"explain": "true"}).document["explanation"]
    assert told["waiting"]["why"] == "pool_full"
    assert told["waiting"]["pools"] == [
        {"pool": "training/ml.m5.large", "held": 4, "limit": 4, "known": "configured", "until": None, "room": False}
    ]


def test_explain_is_true_or_false(api: Api) -> None:
    assert api.call("GET", "/jobs/x", query={"explain": "perhaps"}).fields == ["explain"]


def test_a_job_that_waits_is_stopped_at_once(both: Api) -> None:
    api = both
    job = submitted(api)
    told = api.call("DELETE", "/jobs/depth-6")
    assert told.status == 202
    assert (told.document["status"], told.document["failure"]) == ("Stopped", "Stopped")
    assert "ann" in told.document["reason"]
    assert api.told == [{"stop": job.id}]


def test_a_job_that_runs_is_left_to_the_monitor(api: Api) -> None:
    job = submitted(api)
    launched = job.launched("training/ml.m5.large", {}, NOON, 180, 3600)
    api.table.save(job, launched)
    told = api.call("DELETE", f"/jobs/{job.id}", caller=BEN)
    assert (told.status, told.document["status"]) == (202, "Launched")
    assert api.told == [{"stop": job.id}]
    now = api.table.get(job.id)
    assert now
    assert now.stopping == "Stopped"


def test_what_has_ended_cannot_be_stopped_and_what_has_not_cannot_be_retried(api: Api) -> None:
    job = submitted(api)
    retried = api.call("POST", f"/jobs/{job.id}/retry")
    assert retried.status == 409
    assert "New" in retried.document["detail"]
    failed(api, job)
    stopped = api.call("DELETE", f"/jobs/{job.id}")
    assert stopped.status == 409
    assert "Failed" in stopped.document["detail"]
    assert not api.told


def test_a_failed_job_starts_afresh(both: Api) -> None:
    api = both
    job = failed(api, submitted(api, sweep="depths", tags={"a": "b"}))
    api.wakes.clear()
    told = api.call("POST", f"/jobs/{job.id}/retry")
    assert told.status == 202
    assert (told.document["status"], told.document["attempt"], told.document["failure"]) == ("New", 1, "")
    assert (told.document["sweep"], told.document["tags"]) == ("depths", {"a": "b"})
    assert api.woken == [job.id]
    assert api.call("POST", f"/jobs/{job.id}/retry").status == 409, "a second retry has nothing to do"


def test_a_path_that_is_not_known(api: Api) -> None:
    assert api.call("GET", "/nothing").status == 404
    assert api.call("PUT", "/jobs").status == 404


def test_the_document_is_openapi(api: Api) -> None:
    document = api.call("GET", "/openapi.json").document
    validate(document)
    assert document["servers"] == [{"url": "/v1"}]
    assert {operation["operationId"] for path in document["paths"].values() for operation in path.values()} == {
        "submit", "list", "show", "stop", "retry", "describe", "release", "list_endpoints", "show_endpoint",
        "decide_version", "decide_release",
    }  # fmt: skip


def test_the_example_of_the_document_is_a_job(api: Api) -> None:
    content = openapi.document(ROUTES, "v1")["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        assert api.call("POST", "/jobs", example["value"]).status in (200, 201)


def test_the_document_and_the_template_have_the_same_routes() -> None:
    functions = (resources()[name]["Properties"]["Events"] for name in ("ServeJobsFunction", "DecideVersionFunction"))
    events = [event["Properties"] for events in functions for event in events.values()]
    of_the_api = {(event["Method"], event["Path"]) for event in events if event["RestApiId"] == {"Ref": "JobsApi"}}
    assert of_the_api == {(route.method, route.resource) for route in DOCUMENTED}
