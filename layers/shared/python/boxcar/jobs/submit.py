"""Store a job and return at once. The same submission again finds the job it made the first time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from boxcar import kinds
from boxcar.errors import StepError
from boxcar.jobs.answers import send_answer
from boxcar.jobs.names import job_id
from boxcar.jobs.record import COMPLETED, FAILED, HISTORY_S, STOPPED, Job, digest
from boxcar.jobs.references import Surroundings, resolve
from boxcar.jobs.table import Conflict, JobsTable
from boxcar.plans import Plan
from boxcar.settings import Settings
from boxcar.steps import Document, Step

MOST_CONFLICTS = 6


class StepRequest(Document):
    """A state machine asks for one step of its plan."""

    run: str
    model: str = ""  # "" for a step of the run itself
    step: str
    task_token: str = ""


class JobRequest(Document):
    """Somebody asks for a job of their own."""

    job: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")  # the caller's name for it: repeats are the same job
    step: Step
    owner: str = Field(min_length=1)
    family: str = ""  # whose approved versions `@<model>/approved.<output>` means


@dataclass
class Submitter:
    """What submitting needs."""

    table: JobsTable
    settings: Settings
    states: Callable[[], Any]  # the client is made only if there is something to answer
    approved_outputs: Callable[[str, str], dict[str, str] | None]
    now: Callable[[], float]

    def submit_step(self, request: StepRequest, plan: Plan) -> Job:
        """Submit one step of a run.

        Raises:
            StepError: the plan has no such model or step, or the step is not valid.
        """
        step, around = find_step(request, plan, self.settings.stack)
        return self._submit(step, around, plan.requested_by, request.task_token)

    def submit_job(self, request: JobRequest) -> Job:
        """Submit a job without a run. Its outputs lie where those of a run named `<owner>-<job>` would.

        Raises:
            StepError: the step is not valid.
        """
        run = f"{request.owner}-{request.job}"
        around = Surroundings(self.settings.stack, run, "", request.family, (), ())
        return self._submit(request.step, around, request.owner, "")

    def _submit(self, step: Step, around: Surroundings, owner: str, token: str) -> Job:
        key = job_id(around.stack, around.run, around.model, step.name)
        for _ in range(MOST_CONFLICTS):
            existing = self.table.get(key)
            try:
                if existing is not None:
                    return self._again(existing, step, around, owner, token)
                return self.table.create(self._new(key, step, around, owner, token))
            except Conflict:
                continue
        raise Conflict(key)

    def _again(self, job: Job, step: Step, around: Surroundings, owner: str, token: str) -> Job:
        """The job is known: a retry, a redrive, or the run started again."""
        repeated = not token or job.token_digest == digest(token)
        if job.status == COMPLETED:
            if token and not (repeated and not job.token):  # else it was answered already
                send_answer(self.states(), job, token)
                return self.table.save(job, job.with_token(token).answered())
            return job
        if repeated:
            return job
        if job.status in (FAILED, STOPPED):
            fresh = self._new(job.id, step, around, owner, token)
            return self.table.save(job, job.restarted(fresh, self.now()))
        return self.table.save(job, job.with_token(token))

    def _new(self, key: str, step: Step, around: Surroundings, owner: str, token: str) -> Job:
        kind = kinds.find(step.kind)
        inputs = resolve(step.name, step.inputs, around, self.table.get, self.approved_outputs)
        step = step.model_copy(update={"inputs": inputs})
        kind.check(step, self.settings)
        now = self.now()
        job = Job(
            id=key,
            run=around.run,
            model=around.model,
            step=step.name,
            kind=step.kind,
            family=around.family,
            owner=owner,
            priority=step.priority,
            document=step.model_dump_json(),
            pools=tuple(kind.pools(step)),
            units=kind.units(step),
            inputs=inputs,
            max_runtime_s=step.max_runtime_s,
            max_attempts=step.max_attempts,
            max_wait_s=step.max_wait_s,
            created=now,
            not_before=now,
            waiting_since=now,
            expires=now + HISTORY_S,
        )
        return job.with_token(token) if token else job


def find_step(request: StepRequest, plan: Plan, stack: str) -> tuple[Step, Surroundings]:
    """The step that is asked for, and what it may refer to.

    Raises:
        StepError: the plan has no such model or step.
    """
    if request.model and request.model not in plan.models:
        known = ", ".join(plan.models) or "(none)"
        raise StepError(f"runs/{plan.run}/plan.json: models: there is no {request.model!r}; it has {known}")
    of_model = plan.models[request.model].steps if request.model else []
    steps = of_model if request.model else plan.steps
    step = next((step for step in steps if step.name == request.step), None)
    if step is None:
        whose = f"models.{request.model}.steps" if request.model else "steps"
        known = ", ".join(step.name for step in steps) or "(none)"
        raise StepError(f"runs/{plan.run}/plan.json: {whose}: there is no {request.step!r}; it has {known}")
    return step, Surroundings(
        stack=stack,
        run=plan.run,
        model=request.model,
        family=plan.family,
        model_steps=tuple(step.name for step in of_model),
        run_steps=tuple(step.name for step in plan.steps),
    )
