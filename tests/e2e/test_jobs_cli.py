"""`boxcar jobs` as a scientist uses it: from job files to mails, on a deployed stack with real training."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from boxcar.attributes import encode
from boxcar.jobs.record import iso
from cli.api import JobsApi, embedded_url
from cli.jobs import jobs as group
from cli.main import boxcar
from cli.session import Session
from local.client import wait_for
from tests.e2e.deployed import ROOT, Deployed
from tests.e2e.test_demo import BROWSER, OPTIONS

TREES = ROOT / "events/jobs/trees"
SMALL = {"rows": 1000, "rounds": 10}


class Command:
    """`boxcar --local jobs …` against one stack."""

    def __init__(self, stack: Deployed, folder: Path) -> None:
        self.stack = stack
        self.folder = folder

    def __call__(self, *arguments: Any) -> Result:
        before = ["--local", "--state", str(self.stack.session.state), "jobs"]
        return CliRunner().invoke(boxcar, [*before, *map(str, arguments)])

    def ok(self, *arguments: Any) -> str:
        done = self(*arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)
        return done.output

    def lines(self, *arguments: Any) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ok(*arguments, "--json").splitlines() if line.startswith("{")]

    def status(self, job: str) -> str:
        return str(self.lines("show", job)[0]["status"])

    def file(self, job: str, script: str | None = None, **more: Any) -> Path:
        """A job file; with a script of its own, a folder for it."""
        code = TREES
        if script is not None:
            code = self.folder / f"{job}-code"
            code.mkdir()
            (code / "train.py").write_text(script)
        step = {"name": "train", "kind": "training", "image": "xgboost", "script": "train.py", "outputs": ["model"]}
        document = {"job": job, "code": str(code), "step": step | more.pop("step", {}), **more}
        path = self.folder / f"{job}.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def limit(self, instances: int) -> None:
        """How many ml.m5.large the account may have for training."""
        limits = Path(self.stack.cloud.state) / "sagemaker/limits.json"
        limits.parent.mkdir(exist_ok=True)
        limits.write_text(json.dumps({"ml.m5.large for training job usage": instances}))


def training_jobs(jobs: Command) -> list[dict[str, Any]]:
    """What SageMaker knows of: all that was ever started."""
    pages = jobs.stack.session.client("sagemaker").get_paginator("list_training_jobs").paginate()
    return [job for page in pages for job in page["TrainingJobSummaries"]]


@pytest.fixture(scope="module")
def jobs(empty_stack: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    command = Command(empty_stack, tmp_path_factory.mktemp("files"))
    for owner in ("ann", "ben"):
        command.ok("subscribe", f"{owner}@example.com", "--owner", owner)
    yield command


def test_a_sweep_is_submitted_watched_listed_and_its_log_read(jobs: Command) -> None:
    grid = {"step.config.max_depth": [2, 4, 6], "step.config.eta": [0.1, 0.5]}
    file = jobs.file("trees", step={"config": SMALL}, sweep={"name": "depths", "grid": grid}, owner="ann")
    out = jobs.ok("submit", file, "--watch")
    assert "6 jobs were submitted, 0 were known already" in out and "Completed 6" in out
    found = jobs.lines("list", "--sweep", "depths", "--status", "completed")
    assert sorted(job["run"] for job in found) == [f"ann/trees-{number}" for number in range(1, 7)]
    assert len(jobs.lines("list", "--tag", "eta=0.5", "--owner", "ann")) == 3
    shown = jobs.lines("show", "trees-6", "--owner", "ann")[0]
    assert shown["document"]["config"] == {**SMALL, "max_depth": 6, "eta": 0.5}
    assert shown["outputs"]["model"].endswith("/model.tar.gz") and len(shown["attempts"]) == 1
    log = jobs.ok("logs", "trees-6", "--owner", "ann")
    assert re.search(r'metrics \{"logloss": 0\.\d+, "auc": 0\.\d+\}', log)
    assert "Completed" in jobs.ok("explain", shown["job"][:-1], "--owner", "ann")


def test_the_same_command_again_starts_nothing(jobs: Command) -> None:
    before = training_jobs(jobs)
    out = jobs.ok("submit", jobs.folder / "trees.yaml")
    assert "0 jobs were submitted, 6 were known already" in out
    assert training_jobs(jobs) == before


def test_after_a_failure_in_the_middle_of_a_call_the_same_command_submits_the_rest(jobs: Command) -> None:
    """DynamoDB refuses after the tenth job, until somebody mends it."""
    jobs.limit(2)
    file = jobs.file("many", "print('done')", sweep={"list": [{"tags.n": str(n)} for n in range(30)]})
    jobs.stack.cloud.add_fault(
        service="dynamodb",
        action="PutItem",
        caller="boxcar-*erve*obs*",
        error="InternalServerError",
        status=500,
        after=10,
    )
    done = jobs("submit", file)
    assert done.exit_code == 1 and "the same command again submits only the rest" in done.output, done.output
    assert 1 <= len(jobs.lines("list", "--sweep", "many")) < 30
    jobs.stack.cloud.forget_faults()
    out = jobs.ok("submit", file)
    told = re.search(r"(\d+) jobs were submitted, (\d+) were known already", out)
    assert told and int(told[1]) > 0 and int(told[2]) > 0 and int(told[1]) + int(told[2]) == 30, out
    assert len(jobs.lines("list", "--sweep", "many")) == 30
    jobs.ok("watch", "--sweep", "many", "--every", "1")
    names = [job["TrainingJobName"] for job in training_jobs(jobs) if "-many-" in job["TrainingJobName"]]
    assert len(names) == len(set(names)) == 30, "each ran once"


def test_other_contents_under_a_known_name_are_refused(jobs: Command) -> None:
    done = jobs("submit", jobs.folder / "trees.yaml", "--set", "step.config.rounds=11")
    assert done.exit_code == 1
    assert "job trees-1: step.config" in done.output and "--set job=NAME" in done.output


def test_bad_files_submit_nothing(jobs: Command) -> None:
    good = jobs.file("good", step={"config": SMALL})
    bad = jobs.file("bad", step={"image": "unheard-of"})
    done = jobs("submit", good, bad)
    assert done.exit_code == 2, done.output
    assert f"{bad}:1: job bad: step.image: 'unheard-of' is not known; write one of xgboost" in done.output
    worse = jobs.file("worse", step={"kind": "trainig", "max_runtme_s": 4})
    done = jobs("submit", good, bad, worse)
    assert done.exit_code == 2 and "2 things are wrong" in done.output
    assert "step.max_runtme_s: is not a field; write max_runtime_s" in done.output
    assert jobs("show", "good").exit_code == 1, "the good one was not submitted either"


def test_a_failing_job_is_followed_over_its_attempts_and_explained(jobs: Command) -> None:
    script = "print('the rows are here'); raise ValueError('no label')"
    jobs.ok("submit", jobs.file("broken", script, step={"max_attempts": 2}), "--owner", "ben")
    done = jobs("logs", "broken", "-f", "--owner", "ben")
    assert done.exit_code == 1
    assert done.stdout.splitlines().count("the rows are here") == 2 and "attempt 2 on ml.m5.large" in done.stderr
    assert "broken Failed: AlgorithmError" in done.stderr
    told = jobs.ok("explain", "broken", "--owner", "ben")
    assert "Failed after 2 attempts: AlgorithmError" in told and "What to do:" in told


def test_a_waiting_job_is_explained_a_running_one_stopped_and_tried_again(jobs: Command) -> None:
    jobs.limit(1)
    try:
        file = jobs.file("slow", "import time; time.sleep(300)", sweep={"list": [{"tags.n": str(n)} for n in range(3)]})
        jobs.ok("submit", file)
        running = wait_for(lambda: jobs.lines("list", "--sweep", "slow", "--status", "InProgress"), 60)[0]["job"]
        waiting = wait_for(lambda: jobs.lines("list", "--sweep", "slow", "--status", "New"), 30)
        last = max(job["run"].partition("/")[2] for job in waiting)
        told = wait_for(lambda: text if "pool" in (text := jobs.ok("explain", last)) else "", 30)
        assert "training/ml.m5.large has 1 of 1 in use" in told and "max_wait_s" in told
        assert "is being stopped" in jobs.ok("stop", running)
        wait_for(lambda: jobs.status(running) == "Stopped", 60, every=0.5)
        assert "is tried again" in jobs.ok("retry", running)
        assert jobs.status(running) != "Stopped"
        assert "3 of 3" in jobs.ok("stop", "--sweep", "slow")
        done = jobs("watch", "--sweep", "slow", "--every", "1")
        assert done.exit_code in (0, 1)
        assert {job["status"] for job in jobs.lines("list", "--sweep", "slow")} == {"Stopped"}
        assert jobs("stop", running).exit_code == 1, "it has ended"
    finally:
        jobs.limit(100)


def test_the_examples_run(jobs: Command) -> None:
    """The statement needs a warehouse with data; the others need nothing."""
    out = jobs.ok("submit", ROOT / "events/jobs/count-labels.yaml", "--watch")
    assert "Completed 1" in out
    assert len(jobs.ok("submit", ROOT / "events/jobs", "--dry-run").splitlines()) >= 16


def test_statistics_as_a_table_and_as_a_page(jobs: Command, tmp_path: Path) -> None:
    prices, page = tmp_path / "prices.csv", tmp_path / "stats.html"
    prices.write_text("instance_type,usd_per_hour\nml.m5.large,3600\n")
    table = jobs.ok("stats", "--by", "owner", "--prices", prices, "--page", page)
    assert re.search(r"ann +6 +6 +0", table) and "AlgorithmError" in table
    told = jobs.lines("stats", "--owner", "ann", "--prices", prices)[0]
    assert told["all"]["jobs"] == 6 and told["all"]["usd"] > 0
    if BROWSER is None:
        pytest.skip("no browser on this machine; `make setup-browser` installs one on Debian")
    shot = tmp_path / "page.png"
    subprocess.run(
        [BROWSER, *OPTIONS.split(), f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1800",
         f"--screenshot={shot}", page.as_uri()],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert shot.stat().st_size > 50_000, "the page is nearly empty"


def make_digest_due(session: Session, owner: str) -> None:
    """Nobody waits for the minute after which what has ended is mailed."""
    table = session.client("dynamodb")
    with suppress(table.exceptions.ConditionalCheckFailedException):
        table.update_item(
            TableName=session.outputs["JobsTableName"], Key={"pk": encode(f"digest#{owner}")},
            UpdateExpression="SET due = :now", ConditionExpression="attribute_exists(due)",
            ExpressionAttributeValues={":now": encode(iso(time.time()))},
        )  # fmt: skip


def test_each_scientist_hears_of_her_own_jobs_alone(jobs: Command) -> None:
    """Ann's sweep is one digest, Ben's job one mail."""

    def mails(owner: str) -> list[str]:
        return [f"{mail.subject}\n{mail.text}" for mail in jobs.stack.cloud.mails(f"{owner}@example.com")]

    def tick() -> bool:
        for owner in ("ann", "ben"):
            make_digest_due(jobs.stack.session, owner)
        jobs.stack.cloud.fire_schedule("boxcar-sweep")
        return bool(mails("ann") and mails("ben"))

    wait_for(tick, 60, every=1, why="no digest came")
    assert any("depths" in mail and "6" in mail for mail in mails("ann")), mails("ann")
    assert any("broken" in mail and "AlgorithmError" in mail for mail in mails("ben")), mails("ben")
    assert not any("broken" in mail for mail in mails("ann"))
    assert not any("depths" in mail for mail in mails("ben"))


class Scientist(Session):
    """A session with the keys of an IAM user who has the two policies of the stack and nothing else."""

    keys: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.cloud.endpoint, region_name=self.cloud.region, **self.keys)

    @cached_property
    def api(self) -> JobsApi:
        credentials = Credentials(self.keys["aws_access_key_id"], self.keys["aws_secret_access_key"])
        return JobsApi(embedded_url(self.outputs["JobsApiUrl"], self.cloud.endpoint), self.cloud.region, credentials)


def scientist(stack: Deployed, name: str, *policies: str) -> Scientist:
    iam = stack.session.client("iam")
    iam.create_user(UserName=name)
    for policy in policies:
        iam.attach_user_policy(UserName=name, PolicyArn=stack.session.outputs[policy])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    session = Scientist(stack=stack.session.stack, local=True, state=stack.session.state)
    session.keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return session


def test_the_two_policies_are_all_that_a_scientist_needs(jobs: Command, tmp_path: Path) -> None:
    """Her user's name is her jobs' owner."""
    cho = scientist(jobs.stack, "cho", "JobsApiCallersArn", "JobsCommandUsersArn")

    def run(*arguments: Any) -> str:
        done = CliRunner().invoke(group, list(map(str, arguments)), obj=cho, catch_exceptions=False)
        assert done.exit_code == 0, (arguments, done.output)
        return done.output

    assert "Completed 1" in run("submit", jobs.file("hers", TREES.joinpath("train.py").read_text()), "--watch")
    assert json.loads(run("show", "hers", "--json"))["owner"] == "cho"
    assert "metrics" in run("logs", "hers")
    assert "1 job: 1 completed" in run("stats", "--owner", "cho", "--page", tmp_path / "page.html")
    assert "no job of cho is open" in run("watch")
    assert "jobs of cho" in run("subscribe", "cho@example.com")
    with pytest.raises(ClientError, match="AccessDenied"):
        cho.client("s3").delete_object(Bucket=jobs.stack.bucket, Key="runs/x")


def test_who_may_not_call_the_api_is_told_so(jobs: Command) -> None:
    nobody = scientist(jobs.stack, "nobody", "JobsCommandUsersArn")
    done = CliRunner().invoke(group, ["list"], obj=nobody)
    assert done.exit_code == 1 and "execute-api:Invoke" in done.output, done.output


def test_a_folder_of_code_is_uploaded_once(jobs: Command) -> None:
    copy = jobs.folder / "trees"
    shutil.copytree(TREES, copy)
    listing = {"Bucket": jobs.stack.bucket, "Prefix": "code/trees-"}
    before = jobs.stack.session.client("s3").list_objects_v2(**listing)["KeyCount"]
    jobs.ok("submit", jobs.file("again", step={"config": SMALL}), "--set", f"code={copy}", "--watch")
    assert jobs.stack.session.client("s3").list_objects_v2(**listing)["KeyCount"] == before


RESUMES = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--checkpoints")
folder = pathlib.Path(parser.parse_known_args()[0].checkpoints)
done = int((folder / "epoch").read_text()) if (folder / "epoch").exists() else 0
print(f"goes on after epoch {done}")
(folder / "epoch").write_text(str(done + 3))
if done == 0:
    raise SystemExit("the machine is gone")
"""


def test_the_next_attempt_goes_on_where_the_last_one_was(jobs: Command) -> None:
    step = {"config": {"checkpoints": "/opt/ml/checkpoints"}, "resources": {"spot": "prefer"}, "max_attempts": 2}
    file = jobs.file("resumes", RESUMES, step=step, owner="ann")
    assert "Completed 1" in jobs.ok("submit", file, "--watch")
    (shown,) = jobs.lines("show", "resumes", "--owner", "ann")
    assert [attempt["failure"] for attempt in shown["attempts"]] == ["AlgorithmError", ""]
    assert {attempt["pool"] for attempt in shown["attempts"]} == {"spot/ml.m5.large"}
    assert "goes on after epoch 3" in jobs.ok("logs", "resumes", "--owner", "ann")
