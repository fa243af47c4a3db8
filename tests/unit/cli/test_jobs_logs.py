import json
import time
from datetime import UTC, datetime

import pytest

from cli.jobs import logs
from tests.unit.cli.conftest import iso


class ResourceNotFoundException(Exception):  # noqa: N818
    pass


class Logs:
    """CloudWatch Logs: streams of one group, pages of two events, tokens that come back at the end."""

    class exceptions:  # noqa: N801
        ResourceNotFoundException = ResourceNotFoundException

    def __init__(self):
        self.streams: dict[str, list[tuple[int, str]]] = {}
        self.reads = 0

    def get_paginator(self, name):
        assert name == "describe_log_streams"
        return self

    def paginate(self, logGroupName, logStreamNamePrefix):  # noqa: N803
        if not self.streams:
            raise ResourceNotFoundException
        names = [name for name in self.streams if name.startswith(logStreamNamePrefix)]
        return [{"logStreams": [{"logStreamName": name}]} for name in names]

    def get_log_events(self, logGroupName, logStreamName, startFromHead, nextToken="f/0"):  # noqa: N803
        assert startFromHead and logGroupName == "/aws/sagemaker/TrainingJobs"
        self.reads += 1
        start = int(nextToken.removeprefix("f/"))
        page = self.streams[logStreamName][start : start + 2]
        events = [{"timestamp": at, "message": text} for at, text in page]
        return {"events": events, "nextForwardToken": f"f/{start + len(page)}"}


@pytest.fixture
def cloudwatch(fake):
    fake.clients["logs"] = Logs()
    return fake.clients["logs"]


def attempt(job, number, **more):
    return {
        "number": number, "name": f"{job}-{number}", "arn": f"arn:{number}", "pool": "training/ml.m5.large",
        "instance_type": "ml.m5.large", "units": 1, "launched": "2026-01-01T00:00:00.000Z", "started": None, "ended": None,
        "billable_seconds": 0, "failure": "", "reason": "",
    } | more  # fmt: skip


def running(fake, latest=1, **more):
    job = fake.add("trees", status="InProgress", attempt=latest)
    name = job["job"]
    job["attempts"] = [attempt(name, number) for number in range(1, latest + 1)]
    job["logs"] = {"group": "/aws/sagemaker/TrainingJobs", "prefix": f"{name}-{latest}/"}
    job.update(more)
    return job


def test_what_the_latest_attempt_printed(boxcar_jobs, fake, cloudwatch):
    job = running(fake, 2)
    cloudwatch.streams = {
        f"{job['job']}-1/algo-1-9": [(1000, "old")],
        f"{job['job']}-2/algo-1-9": [(1000 + n, f"line {n}\n") for n in range(5)],
    }
    assert boxcar_jobs("logs", "trees").output.splitlines() == [f"line {n}" for n in range(5)]
    assert boxcar_jobs("logs", "trees", "--attempt", "1").output == "old\n"
    assert "there is no such attempt; there are: 1, 2" in boxcar_jobs("logs", "trees", "--attempt", "3").output
    told = json.loads(boxcar_jobs("logs", "trees", "--json").stdout.splitlines()[0])
    assert (told["attempt"], told["time"], told["message"]) == (2, "1970-01-01T00:00:01.000Z", "line 0")
    assert boxcar_jobs("logs", "trees", "--timestamps").output.startswith("1970-01-01T00:00:01.000Z  line 0")


def test_lines_of_several_machines_come_in_the_order_of_their_times(boxcar_jobs, fake, cloudwatch):
    job = running(fake)
    cloudwatch.streams = {
        f"{job['job']}-1/algo-1-9": [(1000, "a"), (3000, "c")],
        f"{job['job']}-1/algo-2-9": [(2000, "b"), (4000, "d")],
    }
    assert boxcar_jobs("logs", "trees").output.split() == ["a", "b", "c", "d"]


def test_a_job_that_waits_has_printed_nothing(boxcar_jobs, fake, cloudwatch):
    fake.add("trees", waiting_for="ResourceLimitExceeded")
    done = boxcar_jobs("logs", "trees")
    assert done.exit_code == 1 and "is New and has printed nothing yet: ResourceLimitExceeded; -f waits" in done.output


def test_a_group_that_is_not_there_yet_is_no_error(boxcar_jobs, fake, cloudwatch):
    running(fake)
    assert "has printed nothing" in boxcar_jobs("logs", "trees").output


def test_following_goes_over_attempts_and_ends_with_the_job(fake, cloudwatch, capsys):
    """It waits, prints, fails, is tried again, prints more; the last line comes after the end was known."""
    job = running(fake, status="New", attempt=0, attempts=[], logs=None, waiting_for="its turn")
    name = job["job"]
    said = []
    steps = iter(range(100))

    def sleep(seconds):
        step = next(steps)
        now = iso(datetime.fromtimestamp(time.time(), UTC))
        if step == 0:
            running(fake)
            cloudwatch.streams[f"{name}-1/algo-1-1"] = [(1000, "one")]
        if step == 1:
            cloudwatch.streams[f"{name}-1/algo-1-1"] += [(1001, "two"), (1002, "three")]
            fake.jobs[name].update(status="New", waiting_for="attempt 1 ended with AlgorithmError")
        if step == 2:
            running(fake, 2)
            cloudwatch.streams[f"{name}-2/algo-1-2"] = [(2000, "four")]
        if step == 3:
            fake.jobs[name].update(status="Failed", failure="AlgorithmError", reason="exit code 1", ended=now)
        if step == 4:
            cloudwatch.streams[f"{name}-2/algo-1-2"] += [(2001, "five")]

    code = logs.follow(fake, dict(job), lambda *line: said.append((line[0], line[3])), sleep=sleep)
    assert code == 1
    assert said == [(1, "one"), (1, "two"), (1, "three"), (2, "four"), (2, "five")]
    told = capsys.readouterr().err
    for words in (
        "trees is New: its turn",
        "attempt 1 on ml.m5.large",
        "attempt 2 on ml.m5.large",
        "trees Failed: AlgorithmError",
    ):
        assert words in told
    assert next(steps) < 12, "it ends soon after the job"


def test_following_what_ended_long_ago_does_not_wait(fake, cloudwatch):
    job = running(fake, status="Completed", ended="2026-01-01T00:00:00.000Z")
    cloudwatch.streams = {f"{job['job']}-1/algo-1-1": [(1, "a")]}

    def sleep(seconds):
        pytest.fail("it waited")

    assert logs.follow(fake, job, lambda *line: None, sleep=sleep) == 0


def test_a_statement_prints_nothing_that_is_kept(boxcar_jobs, fake, cloudwatch):
    running(fake, kind="statement", logs=None)
    done = boxcar_jobs("logs", "trees")
    assert done.exit_code == 1 and "a statement prints nothing that is kept" in done.output
