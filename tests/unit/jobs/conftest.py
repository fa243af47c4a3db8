"""One stack in virtual time, with everything that moves its jobs along."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.jobs.launch import Launcher
from boxcar.jobs.monitor import Monitor
from boxcar.jobs.record import Job
from boxcar.jobs.references import ApprovedVersions
from boxcar.jobs.submit import JobRequest, StepRequest, Submitter
from boxcar.jobs.table import JobsTable
from boxcar.jobs.wakes import Work
from boxcar.plans import ModelPlan, Plan
from boxcar.settings import Settings
from boxcar.steps import Step
from tests.unit.jobs.fake_dynamodb import FakeDynamoDB
from tests.unit.jobs.fakes import Calls, Clock, FakeQueue, FakeRedshift, FakeS3, FakeSageMaker, FakeStates, Post
from tests.unit.tables import make_tables

CODE = {"digest": "d" * 16, "archive": "s3://data/code/trees-d.tar.gz", "prefix": "s3://data/code/trees-d/"}
SETTINGS = Settings(
    stack="boxcar",
    bucket="data",
    jobs_table="jobs",
    models_table="models",
    launch_queue_url="launch",
    events_queue_url="events",
    alarm_queue_url="alarms",
    job_role_arn="arn:aws:iam::123456789012:role/boxcar-job",
    warehouse_role_arn="arn:aws:iam::123456789012:role/boxcar-warehouse",
    redshift_workgroup="warehouse",
    redshift_database="retail",
    images={"xgboost": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/xgboost:3.0-5"},
    region="eu-west-1",
)


def make_step(name: str = "train", kind: str = "training", **fields: Any) -> Step:
    defaults: dict[str, Any] = {}
    if kind == "statement":
        defaults = {"outputs": ["data"], "options": {"unload": {"query": "select 1"}, "minimum_rows": 1}}
    elif kind == "transform":
        defaults = {"inputs": {"model": "s3://data/m.tar.gz", "data": "s3://data/d/"}, "outputs": ["predictions"]}
    elif kind == "processing":
        defaults = {"outputs": ["train"]}
    if kind != "statement":
        defaults |= {"image": "xgboost", "script": f"{name}.py", "code": CODE}
    return Step.model_validate({"name": name, "kind": kind, **defaults, **fields})


def make_plan(
    steps: list[Step], run_steps: list[Step] | None = None, run: str = "run-1", model: str = "mailer"
) -> Plan:
    model_plan = ModelPlan(
        model=model, family="packaging", architecture="boosted_trees", interface_digest="i", code_digest="c",
        parameters={}, label="label", features={"numeric": [], "categorical": []}, steps=steps,
    )  # fmt: skip
    return Plan(
        run=run, family="packaging", family_version=1, family_file="families/packaging.yaml", source="api",
        requested_by="ann", created_at="2026-01-01T00:00:00Z", steps=run_steps or [], waves=[[model]],
        models={model: model_plan},
    )  # fmt: skip


class World:
    def __init__(self, dynamodb: Any, s3: Any, settings: Settings = SETTINGS) -> None:
        self.clock = Clock()
        self.settings = settings
        self.dynamodb = dynamodb
        self.s3 = s3
        self.sagemaker = FakeSageMaker(self.clock)
        self.redshift = FakeRedshift(self.clock)
        self.states = FakeStates(self.clock)
        self.queue = FakeQueue()
        self.post = Post()
        self.calls = Calls(
            {"dynamodb": self.dynamodb, "s3": self.s3, "sagemaker": self.sagemaker, "redshift-data": self.redshift,
             "stepfunctions": self.states, "sqs": self.queue}
        )  # fmt: skip
        self.table = JobsTable(self.calls.client("dynamodb"), "jobs", pause=lambda _: None)
        self.pass_seconds = 1000.0

    def submitter(self) -> Submitter:
        return Submitter(
            table=self.table, settings=self.settings, states=lambda: self.calls.client("stepfunctions"),
            s3=lambda: self.calls.client("s3"),
            approved=ApprovedVersions(self.calls.client("dynamodb"), "models"), now=self.clock,
        )  # fmt: skip

    def submit(self, step: Step, token: str = "token", run: str = "run-1", plan: Plan | None = None) -> Job:
        plan = plan or make_plan([step], run=run)
        model = next(iter(plan.models)) if step in plan.models[next(iter(plan.models))].steps else ""
        request = StepRequest(run=plan.run, model=model, step=step.name, task_token=token)
        return self.submitter().submit_step(request, plan)

    def submit_own(self, name: str, step: Step, owner: str = "ann", **fields: Any) -> Job:
        request = JobRequest(job=name, step=step, owner=owner, **fields)
        return self.submitter().submit_jobs([request])[0].job

    def launch(self, **work: Any) -> Launcher:
        launcher = Launcher(
            table=self.table, clients=self.calls.client, settings=self.settings, now=self.clock,
            seconds_left=lambda: self.pass_seconds, jitter=lambda low, high: high,
        )  # fmt: skip
        launcher.run(Work(**(work or {"everything": True})))
        return launcher

    def monitor(self) -> Monitor:
        return Monitor(
            table=self.table, clients=self.calls.client, settings=self.settings, now=self.clock,
            seconds_left=lambda: 1000.0, jitter=lambda low, high: high,
        )  # fmt: skip

    def deliver(self) -> None:
        for service in (self.sagemaker, self.redshift):
            self.post.collect(service, self.clock())
        for event in self.post.due(self.clock()):
            self.monitor().hear(event)

    def step(self, seconds: float = 30.0) -> None:
        """Time passes: events arrive, the schedule fires, whoever is woken runs."""
        self.clock.time += seconds
        self.deliver()
        self.sweep()
        self.launch()

    def sweep(self) -> None:
        """What the schedule does each minute."""
        monitor = self.monitor()
        monitor.sweep()
        self.launch(jobs=monitor.ready)

    def run(self, hours: float = 6.0, seconds: float = 30.0) -> None:
        """Until nothing is left to do."""
        end = self.clock() + hours * 3600
        self.launch()
        while self.open_items() and self.clock() < end:
            self.step(seconds)

    def items(self, prefix: str = "job#", **filtered: str) -> list[dict[str, Any]]:
        found = self.dynamodb.scan(TableName="jobs", **filtered)["Items"]
        return [item for item in found if item["pk"]["S"].startswith(prefix)]

    def open_items(self) -> list[dict[str, Any]]:
        return self.items(FilterExpression="attribute_exists(queue)")

    def held(self) -> dict[str, int]:
        """Units by pool, of those that are in use."""
        leases = {item["pk"]["S"][6:]: int(item.get("held", {"N": "0"})["N"]) for item in self.items("lease#")}
        return {pool: units for pool, units in leases.items() if units}

    def digests(self) -> list[dict[str, Any]]:
        """What went to the alarm queue."""
        return [message for message in self.queue.messages if message["kind"] == "jobs_digest"]

    def answer(self, token: str = "token") -> dict[str, Any]:
        answer = dict(self.states.answers[token])
        if "output" in answer:
            answer["output"] = json.loads(answer["output"])
        return answer


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto, with what the stack has."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        make_tables(boto3.client("dynamodb"))
        boto3.client("s3").create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield


@pytest.fixture
def moto_world(aws: None) -> World:
    """DynamoDB and S3 as moto has them."""
    return World(boto3.client("dynamodb"), boto3.client("s3"))


@pytest.fixture
def world() -> World:
    """DynamoDB and S3 in memory: fast."""
    return World(FakeDynamoDB(), FakeS3())
