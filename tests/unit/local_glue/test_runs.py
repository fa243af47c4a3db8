"""Runs of Python shell jobs are processes, and end as they do on AWS."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from local.glue.service import Glue
from tests.unit.local_glue.conftest import Api, FakeCloud, define

FOREVER = "import time\ntime.sleep(60)"


def state(api: Api, run_id: str) -> str:
    return str(api.GetJobRun(JobName="shell", RunId=run_id)["JobRun"]["JobRunState"])


def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)
    return found


def test_a_script_runs_with_its_arguments_and_its_role(cloud, api):
    cloud.objects["s3://code/main.py"] = (
        "import os, sys, words\nfrom awsglue.utils import getResolvedOptions\n"
        "print(getResolvedOptions(sys.argv, ['colour', 'depth']), os.environ['ROLE'], words.HELLO)\n"
        "print('beside', file=sys.stderr)\nprint(sys.argv[1:])"
    )
    cloud.objects["s3://code/words.py"] = "HELLO = 'hello'"
    arguments = {"--colour": "red", "--depth": "3", "--extra-py-files": "s3://code/words.py"}
    run_id = api.StartJobRun(JobName="shell", Arguments=arguments)["JobRunId"]
    event = cloud.ended(run_id)
    assert run_id.startswith("jr_")
    assert (event["source"], event["type"], event["resources"]) == ("aws.glue", "Glue Job State Change", [])
    assert event["detail"] == {
        "jobName": "shell",
        "severity": "INFO",
        "state": "SUCCEEDED",
        "jobRunId": run_id,
        "message": "Job run succeeded",
    }
    run = api.GetJobRun(JobName="shell", RunId=run_id)["JobRun"]
    assert (run["JobRunState"], run["Arguments"], run["Timeout"]) == ("SUCCEEDED", arguments, 2880)
    assert run["StartedOn"] <= run["CompletedOn"]
    output, errors = eventually(lambda: cloud.logs if len(cloud.logs) == 2 else None)
    assert (output["logGroupName"], errors["logGroupName"]) == (
        "/aws-glue/python-jobs/output",
        "/aws-glue/python-jobs/error",
    )
    assert output["logStreamName"] == errors["logStreamName"] == run_id
    assert [line["message"] for line in output["logEvents"]] == [
        "{'colour': 'red', 'depth': '3'} arn:aws:iam::123456789012:role/boxcar hello",
        "['--colour', 'red', '--depth', '3']",
    ]
    assert [line["message"] for line in errors["logEvents"]] == ["beside"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise ValueError('the rows are odd')", "ValueError: the rows are odd"),
        ("import sys; sys.exit(4)", "SystemExit: 4"),
        ("import os; os._exit(5)", "Command failed with exit code 5"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        (
            "import sys; from awsglue.utils import getResolvedOptions; getResolvedOptions(sys.argv, ['x'])",
            "awsglue.utils.GlueArgumentError: the following arguments are required: --x",
        ),
    ],
)
def test_a_script_fails(cloud, api, script, message):
    cloud.objects["s3://code/main.py"] = script
    run_id = api.StartJobRun(JobName="shell")["JobRunId"]
    detail = cloud.ended(run_id)["detail"]
    assert (detail["state"], detail["severity"], detail["message"]) == ("FAILED", "ERROR", message)
    assert api.GetJobRun(JobName="shell", RunId=run_id)["JobRun"]["ErrorMessage"] == message


def test_a_script_that_is_not_there_and_a_role_that_is_not(cloud, api):
    run_id = api.StartJobRun(JobName="shell", Arguments={"--scriptLocation": "s3://code/other.py"})["JobRunId"]
    assert cloud.ended(run_id)["detail"]["message"] == "NoSuchKey: no s3://code/other.py"
    define(api, "other", Role="arn:aws:iam::123456789012:role/nobody")
    run_id = api.StartJobRun(JobName="other")["JobRunId"]
    assert "should be given assume role permissions for Glue Service" in cloud.ended(run_id)["detail"]["message"]


def test_no_more_runs_at_once_than_the_job_says(cloud, api):
    cloud.objects["s3://code/main.py"] = FOREVER
    runs = [api.StartJobRun(JobName="shell")["JobRunId"] for _ in range(2)]
    assert api.refused("StartJobRun", JobName="shell").startswith("ConcurrentRunsExceededException: ")
    assert api.BatchStopJobRun(JobName="shell", JobRunIds=runs[:1])["Errors"] == []
    assert cloud.ended(runs[0])["detail"]["message"] == "Job run stopped"
    third = api.StartJobRun(JobName="shell")["JobRunId"]
    listed = api.GetJobRuns(JobName="shell", MaxResults=2)
    assert [run["Id"] for run in listed["JobRuns"]] == [third, runs[1]]  # the newest first
    rest = api.GetJobRuns(JobName="shell", MaxResults=2, NextToken=listed["NextToken"])
    assert [run["Id"] for run in rest["JobRuns"]] == [runs[0]] and "NextToken" not in rest


def test_stopping_what_has_ended_is_told_in_the_answer(cloud, api):
    cloud.objects["s3://code/main.py"] = "pass"
    run_id = api.StartJobRun(JobName="shell")["JobRunId"]
    cloud.ended(run_id)
    answer = api.BatchStopJobRun(JobName="shell", JobRunIds=[run_id, "jr_0"])
    assert answer["SuccessfulSubmissions"] == []
    assert [error["JobRunId"] for error in answer["Errors"]] == [run_id, "jr_0"]
    assert state(api, run_id) == "SUCCEEDED"


def test_time_is_up_on_the_clouds_clock(tmp_path):
    cloud = FakeCloud(tmp_path, scale=120)  # a minute takes half a second
    cloud.objects["s3://code/main.py"] = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER
    api = Api(Glue(cloud))
    define(api)
    run_id = api.StartJobRun(JobName="shell", Timeout=1)["JobRunId"]
    detail = cloud.ended(run_id)["detail"]
    assert (detail["state"], detail["severity"], detail["message"]) == ("TIMEOUT", "WARN", "Job run timed out")
    assert 60 <= api.GetJobRun(JobName="shell", RunId=run_id)["JobRun"]["ExecutionTime"] < 3600
    api.service.close()


def test_a_restart_fails_what_ran_and_keeps_what_ended(cloud, api, tmp_path):
    cloud.objects["s3://code/main.py"] = FOREVER
    run_id = api.StartJobRun(JobName="shell")["JobRunId"]
    eventually(lambda: state(api, run_id) == "RUNNING")
    api.service.close()
    assert cloud.events == []
    again = FakeCloud(tmp_path)
    service = Glue(again)
    detail = again.ended(run_id)["detail"]
    assert (detail["state"], detail["message"]) == ("FAILED", "Internal service error : the run was lost")
    assert Api(service).GetJob(JobName="shell")["Job"]["Role"] == "boxcar"
    service.close()


@pytest.mark.parametrize(
    ("action", "request_", "words"),
    [
        ("StartJobRun", {"JobName": "none"}, "EntityNotFoundException: Failed to find job none"),
        ("StartJobRun", {}, "InvalidInputException: JobName must not be null"),
        ("StartJobRun", {"JobName": "shell", "Timeout": 20_000}, "InvalidInputException: Timeout"),
        ("StartJobRun", {"JobName": "shell", "JobRunQueuingEnabled": True}, "does not implement JobRunQueuingEnabled"),
        ("GetJobRun", {"JobName": "shell", "RunId": "jr_0"}, "EntityNotFoundException: Job Run jr_0"),
        ("CreateJob", {"Name": "shell", "Role": "r", "Command": {"ScriptLocation": "s3://x"}}, "AlreadyExists"),
        ("CreateJob", {"Name": "new", "Role": "r", "Command": {"Name": "pythonshell"}}, "ScriptLocation"),
        ("StartCrawler", {"Name": "x"}, "UnknownOperationException"),
    ],
)
def test_what_is_refused(api, action, request_, words):
    assert words in api.refused(action, **request_)


def test_spark_is_refused_rather_than_pretended(api):
    define(api, "spark", Command={"Name": "glueetl", "ScriptLocation": "s3://code/main.py"})
    assert "pythonshell jobs alone, not glueetl" in api.refused("StartJobRun", JobName="spark")


def test_jobs_are_changed_and_deleted(api):
    update = {"Role": "other", "Command": {"Name": "pythonshell", "ScriptLocation": "s3://code/new.py"}}
    api.UpdateJob(JobName="shell", JobUpdate=update)
    job = api.GetJob(JobName="shell")["Job"]
    assert (job["Role"], job["ExecutionProperty"]) == ("other", {"MaxConcurrentRuns": 1})
    assert api.ListJobs()["JobNames"] == ["shell"]
    api.DeleteJob(JobName="shell")
    assert api.GetJobs()["Jobs"] == []
