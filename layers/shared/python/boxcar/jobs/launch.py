"""Start what there is capacity for.

A pass may die between any two of its calls. What it leaves is always one of two things: a job that is still New, or one
that is written down as Launched under a name and holds its lease. The sweep finds the latter a minute later, and a pass
creates it again under the same name; AWS refuses a second one of that name (SageMaker) or answers the first (a
statement's client token).
"""

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from boxcar import kinds
from boxcar.jobs.debts import settle
from boxcar.jobs.failures import Failure, Jitter, Refusal, backoff, refusal
from boxcar.jobs.kind import AlreadyStarted, Clients, Launch
from boxcar.jobs.leases import Lease, NoRoom, Room, forget_turns, return_turn, taught
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
    # pools that jobs fall back to, and "" once that is known; outlives a pass, where its owner lets it
    fallbacks: set[str] = field(default_factory=set)
    launched: int = 0
    out_of_time: bool = False
    # of every pool, on a pass that looks at everything: units in use when it began, and how many there can be
    capacity: list[tuple[str, int, int | None]] = field(default_factory=list)
    later: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # work, and when it can be done
    _closed: set[str] = field(default_factory=set)  # pools in which the next in turn has no room
    _used: Counter[str] = field(default_factory=Counter)  # pool -> units that this pass has launched on
    _seen: set[str] = field(default_factory=set)
    _resting: set[str] = field(default_factory=set)  # services that throttle us

    def run(self, work: Work) -> None:
        """Do what there is to do, by priority, then by turn."""
        for job_id in work.jobs:
            self._guarded(self._take_up, job_id)
        if work.everything or (work.pools and "" not in self.fallbacks):
            leases = self.table.leases()
            self.fallbacks.clear()
            self.fallbacks.update([""], *(lease.falls_to for lease in leases))
            if work.everything:
                self._everything(leases, work.old)
        for pool, units in work.pools.items():
            self._serve(pool, units - self._used[pool])
        for pools, ids in work.new.items():
            for job_id in ids:
                if self._closed.issuperset(pools.split("|")):  # known without reading it
                    break
                self._guarded(self._take_up, job_id)

    # ── which jobs

    def _everything(self, leases: list[Lease], old: bool) -> None:
        for lease in leases:
            most = lease.most(self._configured(lease.pool), self.now())
            self.capacity.append((lease.pool, lease.held, most))
            if old:
                for job in self.table.outwaited(lease.pool, self.now()):
                    self._guarded(self._give_up, job.id, job)
                forget_turns(self.table, lease)
            if lease.has_room(1, self._configured(lease.pool), self.now()):
                self._serve(lease.pool, None)

    def _serve(self, pool: str, units: int | None) -> None:
        """Launch on a pool until the next in turn has no room, or so many units are used.

        First who asks for it first, then who may use it as well: their turns are those of other pools.
        """
        left = units
        if left is not None and left <= 0:
            return
        while pool not in self._closed:
            page = PAGE if left is None else min(PAGE, left + 1)
            jobs = [job for job in self.table.waiting(pool, page) if job.id not in self._seen]
            for job in jobs:
                if not self._in_time(job) or not self._guarded(self._consider, job.id, job):
                    return
                left = None if left is None else left - job.units
                if left is not None and left <= 0:
                    return
            if not jobs:
                break
        if pool in self.fallbacks and pool not in self._closed:
            for job_id in self.table.falling_to(pool, PAGE if left is None else min(PAGE, left)):
                if not self._guarded(self._take_up, job_id, job_id, pool):
                    return

    def _in_time(self, job: Job) -> bool:
        if self.seconds_left() < MARGIN_S:
            self.out_of_time = True
        return not self.out_of_time and kinds.find(job.kind).service not in self._resting

    def _take_up(self, job_id: str, pool: str = "") -> bool:
        """One that was named: left over, at the end of its backoff, new and not listed yet, or with this fallback."""
        if job_id in self._seen:
            return True
        if self.seconds_left() < MARGIN_S:
            self.out_of_time = True
            return False
        job = self.table.get(job_id)
        if job is None or not self._in_time(job):
            return False
        self.fallbacks.update(job.pools[1:])
        if job.unheard and job.look <= self.now():
            self._resume(job)
        elif job.status == NEW and job.not_before <= self.now() and not self._consider(job, pool):
            if job.resting:
                self.table.save(job, job.ready())
            return False
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

    def _consider(self, job: Job, first: str = "") -> bool:
        """Launch it, on the first of its pools that has room, or on one that surely has. False if it waits.

        Whoever stands behind one that has no room waits too, or jobs that need less would starve it.
        """
        before: Job | None = job
        for pool in sorted(job.preferred, key=lambda pool: pool != first):
            if before is None or before.status != NEW:
                return True
            if pool not in self._closed:
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
            self._closed.add(pool)
            return job
        self._used[pool] += job.units
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
        learned = taught(self.table.lease(pool), job.units, now, self.settings.retry_s, self.jitter)
        saved = self.table.save(job, job.refused(before, None, why), learned=learned)
        self._closed.add(pool)
        self.later.append((learned.until, {"pools": {pool: job.units}}))
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
