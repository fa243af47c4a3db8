"""A whole stack on an embedded cloud, as e2e tests use it: upload a trigger, wait for the run, read what people see."""

import copy
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boxcar.families import AppliedArchitecture, Family, FamilyVersion
from boxcar.family_store import FamilyStore
from boxcar.registry.differences import differences
from boxcar.registry.packages import Packages
from cli import retailer
from cli.architectures import read_architectures, read_yaml, upload_architecture
from cli.deploy import deploy
from cli.infer import start as start_inference
from cli.models.names import models_table
from cli.progress import find_execution, read_jobs
from cli.session import Session
from cli.warehouse import warehouse
from local import server
from local.client import wait_for
from local.mailbox import Mail
from tests.ports import free_port, keep_port, kept_port

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
ENDED = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}


@dataclass(frozen=True)
class Run:
    """A run that has ended."""

    name: str
    status: str
    error: str
    cause: str
    output: dict[str, Any] = field(default_factory=dict)


class Deployed:
    """The stack, by the same clients a user has."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.cloud = session.cloud
        self.bucket = session.outputs["BucketName"]
        self._document = read_yaml(ROOT / "families/packaging.yaml")

    def small_family(
        self, *models: str, where: str = "t.product_id % 16 = 0", cached: bool = False, name: str = "", **changes: Any
    ) -> str:
        """Store a family of a sixteenth of the rows, unless told under a name of its own; `changes` replace its fields.

        Its steps run, whatever other tests have done on this stack, unless it is `cached`.
        What is stored may be wrong on purpose: this writes to the table as somebody by hand would.
        """
        name = name or f"small_{uuid.uuid4().hex[:8]}"
        document = {**copy.deepcopy(self._document), "family": name}
        document["models"] = {model: document["models"][model] for model in models or ("mailer",)}
        inference, prices = document["inference"], document["inference"]["prices"]
        rows = f"SELECT t.*, 1 AS always FROM ({inference['query'].rstrip()}) t WHERE {where}"
        inference |= {"query": rows, "table": f"{name}_predictions", "view": f"{name}_recommended"}
        inference["prices"] = {model: prices[model] for model in document["models"]}
        query = document["source"]["query"].rstrip()
        # A column of one value, for a model that is to learn it.
        document["source"] = {"query": f"SELECT t.*, 1 AS always FROM ({query}) t WHERE {where}", "minimum_rows": 50}
        # So few rows can be held against the limits of differences, and no more.
        limits = ("metric", "max_score_drop", "max_label_shift", "max_row_change")
        document["gate"] = {**{name: document["gate"][name] for name in limits}, "min_score": 0.5}
        if not cached:
            steps = ("prepare", "train", "predict", "evaluate")
            document["defaults"] = {**document["defaults"], "steps": {step: {"cache": False} for step in steps}}
        models_folder = changes.pop("models_folder", MODELS)
        for path, value in changes.items():
            _set(document, path.split("__"), value)
        self.apply(document, models_folder)
        return name

    def apply(self, document: dict[str, Any], models_folder: Path = MODELS) -> None:
        """Store a family document as its next version, without the checks of `boxcar families apply`."""
        s3, store = self.session.client("s3"), self.store
        family = document["family"]
        architectures = {
            name: AppliedArchitecture(
                spec=spec, code=upload_architecture(models_folder / name, s3, self.bucket, family)
            )
            for name, spec in read_architectures(models_folder).items()
        }
        latest = store.latest(document["family"])
        number = latest.number + 1 if latest else 1
        family = Family.model_validate(document)
        store.append(
            FamilyVersion(
                number=number, file=f"families/{family.family}.yaml", family=family, architectures=architectures
            )
        )

    def upload(self, body: bytes | dict[str, Any], key: str | None = None) -> str:
        """Upload a trigger and return its key."""
        key = key or f"triggers/training/{uuid.uuid4().hex}.json"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.session.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
        return key

    def run(self, body: bytes | dict[str, Any], timeout_s: float = 120) -> Run:
        """Upload a trigger, and wait until the run it starts has ended."""
        before = set(self.executions())
        self.upload(body)
        return self.wait(self.started_since(before), timeout_s)

    def executions(self, machine: str = "Training") -> list[str]:
        """Names of all executions of a machine, newest first."""
        pages = self.session.client("stepfunctions").get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=self.session.outputs[f"{machine}MachineArn"])
        return [execution["name"] for page in found for execution in page["executions"]]

    def started_since(self, before: set[str], timeout_s: float = 30, machine: str = "Training") -> str:
        """The run that was not there before."""
        return wait_for(
            lambda: next((name for name in self.executions(machine) if name not in before), None), timeout_s, every=0.2
        )

    def wait(self, run: str, timeout_s: float = 120) -> Run:
        """Wait until a run has ended."""
        arn = self.execution_arn(run)

        def ended() -> Run | None:
            seen = self.session.client("stepfunctions").describe_execution(executionArn=arn)
            if seen["status"] not in ENDED:
                return None
            output = json.loads(seen.get("output") or "{}")
            return Run(run, seen["status"], seen.get("error", ""), seen.get("cause", ""), output)

        return wait_for(ended, timeout_s, every=0.2, why=f"run {run} did not end")

    def infer(self, request: dict[str, Any], timeout_s: float = 120) -> Run:
        """Start the inference machine, and wait until the run has ended."""
        return self.wait(start_inference(self.session, request), timeout_s)

    def execution_arn(self, run: str) -> str:
        """ARN of a run."""
        return str(find_execution(self.session, run)["executionArn"])

    @property
    def document(self) -> dict[str, Any]:
        """The packaging family, as its file has it."""
        return copy.deepcopy(self._document)

    def jobs(self, run: str) -> dict[str, dict[str, Any]]:
        """The jobs of a run by `model/step`."""
        return {f"{model}/{step}": job for (model, step), job in read_jobs(self.session, run).items()}

    def mails(self, run: str, kind: str = "alarm") -> list[Mail]:
        """Mails of a kind (`alarm`, `report`) that speak of a run."""
        return [mail for mail in self.cloud.mails() if f"[Boxcar {kind}]" in mail.subject and run in mail.text]

    def one_alarm(self, run: str, audience: str) -> str:
        """Wait for the alarm of a run; there must be one only, in the mailbox of that audience. Returns its text."""
        wait_for(lambda: self.mails(run), why=f"no alarm for run {run}")
        time.sleep(1.5)  # a second one would come about now
        mails = self.mails(run)
        assert [mail.to.split("@")[0] for mail in mails] == [audience], [(m.to, m.subject, m.text) for m in mails]
        return " ".join(f"{mails[0].subject} {mails[0].text}".split())  # as read, wherever the lines of a mail end

    def versions(self, family: str, model: str) -> list[dict[str, Any]]:
        """Registered versions of a model, newest first; `is_approved` marks the one that predicts."""
        table = models_table(self.session)
        approved = (table.approved(family, model) or {}).get("version")
        return [{**item, "is_approved": item["version"] == approved} for item in table.history(family, model)[::-1]]

    def disagreements(self, family: str, model: str) -> list[str]:
        """What SageMaker's registry and the models table do not agree on."""
        packages = Packages(self.session.client("sagemaker"), self.session.stack)
        return differences(family, model, models_table(self.session), packages, self.session.client("s3"))

    def load(self, week: int) -> dict[str, int]:
        """Fill the warehouse as of a week."""
        return retailer.load(warehouse(self.session), week)

    def change_schedule(self, name: str, **changes: Any) -> None:
        """Give a schedule another time or state."""
        scheduler = self.session.client("scheduler")
        known = scheduler.get_schedule(Name=name)
        kept = {key: known[key] for key in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
        scheduler.update_schedule(**{**kept, **changes})

    def pause_sweep(self) -> None:
        """Disable the one-minute schedule, whose ticks come with or without a run."""
        self.change_schedule(f"{self.session.stack}-sweep", State="DISABLED")

    def settle(self, quiet_s: float = 3) -> None:
        """Wait until no function has run for a while: mails and reports follow the end of a run."""
        seen, since = None, time.monotonic()
        while time.monotonic() - since < quiet_s:
            now = self.cloud.calls()["functions"]
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.2)

    @property
    def store(self) -> FamilyStore:
        return FamilyStore(self.session.client("dynamodb"), self.session.outputs["ModelsTableName"])


def _set(document: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        document = document.setdefault(part, {})
    document[path[-1]] = value


@contextmanager
def deployed_in(folder: Path) -> Iterator[Deployed]:
    """Start an empty cloud with its state in a folder, deploy the stack to it, and stop it in the end."""
    with _cloud(folder / "state", free_port()) as session:
        deploy(session, "local", quiet=True, build_folder=folder / "build")
        yield Deployed(session)


def deploy_once(folder: Path) -> Path:
    """Deploy the stack to an empty cloud in a folder, stop the cloud, and return its state, to be copied."""
    with deployed_in(folder) as deployed:
        state, port = deployed.session.state, urlsplit(deployed.cloud.endpoint).port
    keep_port(state, int(port or 0))
    return state


@contextmanager
def copy_of(state: Path, folder: Path) -> Iterator[Deployed]:
    """Start a cloud on a copy of what `deploy_once` left, and stop it in the end; one at a time: they share a port."""
    shutil.copytree(state, folder / "state")
    with _cloud(folder / "state", kept_port(state)) as session:
        yield Deployed(session)


@contextmanager
def _cloud(state: Path, port: int) -> Iterator[Session]:
    server.up(port, state, detach=True)
    try:
        yield Session(stack="boxcar", local=True, state=state)
    finally:
        server.down(state)
