"""SubmitJob needs its permission on the queue and on the definition; the protocol's paths name the actions."""

import json

import pytest

from local import iam
from local.batch.service import Batch
from local.service import ApiError
from tests.unit.local_batch.conftest import Api, prepare

ARN = "arn:aws:batch:eu-west-1:123456789012"


@pytest.mark.parametrize(
    ("action", "request_", "resource"),
    [
        ("submitjob", {"jobQueue": "q", "jobDefinition": "d"}, f"{ARN}:job-queue/q"),
        ("submitjob", {"jobQueue": f"{ARN}:job-queue/q"}, f"{ARN}:job-queue/q"),
        ("terminatejob", {"jobId": "1"}, f"{ARN}:job/1"),
        ("describejobs", {"jobs": ["1"]}, "*"),
        ("listjobs", {"jobQueue": "q"}, "*"),
    ],
)
def test_what_an_action_is_about(action, request_, resource):
    namer = iam.resource_namer("eu-west-1", "123456789012", lambda token: None)
    assert namer("batch", action, request_) == resource


def test_a_caller_who_may_use_the_queue_and_not_the_definition(cloud):
    asked = []

    def may(headers, action, resource):
        asked.append((action, resource))
        return f"User: {headers['user']} is not authorized" if "job-definition" in resource else None

    service = Batch(cloud, may)
    prepare(Api(service))
    body = json.dumps({"jobName": "a", "jobQueue": "queue", "jobDefinition": f"{ARN}:job-definition/python:1"})
    with pytest.raises(ApiError) as refused:
        service.http("POST", "/v1/submitjob", {"user": "ann"}, body.encode(), {})
    assert (refused.value.code, refused.value.status) == ("AccessDeniedException", 403)
    assert asked == [
        ("batch:SubmitJob", f"{ARN}:job-queue/queue"),
        ("batch:SubmitJob", f"{ARN}:job-definition/python:1"),
    ]
    status, _, answer = service.http("POST", "/v1/describejobqueues", {"user": "ann"}, b"{}", {})
    assert (status, [queue["jobQueueName"] for queue in json.loads(answer)["jobQueues"]]) == (200, ["queue"])
    service.close()


@pytest.mark.parametrize(("path", "body"), [("/v1/nothing", b"{}"), ("/v1/describejobs", b"{")])
def test_a_request_that_cannot_be_read(cloud, path, body):
    service = Batch(cloud)
    with pytest.raises(ApiError, match="ClientException"):
        service.http("POST", path, {}, body, {})
    service.close()


def test_glue_passes_the_role_of_a_job():
    job = {"Name": "a", "Role": "arn:aws:iam::123456789012:role/program"}
    assert iam.passed_roles("glue", "CreateJob", job) == [job["Role"]]
    assert iam.passed_roles("glue", "UpdateJob", {"JobName": "a", "JobUpdate": job}) == [job["Role"]]
    assert iam.passed_roles("glue", "StartJobRun", {"JobName": "a"}) == []
