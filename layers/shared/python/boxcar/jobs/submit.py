"""Store jobs and return at once. The same submission again finds the job it made the first time."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from boxcar import kinds
from boxcar.errors import DifferentJob, NotPossible, StepError, UnknownJob
from boxcar.jobs.answers import send_answer
from boxcar.jobs.leases import Lease, next_turns, return_turn
from boxcar.jobs.lookup import Lookup, Terms, terms_of
from boxcar.jobs.names import job_id
from boxcar.jobs.record import COMPLETED, FAILED, NEW, STOPPED, Job, digest
from boxcar.jobs.references import ApprovedVersions, Surroundings, resolve
from boxcar.jobs.table import Conflict, JobsTable
from boxcar.plans import Plan, PlannedRun
from boxcar.settings import Settings
from boxcar.steps import Document, Step

MOST_CONFLICTS = 6
MOST_JOBS = 100  # in one request
# What an IAM name may hold that a path in S3 had better not (Amazon S3 User Guide, "Naming Amazon S3 objects").
_IN_PATHS = {"@": "(at)", "+": "(plus)", ",": "(comma)"}


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
    owner: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=@+,-]{0,63}$")  # who shares fairly with other owners
    family: str = ""  # whose approved versions `@<model>/approved.<output>` means
    sweep: str = Field(default="", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$|^$")  # digests and lists go by it
    tags: dict[str, str] = Field(default_factory=dict, max_length=20)

    @property
    def run(self) -> str:
        """Where its outputs lie under `runs/`: `<owner>/<job>`."""
        return f"{re.sub('[@+,]', lambda found: _IN_PATHS[found[0]], self.owner)}/{self.job}"


@dataclass(frozen=True)
class Submitted:
    """What became of one request."""

    job: Job
    created: bool  # False: it was known already


@dataclass
class Submitter:
    """What submitting needs."""

    table: JobsTable
    settings: Settings
    states: Callable[[], Any]  # the client is made only if there is something to answer
    s3: Callable[[], Any]  # likewise, if the cache is asked
    approved: ApprovedVersions
    now: Callable[[], float]
    startable: list[Job] = field(default_factory=list)  # those for which there may be room: worth a wake if New

    def submit_step(self, request: StepRequest, plan: Plan | PlannedRun) -> Job:
        """Submit one step of a run.

        Raises:
            StepError: the plan has no such model or step, or the step is not valid.
        """
        step, around = find_step(request, plan, self.settings.stack)
        terms = terms_of(plan, request.model, request.step)
        key = job_id(around.stack, around.run, around.model, step.name)
        for _ in range(MOST_CONFLICTS):
            existing = self.table.get(key)
            try:
                if existing is None:
                    job = self._new(key, step, around, plan.requested_by, request.task_token, terms)
                    submitted = self._create([job])[0]
                    if submitted.created:
                        return self._answered(submitted.job)
                    existing = submitted.job  # somebody was faster
                known = self._again(existing, step, around, plan.requested_by, request.task_token, terms)
                self.startable.append(known)  # whoever stored it may have died before its wake
                return known
            except Conflict:
                continue
        raise Conflict(key)

    def submit_jobs(self, requests: list[JobRequest]) -> list[Submitted]:
        """Submit jobs without a run, all or, if one of them is not valid, none. Those that are known are left alone.

        Raises:
            StepError: one is not valid: `jobs[<index>]: …`.
            DifferentJob: one is known with other contents; those before it may have been stored.
        """
        jobs = []
        for index, request in enumerate(requests):
            around = Surroundings(self.settings.stack, request.run, "", request.family, (), ())
            try:
                key = own_id(around.stack, request.owner, request.job)
                job = self._new(key, request.step, around, request.owner, "", _own_terms(request.step))
            except StepError as error:
                raise StepError(f"jobs[{index}]: {error}" if len(requests) > 1 else str(error)) from None
            jobs.append(replace(job, sweep=request.sweep, tags=request.tags))
        submitted = self._create(jobs)
        for index, (request, result) in enumerate(zip(requests, submitted, strict=True)):
            if not result.created and (what := difference(request, result.job)):
                raise DifferentJob(index, what, f"job {request.job!r} of {request.owner} is known with another {what}")
        return submitted

    def retry(self, key: str) -> Job:
        """Start afresh a job that Failed or was Stopped. Its attempts go on counting.

        Raises:
            UnknownJob: there is none of that id.
            NotPossible: it is in another status.
        """
        for _ in range(MOST_CONFLICTS):
            job = self.table.get(key)
            if job is None:
                raise UnknownJob(f"there is no job {key!r}")
            if job.status not in (FAILED, STOPPED):
                raise NotPossible(f"job {key} is {job.status}; only one that Failed or was Stopped can be tried again")
            try:
                step = Step.model_validate_json(job.document)
                around = Surroundings(self.settings.stack, job.run, job.model, job.family, (), ())
                terms = Terms(afresh="it was to be tried again") if job.caching else None
                fresh = self._new(key, step, around, job.owner, "", terms)
                fresh = replace(fresh, sweep=job.sweep, tags=job.tags)
                return self._restart(job, fresh)
            except Conflict:
                continue
        raise Conflict(key)

    def _again(self, job: Job, step: Step, around: Surroundings, owner: str, token: str, terms: Terms) -> Job:
        """The job is known: a retry, a redrive, or the run started again."""
        repeated = not token or job.token_digest == digest(token)
        if job.status == COMPLETED:
            if token and not (repeated and not job.token):  # else it was answered already
                return self._answered(job.with_token(token), before=job)
            return job
        if repeated:
            return job
        if job.status in (FAILED, STOPPED):
            return self._answered(self._restart(job, self._new(job.id, step, around, owner, token, terms)))
        return self.table.save(job, job.with_token(token))

    def _answered(self, job: Job, before: Job | None = None) -> Job:
        """Answer the Task of a job that is Completed. Until that is written down it is owed, and the sweep answers."""
        if job.status != COMPLETED or not job.token:
            return job
        send_answer(self.states(), job, job.token)
        return self.table.save(before or job, job.settled())

    def _restart(self, job: Job, fresh: Job) -> Job:
        restarted = job.restarted(fresh, self.now())
        if restarted.finished:  # somebody else did it meanwhile
            return self.table.save(job, restarted)
        turn, lease = self._turns(restarted, restarted.turn_cost)
        saved = self.table.save(job, restarted.in_turn(lease.pool, turn, restarted.turn_cost))
        self._note(saved, lease)
        return saved

    def _create(self, jobs: list[Job]) -> list[Submitted]:
        """Store jobs, each owner's next to each other in line: one call for all their turns, one for each job."""
        groups: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        submitted: dict[int, Submitted] = {}
        for index, job in enumerate(jobs):
            if job.finished:
                existing = self.table.create(job)
                submitted[index] = Submitted(existing or job, existing is None)
            else:
                groups["|".join(job.pools), job.priority, job.owner].append(index)
        for indexes in groups.values():
            turn, lease = self._turns(jobs[indexes[0]], sum(jobs[index].turn_cost for index in indexes))
            for index in indexes:
                job = jobs[index].in_turn(lease.pool, turn, jobs[index].turn_cost)
                turn += job.turn_cost
                existing = self.table.create(job)
                submitted[index] = Submitted(existing or job, existing is None)
                if existing is None:
                    self._note(job, lease)
                else:  # whoever stored it may have died before its wake
                    self.startable.append(existing)
            known = [jobs[index] for index in indexes if not submitted[index].created]
            if known:  # their turns come again
                unused = replace(known[0], turn_given_by=lease.pool, turn_cost=sum(job.turn_cost for job in known))
                return_turn(self.table, unused)
        return [submitted[index] for index in range(len(jobs))]

    def _turns(self, job: Job, cost: float) -> tuple[float, Lease]:
        return next_turns(self.table, job.pools, job.priority, job.owner, cost)

    def _note(self, job: Job, lease: Lease) -> None:
        configured = self.settings.instance_limits.get(lease.pool)
        if len(job.pools) > 1 or lease.has_room(job.units, configured, self.now()):
            self.startable.append(job)

    def _new(self, key: str, step: Step, around: Surroundings, owner: str, token: str, terms: Terms | None) -> Job:
        """The job, New; Completed, if the cache has its outputs. Without terms the cache is not asked."""
        kind, references = kinds.find(step.kind), step.inputs
        inputs = resolve(step.name, references, around, self.table.get, self.approved.outputs)
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
            turn_cost=kind.units(step) / self.settings.owner_shares.get(owner, 1.0),
        )
        job = job.with_token(token) if token else job
        if terms is None:
            return job
        return Lookup(self.table, self.s3(), self.settings, self.approved, self.now).consult(job, references, terms)


def _own_terms(step: Step) -> Terms | None:
    """A job that somebody submits on purpose runs, unless it says otherwise."""
    return Terms() if step.cache and step.cache.use else None


def own_id(stack: str, owner: str, name: str) -> str:
    """The id of a job without a run: another step under the same name is a mistake, not another job."""
    return job_id(stack, f"{owner}/{name}", "", "")


def wakes(startable: list[Job]) -> list[dict[str, Any]]:
    """What to tell the launcher of jobs that may have room: which lines to look at, and who may be listed late."""
    told = []
    new = list({job.id: job for job in startable if job.status == NEW}.values())
    for start in range(0, len(new), MOST_JOBS):
        some = new[start : start + MOST_JOBS]
        pools: dict[str, int] = defaultdict(int)
        ids: dict[str, list[str]] = defaultdict(list)
        for job in some:
            pools[job.pools[0]] += job.units
            ids["|".join(job.pools)].append(job.id)
        told.append({"pools": dict(pools), "new": dict(ids)})
    return told


def difference(request: JobRequest, job: Job) -> str:
    """The field in which a request differs from the job of its name, "" if in none. References may lead elsewhere."""
    asked, known = request.step.model_dump(mode="json"), json.loads(job.document)
    for name, value in asked.items():
        if name == "inputs":
            plain = {key: uri for key, uri in value.items() if not uri.startswith("@")}
            if set(value) != set(known[name]) or any(known[name][key] != uri for key, uri in plain.items()):
                return "step.inputs"
        elif value != known.get(name, value):
            return f"step.{name}"
    for name in ("family", "sweep", "tags"):
        if getattr(request, name) != getattr(job, name):
            return name
    return ""


def find_step(request: StepRequest, plan: Plan | PlannedRun, stack: str) -> tuple[Step, Surroundings]:
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
