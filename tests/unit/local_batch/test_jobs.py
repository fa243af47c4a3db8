"""Jobs run as processes, and end as they do on AWS."""

import json
from pathlib import Path

import pytest

from local.batch.service import Batch
from local.clock import VirtualClock
from tests.unit.local_batch.conftest import Api, FakeCloud, eventually, prepare

ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"
OBSTINATE = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]


def test_a_job_runs_with_its_role_and_environment_and_tells_of_it(cloud, api, submit):
    job_id = submit(ENVIRONMENT, "first", overrides={"environment": [{"name": "COLOUR", "value": "red"}]})
    detail = cloud.wait(job_id)
    assert cloud.statuses(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    [event] = [event for event in cloud.events if event["detail"] is detail]
    assert (event["source"], event["type"]) == ("aws.batch", "Batch Job State Change")
    assert event["resources"] == [detail["jobArn"]] == [f"arn:aws:batch:eu-west-1:123456789012:job/{job_id}"]
    assert detail["jobQueue"].endswith(":job-queue/queue")
    assert detail["jobDefinition"].endswith(":job-definition/python:1")
    assert (detail["container"]["exitCode"], detail["statusReason"]) == (0, "Essential container in task exited")
    assert detail["createdAt"] <= detail["startedAt"] <= detail["stoppedAt"]
    assert len(detail["attempts"]) == 1
    logged = eventually(lambda: cloud.logs)[0]
    assert (logged["logGroupName"], logged["logStreamName"]) == ("/aws/batch/job", detail["container"]["logStreamName"])
    seen = json.loads(logged["logEvents"][0]["message"])
    assert (seen["COLOUR"], seen["ROLE"], seen["AWS_BATCH_JOB_ID"]) == ("red", "arn:role/jobs", job_id)
    assert seen["AWS_BATCH_JQ_NAME"] == "queue"
    assert api.DescribeJobs(jobs=[job_id, "unknown"])["jobs"] == [detail]


@pytest.mark.parametrize(
    ("command", "status_reason", "code", "container_reason"),
    [
        (["python3", "-c", "raise SystemExit(3)"], "Essential container in task exited", 3, ""),
        (["sh", "-c", "kill -9 $$"], "Essential container in task exited", 137, ""),
        (["nowhere-to-be-found"], "Task failed to start", None, "CannotStartContainerError: exec"),
    ],
)
def test_a_job_fails(cloud, submit, command, status_reason, code, container_reason):
    detail = cloud.wait(submit(command))
    assert (detail["status"], detail["statusReason"], detail["container"].get("exitCode")) == (
        "FAILED",
        status_reason,
        code,
    )
    assert container_reason in detail["container"].get("reason", "")


def test_events_have_the_fields_that_aws_documents(cloud, submit):
    sample = Path(__file__).resolve().parents[3] / "events/batch-job-failed.json"
    expected = json.loads(sample.read_text())["detail"]
    detail = cloud.wait(submit("raise SystemExit(1)", timeout={"attemptDurationSeconds": 3600}))
    assert detail.keys() == expected.keys()
    assert expected["container"].keys() <= detail["container"].keys()
    assert detail["attempts"][0].keys() == expected["attempts"][0].keys()
    assert (detail["status"], detail["statusReason"]) == (expected["status"], expected["statusReason"])


def test_an_image_that_nobody_has_is_not_pulled(cloud, api, submit):
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    container = {"image": "example.com/mine:3", "command": ["true"], "resourceRequirements": needs}
    api.RegisterJobDefinition(jobDefinitionName="mine", type="container", containerProperties=container)
    job_id = api.SubmitJob(jobName="job", jobQueue="queue", jobDefinition="mine")["jobId"]
    reason = cloud.wait(job_id)["container"]["reason"]
    assert reason.startswith("CannotPullContainerError: ") and "example.com/mine:3" in reason


def test_a_role_that_cannot_be_assumed(cloud, api):
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    image = api.DescribeJobDefinitions()["jobDefinitions"][0]["containerProperties"]["image"]
    container = {"image": image, "command": ["true"], "resourceRequirements": needs, "jobRoleArn": "arn:role/nobody"}
    api.RegisterJobDefinition(jobDefinitionName="mine", type="container", containerProperties=container)
    job_id = api.SubmitJob(jobName="job", jobQueue="queue", jobDefinition="mine")["jobId"]
    assert cloud.wait(job_id)["statusReason"].startswith("ECS was unable to assume the role 'arn:role/nobody'")


def test_two_jobs_of_a_name_are_two_jobs_and_are_found_by_it(cloud, api, submit):
    ids = [submit("pass", "Same"), submit("pass", "Same"), submit("pass", "same-but-longer")]
    for job_id in ids:
        cloud.wait(job_id)
    found = api.ListJobs(jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["same"]}])["jobSummaryList"]
    assert {job["jobId"] for job in found} == set(ids[:2])  # whatever their case, whatever their status
    assert [job["createdAt"] for job in found] == sorted((job["createdAt"] for job in found), reverse=True)
    starred = api.ListJobs(jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["same*"]}])["jobSummaryList"]
    assert len(starred) == 3
    assert api.ListJobs(jobQueue="queue")["jobSummaryList"] == []  # RUNNING alone, where nothing is said


def test_jobs_wait_in_line_for_vcpus(cloud, api, submit):
    gate = cloud.state / "gate"
    waiting = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    first, second, third, fourth = (submit(waiting, name) for name in "abcd")
    cloud.wait(first, "RUNNING")
    cloud.wait(second, "RUNNING")
    assert [job["status"] for job in api.DescribeJobs(jobs=[third, fourth])["jobs"]] == ["RUNNABLE", "RUNNABLE"]
    api.CancelJob(jobId=third, reason="not needed")
    assert (cloud.wait(third)["statusReason"], cloud.statuses(third)) == ("not needed", ["RUNNABLE", "FAILED"])
    api.CancelJob(jobId=first, reason="too late")  # runs: nothing happens, and it is no error
    gate.touch()
    assert [cloud.wait(job_id)["status"] for job_id in (first, second, fourth)] == ["SUCCEEDED"] * 3


def test_what_never_fits_waits_and_holds_up_those_behind(cloud, api, submit):
    big = submit("pass", overrides={"resourceRequirements": [{"type": "VCPU", "value": "4"}]})
    small = submit("pass")
    assert [job["status"] for job in api.DescribeJobs(jobs=[big, small])["jobs"]] == ["RUNNABLE", "RUNNABLE"]
    api.TerminateJob(jobId=big, reason="too big")
    cloud.wait(big)
    api.SubmitJob(jobName="next", jobQueue="queue", jobDefinition="python")
    assert cloud.wait(small)["status"] == "SUCCEEDED"


def test_terminate_asks_first(cloud, api, submit):
    polite = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(60)"
    )
    job_id = submit(polite)
    cloud.wait(job_id, "RUNNING")
    eventually(lambda: any((folder / "log").exists() for folder in (cloud.state / "batch/work").iterdir()))
    api.TerminateJob(jobId=job_id, reason="enough")
    detail = cloud.wait(job_id)
    assert (detail["status"], detail["statusReason"], detail["isTerminated"]) == ("FAILED", "enough", True)
    api.TerminateJob(jobId=job_id, reason="again")  # ended: stays as it is
    assert api.DescribeJobs(jobs=[job_id])["jobs"][0]["statusReason"] == "enough"


def test_time_is_up_on_the_clouds_clock_and_sigkill_follows(tmp_path):
    cloud = FakeCloud(tmp_path, scale=30)  # in the two seconds of a minute the program has begun to ignore SIGTERM
    service = Batch(cloud)
    api = Api(service)
    prepare(api)
    request = {"jobName": "slow", "jobQueue": "queue", "jobDefinition": "python"}
    limits = {"timeout": {"attemptDurationSeconds": 60}, "retryStrategy": {"attempts": 3}}
    cloud.wait(api.SubmitJob(**request)["jobId"])  # the interpreter is warm from here on
    job_id = api.SubmitJob(**request, **limits, containerOverrides={"command": OBSTINATE})["jobId"]
    detail = cloud.wait(job_id)
    assert detail["statusReason"] == "Job attempt duration exceeded timeout"
    assert detail["container"]["exitCode"] == 137
    assert len(detail["attempts"]) == 1  # "If a job is terminated for exceeding the timeout duration, it isn't retried"
    ran = (detail["stoppedAt"] - detail["startedAt"]) / 1000
    assert 60 <= ran < 3600
    service.close()


def test_virtual_time_waits_for_what_runs(tmp_path):
    """A program takes no virtual time, so no limit is reached while it runs, and the next timer is."""
    cloud = FakeCloud(tmp_path)
    cloud.clock = VirtualClock()
    service = Batch(cloud)
    api = Api(service)
    prepare(api)
    request = {"jobName": "slow", "jobQueue": "queue", "jobDefinition": "python"}
    command = {"command": ["python3", "-c", "import time; time.sleep(0.3)"]}
    job_id = api.SubmitJob(**request, timeout={"attemptDurationSeconds": 60}, containerOverrides=command)["jobId"]
    detail = cloud.wait(job_id)
    assert (detail["status"], detail["startedAt"]) == ("SUCCEEDED", detail["stoppedAt"])
    service.close()


def test_attempts(cloud, submit, tmp_path):
    file = str(tmp_path / "tries")
    twice = (
        f"import pathlib; file = pathlib.Path({file!r}); n = int(file.read_text()) if file.exists() else 0; "
        "file.write_text(str(n + 1)); raise SystemExit(0 if n else 9)"
    )
    detail = cloud.wait(submit(twice, retryStrategy={"attempts": 2}))
    assert (detail["status"], [attempt["container"]["exitCode"] for attempt in detail["attempts"]]) == (
        "SUCCEEDED",
        [9, 0],
    )


def test_arrays(cloud, api, submit):
    odd = "import os; raise SystemExit(int(os.environ['AWS_BATCH_JOB_ARRAY_INDEX']) % 2)"
    good, bad = submit("pass", arrayProperties={"size": 3}), submit(odd, arrayProperties={"size": 2})
    detail = cloud.wait(good)
    assert (detail["status"], detail["arrayProperties"]) == (
        "SUCCEEDED",
        {"size": 3, "statusSummary": {"SUCCEEDED": 3}},
    )
    assert cloud.statuses(good) == ["SUCCEEDED"]
    failed = cloud.wait(bad)
    assert (failed["status"], failed["statusReason"]) == ("FAILED", "Array Child Job failed")
    children = api.ListJobs(arrayJobId=bad, jobStatus="FAILED")["jobSummaryList"]
    assert [child["jobId"] for child in children] == [f"{bad}:1"]


def test_a_restart_goes_on_with_what_waits_and_has_lost_what_ran(cloud, api, submit, tmp_path):
    running = [submit("import time; time.sleep(60)", name) for name in "ab"]
    waiting = submit("pass", "c")
    for job_id in running:
        cloud.wait(job_id, "RUNNING")
    api.service.close()
    again = FakeCloud(tmp_path)
    service = Batch(again)
    for job_id in running:
        detail = again.wait(job_id)
        assert (detail["status"], detail["statusReason"]) == (
            "FAILED",
            "Host EC2 (instance i-00000000000000000) terminated.",
        )
    assert again.wait(waiting)["status"] == "SUCCEEDED"
    service.close()


@pytest.mark.parametrize(
    ("action", "request_", "words"),
    [
        ("SubmitJob", {"jobName": "a", "jobQueue": "none", "jobDefinition": "python"}, "JobQueue none not found"),
        ("SubmitJob", {"jobName": "a", "jobQueue": "queue", "jobDefinition": "none"}, "JobDefinition not found, none"),
        ("SubmitJob", {"jobName": "a b", "jobQueue": "queue", "jobDefinition": "python"}, "Job name 'a b'"),
        ("SubmitJob", {"jobName": "a", "jobQueue": "queue"}, "jobDefinition must not be null"),
        ("SubmitJob", {"jobName": "a", "jobQueue": "queue", "jobDefinition": "python", "nmae": 1}, "nmae is unknown"),
        (
            "SubmitJob",
            {"jobName": "a", "jobQueue": "queue", "jobDefinition": "python", "dependsOn": [{"jobId": "b"}]},
            "does not implement dependsOn",
        ),
        (
            "SubmitJob",
            {"jobName": "a", "jobQueue": "queue", "jobDefinition": "python", "timeout": {"attemptDurationSeconds": 5}},
            "at least 60",
        ),
        ("TerminateJob", {"jobId": "unknown", "reason": "x"}, "Job unknown does not exist"),
        ("CreateSchedulingPolicy", {"name": "x"}, "does not implement CreateSchedulingPolicy"),
        ("DeleteJobQueue", {"jobQueue": "queue"}, "not in a DISABLED state"),
    ],
)
def test_what_is_refused(api, action, request_, words):
    refusal = api.refused(action, **request_)
    assert refusal.startswith("ClientException: ") and words in refusal


def test_a_definition_has_revisions(api):
    [first] = api.DescribeJobDefinitions(jobDefinitionName="python")["jobDefinitions"]
    api.RegisterJobDefinition(
        jobDefinitionName="python", type="container", containerProperties=first["containerProperties"]
    )
    newest = api.DescribeJobDefinitions(jobDefinitionName="python", status="ACTIVE")["jobDefinitions"][0]
    assert newest["revision"] == 2
    api.DeregisterJobDefinition(jobDefinition="python:2")
    job_id = api.SubmitJob(jobName="a", jobQueue="queue", jobDefinition="python")["jobId"]
    assert api.DescribeJobs(jobs=[job_id])["jobs"][0]["jobDefinition"].endswith("python:1")
    assert "JobDefinition not found" in api.refused(
        "SubmitJob", jobName="a", jobQueue="queue", jobDefinition="python:2"
    )
