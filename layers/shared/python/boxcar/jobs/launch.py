"""Start what there is capacity for.

A pass may die between any two of its calls. What it leaves is always one of two things: a job that is still New, or one
that is written down as Launched under a name and holds its lease. The sweep finds the latter a minute later, and a pass
creates it again under the same name; AWS refuses a second one of that name (SageMaker) or answers the first (a
statement's client token).
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from boxcar import kinds
from boxcar.jobs.debts import settle
from boxcar.jobs.failures import Failure, Jitter, Refusal, backoff, refusal
from boxcar.jobs.kind import AlreadyStarted, Clients, Launch
from boxcar.jobs.leases import Lease, NoRoom, Room, forget_turns, return_turn
from boxcar.jobs.names import checkpoints, place
from boxcar.jobs.record import GRACE_S, NEW, PROVISIONING_S, Job
from boxcar.jobs.table import Conflict, JobsTable
from boxcar.jobs.wakes import Work, tell_monitor
from boxcar.settings import Settings
from boxcar.steps import Step

MOST_DEATHS = 5  # launches of one job that nobody came back from
MARGIN_S = 15.0  # a pass ends so long before its function would be killed
CLOCKS_DIFFER_S = 60.0
PAGE = 25
LONGEST_LIMIT_S = 1800.0  # a learned limit is tried again so often at least
FORGIVEN_S = 86400.0  # refusals longer ago than this do not make the next one last longer

log = logging.getLogger("boxcar")


@dataclass
class Launcher:
    """One pass."""

    table: JobsTable
    clients: Clients
    settings: Settings
    now: Callable[[], float]
    seconds_left: Callable[[], float]
    jitter: Jitter = random.uniform
    # pool -> lines whose jobs may use it as well; outlives a pass, where its owner lets it
    fallbacks: dict[str, set[str]] = field(default_factory=dict)
    launched: int = 0
    out_of_time: bool = False
    later: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # work, and when it can be done
    _full: dict[str, int] = field(default_factory=dict)  # pool -> the fewest units there is no room for
    _seen: set[str] = field(default_factory=set)
    _resting: set[str] = field(default_factory=set)  # services that throttle us

    def run(self, work: Work) -> None:
        """Do what there is to do, by priority, then by turn."""
        for job_id in work.jobs:
            self._guarded(self._take_up, job_id)
        if work.everything or (work.pools and not self.fallbacks):
            leases = {lease.pool: lease for lease in self.table.leases()}
            self._learn_fallbacks(leases)
            if work.everything:
                self._all_lines(leases, work.old)
        if not work.everything:
            for pool, units in work.pools.items():
                left = self._line(pool, units)
                for line in sorted(self.fallbacks.get(pool, ())):
                    left = self._line(line, left) if left > 0 else 0
        for job_id in work.new:
            self._guarded(self._take_up, job_id)

    # ── which jobs

    def _all_lines(self, leases: dict[str, Lease], old: bool) -> None:
        for pool, lease in leases.items():
            if old:
                for job in self.table.outwaited(pool, self.now()):
                    self._guarded(self._give_up, job.id, job)
                forget_turns(self.table, lease)
            if self._may_have_room(lease, leases):
                self._line(pool, None)

    def _may_have_room(self, lease: Lease, leases: dict[str, Lease]) -> bool:
        known = [leases.get(pool, Lease(pool)) for pool in (lease.pool, *lease.falls_to)]
        return any(one.has_room(1, self._configured(one.pool), self.now()) for one in known)

    def _learn_fallbacks(self, leases: dict[str, Lease]) -> None:
        self.fallbacks.clear()
        for pool, lease in leases.items():
            self.fallbacks.setdefault(pool, set())
            for other in lease.falls_to:
                self.fallbacks.setdefault(other, set()).add(pool)

    def _line(self, pool: str, units: int | None) -> int:
        """Launch from a line, in order, until its first has no room or so many units are used. Answers what is left."""
        left, behind = units if units is not None else 0, " "
        while True:
            page = min(PAGE, left + 1) if units is not None else PAGE
            jobs = self.table.waiting(pool, page, behind)
            for job in jobs:
                if self.seconds_left() < MARGIN_S:
                    self.out_of_time = True
                if self.out_of_time or kinds.find(job.kind).service in self._resting:
                    return 0
                if job.id in self._seen:
                    continue
                if not self._guarded(self._consider, job.id, job):
                    # Whoever stands behind a job that needs more room waits too, or small jobs would starve it. One
                    # behind may have another pool to go to.
                    if len(job.pools) == 1:
                        return left
                    continue
                left -= job.units
                if units is not None and left <= 0:
                    return 0
            if len(jobs) < page:
                return left
            behind = jobs[-1].due

    def _take_up(self, job_id: str) -> bool:
        """One that was named: left over, at the end of its backoff, or new and not listed yet."""
        if job_id in self._seen:
            return True
        if self.seconds_left() < MARGIN_S:
            self.out_of_time = True
            return False
        job = self.table.get(job_id)
        if job is None or kinds.find(job.kind).service in self._resting:
            return False
        if job.unheard and job.look <= self.now():
            self._resume(job)
        elif job.status == NEW and job.not_before <= self.now() and not self._consider(job) and job.resting:
            self.table.save(job, job.ready())
        return True

    def _guarded(self, act: Callable[..., bool], job_id: str, *arguments: Any) -> bool:
        """One job's trouble is not another's."""
        try:
            return act(*(arguments or (job_id,)))
        except Conflict:
            log.info("job changed meanwhile", extra={"job": job_id})
        except Exception:
            log.exception("launch failed unexpectedly", extra={"job": job_id})
        finally:
            self._seen.add(job_id)
        return True

    # ── a job that was left Launched without an answer of AWS

    def _resume(self, job: Job) -> None:
        if job.tries >= MOST_DEATHS:
            reason = f"the launcher died {job.tries} times while starting it as {job.name}"
            self._fail(job, Failure.QUARANTINED, reason)
            return
        claimed = self.table.save(job, job.claimed(self.now()))
        self._create(claimed, claimed)

    # ── a job that is New

    def _consider(self, job: Job) -> bool:
        """Launch it, on the first of its pools that has room. False if none has, and it waits."""
        before: Job | None = job
        for pool in job.preferred:
            if before is None:
                return True
            if before.status != NEW:
                return True
            if self._full.get(pool, job.units + 1) > job.units:
                before = self._launch(before, pool)
        if before is None or before.status != NEW:
            return True
        if self.now() >= before.too_old_to_wait:
            return self._give_up(before)
        return False

    def _give_up(self, job: Job) -> bool:
        self._fail(job, Failure.CAPACITY_TIMEOUT, _waited(job))
        return True

    def _launch(self, job: Job, pool: str) -> Job | None:
        """Write down that it is launched, then launch it. Answers the job again if another pool may be tried."""
        try:
            kind, step = kinds.find(job.kind), Step.model_validate_json(job.document)
            name, where = f"{job.id}-{job.attempt + 1}", self._place(job, job.attempt + 1)
            longest = kind.longest_s(step) + PROVISIONING_S + GRACE_S
            outputs = kind.outputs(step, where, name)
        except Exception as error:  # the document cannot be read by this version: nobody can launch it
            self._fail(job, Failure.CLIENT, str(error))
            return None
        room = Room(self._configured(pool), None, self.now())
        if job.units > 1:  # the condition of the write can only tell whether there is room for one
            lease = self.table.lease(pool)
            room = replace(room, learned=lease.limit if self.now() < lease.until else None)
        launched = job.launched(pool, outputs, self.now(), self.settings.first_look_s, longest)
        try:
            saved = self.table.save(job, launched, room)
        except NoRoom as full:
            log.info("no room", extra={"job": job.id, "pool": pool, "held": full.lease.held})
            self._full[pool] = min(job.units, self._full.get(pool, job.units))
            return job
        return self._create(saved, job)

    # ── the call to AWS

    def _create(self, job: Job, before: Job) -> Job | None:
        kind = kinds.find(job.kind)
        try:
            step, latest = Step.model_validate_json(job.document), job.attempts[-1]
            launch = Launch(
                job=job.id, name=job.name, run=job.run, model=job.model, step=step, outputs=job.destination,
                pool=latest.pool, instance_type=latest.instance_type, place=self._place(job, job.attempt),
                checkpoints=checkpoints(self.settings.bucket, job.run, job.model, job.step),
                tried_since=latest.launched if before.attempt == job.attempt else None,
            )  # fmt: skip
            arn = kind.start(launch, self.settings, self.clients)
        except AlreadyStarted:
            return self._adopt(job)
        except Exception as error:
            return self._refused(job, before, error)
        self._acknowledge(job, arn)
        return None

    def _adopt(self, job: Job) -> Job | None:
        """The name is taken: by an earlier try of this attempt, unless it is older than the job."""
        found = kinds.find(job.kind).describe(job.name, "", self.clients)
        if found.created is not None and found.created < job.created - CLOCKS_DIFFER_S:
            self.later.append((self.now() + 1, {"jobs": [job.id]}))
            return self.table.save(job, job.skipped_name())
        self._acknowledge(job, found.arn)
        return None

    def _acknowledge(self, job: Job, arn: str) -> None:
        self.launched += 1
        look = job.attempts[-1].launched + self.settings.first_look_s
        try:
            self.table.save(job, job.acknowledged(arn, look))
        except Conflict:
            self._overtaken(job, arn, look)

    def _overtaken(self, job: Job, arn: str, look: float) -> None:
        """While AWS answered, an event was heard, or somebody stopped the job."""
        found = self.table.get(job.id)
        if found is None or found.attempt != job.attempt:
            return
        if found.unheard:
            found = self.table.save(found, found.acknowledged(arn, look))
        if found.stopping and not found.finished:  # it could not be stopped before AWS had it
            tell_monitor(self.clients("sqs"), self.settings.events_queue_url, {"stop": job.id})

    def _refused(self, job: Job, before: Job, error: Exception) -> Job | None:
        verdict, failure = refusal(error)
        now, base, why = self.now(), self.settings.retry_s, str(error)
        log.warning("create refused", extra={"job": job.id, "attempt": job.name, "verdict": verdict, "why": why})
        if verdict is Refusal.FATAL:
            self._fail(job, failure, why)
        elif verdict is Refusal.UNCERTAIN and now < job.too_old_to_wait + job.max_runtime_s:
            rounds = int((now - job.attempts[-1].launched) / base).bit_length()
            saved = self.table.save(job, job.uncertain(now + backoff(base, rounds, self.jitter), why))
            self.later.append((saved.look, {"jobs": [job.id]}))
        elif verdict is Refusal.UNCERTAIN:
            self._fail(job, failure, why)
        elif verdict is Refusal.THROTTLED:
            self._resting.add(kinds.find(job.kind).service)
            self.table.save(job, job.refused(before, None, why))
            self.later.append((now + backoff(min(base, 10.0), 0, self.jitter), {"everything": True}))
        else:
            return self._learn(job, before, why)
        return None

    def _learn(self, job: Job, before: Job, why: str) -> Job:
        """AWS has no more of these machines: what runs now is the limit, for a while.

        The job keeps its place: the pool holds it back, until one ends or the limit is forgotten.
        """
        pool, now = job.holding, self.now()
        lease = self.table.lease(pool)
        refusals = lease.refusals if now - lease.until < FORGIVEN_S else 0
        ceiling = min(LONGEST_LIMIT_S, self.settings.retry_s * 2 ** min(refusals, 20))
        until = now + max(1.0, ceiling / 2 + self.jitter(0.0, ceiling / 2))
        limit = max(0, lease.held - job.units)
        learned = replace(lease, limit=limit, until=until, refusals=refusals + 1)
        saved = self.table.save(job, job.refused(before, None, why), learned=learned)
        self._full[pool] = min(job.units, self._full.get(pool, job.units))
        self.later.append((until, {"pools": {before.preferred[0]: job.units}}))
        return saved

    def _fail(self, job: Job, failure: Failure, reason: str) -> None:
        return_turn(self.table, job)
        failed = self.table.save(job, job.failed(failure, reason, self.now(), self.settings.history_s))
        log.warning("job failed at launch", extra={"job": job.id, "failure": failure, "reason": reason})
        settle(self.table, self.clients, self.settings, failed, self.now())

    def _configured(self, pool: str) -> int | None:
        return self.settings.instance_limits.get(pool)

    def _place(self, job: Job, attempt: int) -> str:
        return place(self.settings.bucket, job.run, job.model, job.step, attempt)


def _waited(job: Job) -> str:
    pools = ", ".join(job.pools)
    return (
        f"waited {job.max_wait_s} s for {pools}: {job.waiting_for or 'no pool had room'}. "
        "Raise max_wait_s, add instance types to resources, or ask AWS for a higher quota"
    )
