"""The packaging family's runs without a state machine: every step in order, on fakes and in virtual time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxcar.attributes import encode_all
from boxcar.families import AppliedArchitecture, Family, FamilyVersion
from boxcar.jobs.cache import components_of
from boxcar.jobs.record import COMPLETED, Job
from boxcar.jobs.submit import StepRequest
from boxcar.planning import make_plan
from boxcar.plans import Plan
from boxcar.requests import TrainingRequest, Trigger
from boxcar.steps import Code
from cli.architectures import read_architectures, read_yaml
from tests.unit.jobs.conftest import World

CODE = Code(digest="c0de", archive="s3://data/code/t-c0de.tar.gz", prefix="s3://data/code/t-c0de/")
DOCUMENT = read_yaml(Path("families/packaging.yaml")) | {"inference": None}  # some tests leave models out
ARCHITECTURES = read_architectures(Path("models"))


def version(code: Code = CODE, number: int = 1, **changes: Any) -> FamilyVersion:
    """The family as it is stored; `changes` replace fields of its document."""
    family = Family.model_validate({**DOCUMENT, **changes})
    applied = {name: AppliedArchitecture(spec=spec, code=code) for name, spec in ARCHITECTURES.items()}
    return FamilyVersion(number=number, file="families/packaging.yaml", family=family, architectures=applied)


def plan(run: str, *restart_of: str, of: FamilyVersion | None = None, **request: Any) -> Plan:
    asked = TrainingRequest(family="packaging", requested_by="ann", **request)
    trigger = Trigger(asked, "api", None, restart_of)
    return make_plan(trigger, of or version(), run, "2026-01-01T00:00:00Z")


def steps(of: Plan) -> Iterator[tuple[str, str]]:
    """Model and step, in the order they run."""
    yield from (("", step.name) for step in of.steps)
    for wave in of.waves:
        for model in wave:
            yield from ((model, step.name) for step in of.models[model].steps)


@dataclass
class Runs:
    """Drives plans, and does what jobs and Register would do: write outputs, approve versions."""

    world: World
    rows: str = "rows of the first week"  # what the warehouse holds
    ran: list[tuple[str, str, str]] = field(default_factory=list)  # run, model, step of every job that completed

    def run(self, of: Plan, stop_at: int | None = None, finish: bool = True) -> dict[tuple[str, str], Job]:
        """Run a plan.

        Args:
            of: the plan.
            stop_at: number of the step at which the run is killed.
            finish: that step ends before; else its job is stopped with the run.
        """
        jobs = {}
        for number, (model, step) in enumerate(steps(of)):
            job = self.submit(of, model, step)
            if job.status != COMPLETED:
                last = number == stop_at and not finish
                if last:
                    self.world.launch()
                    self.world.monitor().stop_run(of.run, "the end of the run")
                self.world.run()
                job = self.ended(job)
                if last:
                    return jobs
                assert job.status == COMPLETED, job.reason
                self.ran.append((of.run, model, step))
                self._write(job)
            jobs[model, step] = job
            if step == "evaluate" and not job.hit:
                self._approve(of, model, jobs)
            if number == stop_at:
                return jobs
        return jobs

    def submit(self, of: Plan, model: str, step: str) -> Job:
        request = StepRequest(run=of.run, model=model, step=step, task_token=f"{of.run}/{model}/{step}")
        job = self.world.submitter().submit_step(request, of)
        if job.status == COMPLETED:
            assert "output" in self.world.answer(request.task_token), "a hit answers its Task at once"
        return job

    def ended(self, job: Job) -> Job:
        found = self.world.table.get(job.id)
        assert found is not None
        return found

    def _write(self, job: Job) -> None:
        """Outputs that depend on what the step depends on, and for an unload on what the warehouse holds."""
        parts = components_of(job)
        assert parts is not None
        content = f"{self.rows if job.kind == 'statement' else ''}{sorted(parts.items())}".encode()
        for name, uri in job.outputs.items():
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            key += f"{name}.parquet" if key.endswith("/") else ""
            self.world.s3.put_object(Bucket=bucket, Key=key, Body=content)

    def _approve(self, of: Plan, model: str, jobs: dict[tuple[str, str], Job]) -> None:
        """Copy the artifact, move the pointer."""
        outputs = {}
        for name, step in (("model", "train"), ("evaluation", "evaluate")):
            uri = jobs[model, step].outputs[name]
            key = uri.removeprefix("s3://data/") + ("evaluation.parquet" if uri.endswith("/") else "")
            to = f"models/packaging/{model}/{of.run}/{name}"
            body = self.world.s3.get_object(Bucket="data", Key=key)["Body"].read()
            self.world.s3.put_object(Bucket="data", Key=to, Body=body)
            outputs[name] = f"s3://data/{to}"
        item = {"pk": f"model#packaging/{model}", "sk": "approved", "run": of.run, "outputs": outputs}
        self.world.dynamodb.put_item(TableName="models", Item=encode_all(item))


def with_code(**scripts: str) -> Code:
    """The code with other digests of some scripts, and so of the whole."""
    known = {"prepare.py": "p", "train.py": "t", "serve.py": "s", "evaluate.py": "e"}
    changed = known | {f"{name}.py": digest for name, digest in scripts.items()}
    return CODE.model_copy(update={"digest": "-".join(changed.values()), "scripts": changed})
