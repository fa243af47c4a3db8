"""A bucket, both tables and a model registry, with one run that has trained and evaluated a model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.comparisons import compare, stored_verdict
from boxcar.jobs.names import job_id
from boxcar.plans import Gate, ModelPlan, Plan, plan_key
from boxcar.registry.origins import origin_of
from boxcar.registry.packages import Packages
from boxcar.registry.registration import Candidate, Registered, register
from boxcar.registry.table import ModelsTable
from boxcar.run_outputs import RunOutputs
from boxcar.steps import Code, Step
from boxcar.verdicts import Verdict
from tests.unit.judging.memory import MemoryDynamoDB, MemoryRegistry, MemoryS3
from tests.unit.tables import make_tables

STACK, BUCKET, JOBS, MODELS = "boxcar", "boxcar-data", "boxcar-jobs", "boxcar-models"
FAMILY, MODEL = "packaging", "mailer"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/xgboost:3.0-5"
CODE = Code(digest="c" * 16, archive=f"s3://{BUCKET}/code/t.tar.gz", prefix=f"s3://{BUCKET}/code/t/")


def evaluation(
    score: float | None = 0.9, labels: dict[str, int] | None = None, rows: int = 1000, **more: Any
) -> dict[str, Any]:
    """An evaluation.json, as simple as one may be."""
    return {
        **more,
        "schema": 1,
        "model": MODEL,
        "rows": {"train": rows * 8 // 10, "validation": rows - rows * 8 // 10},
        "scores": {"roc_auc": score, "average_precision": 0.8, "log_loss": 0.3},
        "threshold": 0.5,
        "confusion": {"tp": 40, "fp": 10, "fn": 8, "tn": 142},
        "labels": labels or {"0": rows * 3 // 4, "1": rows // 4},
        "importances": {"weight": 0.6, "brand": 0.4},
    }


def model_plan(interface: str = "i" * 16, code: str = "c" * 16, gate: Gate | None = None) -> ModelPlan:
    """A plan of four steps, like those of boosted trees."""
    steps = [
        Step(name="prepare", kind="processing", outputs=["train", "validation"]),
        Step(name="train", kind="training", image="xgboost", script="train.py", code=CODE, outputs=["model"]),
        Step(
            name="predict",
            kind="transform",
            image="xgboost",
            script="serve.py",
            code=CODE,
            outputs=["predictions"],
            options={"content_type": "text/csv", "accept": "text/csv"},
        ),
        Step(name="evaluate", kind="processing", outputs=["evaluation"]),
    ]
    return ModelPlan(
        model=MODEL,
        family=FAMILY,
        architecture="boosted_trees",
        interface_digest=interface,
        code_digest=code,
        parameters={"rounds": 200, "learning_rate": 0.15, "balanced": False},
        label="is_mailer",
        features={"numeric": ["weight"], "categorical": ["brand"]},
        gate=gate or Gate(),
        steps=steps,
    )


@dataclass
class Stack:
    """What Compare and Register work on. `clients` may be replaced by ones that fail on purpose; `world` never fails."""

    clients: dict[str, Any]
    world: dict[str, Any]
    family: str = FAMILY

    def fresh(self, family: str) -> "Stack":
        """Another family, without versions."""
        return replace(self, family=family)

    def with_clients(self, **clients: Any) -> "Stack":
        """The same world, seen through other clients."""
        return replace(self, clients={**self.clients, **clients})

    def artifact(self, version: str) -> bytes:
        key = f"models/{self.family}/{MODEL}/{version}/model.tar.gz"
        body: bytes = self.world["s3"].get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def trained(self, run: str, plan: ModelPlan | None = None, **figures: Any) -> None:
        """A run that has got as far as Compare."""
        plan = (plan or model_plan()).model_copy(update={"family": self.family})
        whole = Plan(
            run=run,
            family=self.family,
            family_version=1,
            family_file="families/packaging.yaml",
            source="api",
            requested_by="",
            created_at="2026-01-05T03:00:00+00:00",
            steps=[],
            waves=[[MODEL]],
            models={MODEL: plan},
        )
        s3 = self.world["s3"]
        s3.put_object(Bucket=BUCKET, Key=plan_key(run), Body=whole.model_dump_json().encode())
        for step, output, name, body in (
            ("train", "model", "boxcar-x/output/model.tar.gz", f"artifact of {run}".encode()),
            ("evaluate", "evaluation", "evaluation/evaluation.json", json.dumps(evaluation(**figures)).encode()),
        ):
            key = f"runs/{run}/{MODEL}/{step}/1/{name}"
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            uri = f"s3://{BUCKET}/{key.removesuffix('evaluation.json')}"
            self.world["dynamodb"].put_item(
                TableName=JOBS,
                Item={
                    "pk": {"S": f"job#{job_id(STACK, run, MODEL, step)}"},
                    "run": {"S": run},
                    "model": {"S": MODEL},
                    "step": {"S": step},
                    "status": {"S": "Completed"},
                    "outputs": {"M": {output: {"S": uri}}},
                },
            )

    def read_by_evaluate(self, run: str, address: str) -> None:
        """The evaluate job of a run had this artifact for the approved version's."""
        key = {"pk": {"S": f"job#{job_id(STACK, run, MODEL, 'evaluate')}"}}
        item = self.world["dynamodb"].get_item(TableName=JOBS, Key=key, ConsistentRead=True)["Item"]
        item["inputs"] = {"M": {"approved_model": {"S": address}}}
        self.world["dynamodb"].put_item(TableName=JOBS, Item=item)

    @property
    def table(self) -> ModelsTable:
        return ModelsTable(self.clients["dynamodb"], MODELS, pause=lambda _: None)

    @property
    def packages(self) -> Packages:
        return Packages(self.clients["sagemaker"], STACK)

    def outputs(self, run: str) -> RunOutputs:
        s3, dynamodb = self.clients["s3"], self.clients["dynamodb"]
        return RunOutputs(s3, dynamodb, bucket=BUCKET, jobs_table=JOBS, stack=STACK, run=run)

    def compare(self, run: str) -> Verdict:
        return compare(MODEL, self.outputs(run), self.table, self.clients["s3"], BUCKET, "2026-01-05T04:00:00+00:00")

    def register(self, run: str) -> Registered:
        outputs = self.outputs(run)
        plan = outputs.model_plan(MODEL)
        verdict = stored_verdict(self.clients["s3"], BUCKET, run, MODEL)
        assert verdict is not None
        candidate = Candidate(
            run=run,
            plan=plan,
            verdict=verdict,
            artifact=outputs.output(plan, "model"),
            evaluation=outputs.output(plan, "evaluation") + "evaluation.json",
            image=IMAGE,
            environment={"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": CODE.archive},
            created="2026-01-05T04:00:01+00:00",
            origin=origin_of(outputs.plan, plan, outputs, self.clients["s3"], IMAGE),
        )
        return register(candidate, self.table, self.packages, self.clients["s3"], BUCKET)

    def judged(self, run: str, plan: ModelPlan | None = None, **figures: Any) -> Registered:
        """A whole run: trained, compared, registered."""
        self.trained(run, plan, **figures)
        self.compare(run)
        return self.register(run)


@pytest.fixture
def memory() -> Stack:
    """The same without moto: fast enough to register hundreds of times."""
    clients = {"s3": MemoryS3(), "dynamodb": MemoryDynamoDB(), "sagemaker": MemoryRegistry()}
    return Stack(clients, clients)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        clients = {name: boto3.client(name) for name in ("s3", "dynamodb", "sagemaker")}
        clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        make_tables(clients["dynamodb"], JOBS, MODELS)
        yield Stack(clients, clients)
