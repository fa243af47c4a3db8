"""Start what there is capacity for.

A pass may die between any two of its calls. What it leaves is always one of two things: a job that is still New, or one
that is written down as Launched under a name and holds its lease. The next pass creates the latter again under the same
name; AWS refuses a second one of that name (SageMaker) or answers the first (a statement's client token).
"""

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from boxcar import kinds
from boxcar.jobs.answers import answer
from boxcar.jobs.failures import Failure, Jitter, Refusal, backoff, refusal
from boxcar.jobs.kind import AlreadyStarted, Clients, Launch
from boxcar.jobs.names import place
from boxcar.jobs.record import LAUNCHED, NEW, Job
from boxcar.jobs.table import Conflict, Entry, JobsTable, Lease, NoRoom
from boxcar.settings import Settings
from boxcar.steps import Step

MOST_DEATHS = 5  # launches of one job that nobody came back from
MARGIN_S = 15.0  # a pass ends so long before its function would be killed
SOON_S = 60.0  # what becomes possible later than this is found by the schedule

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
    launched: int = 0
    out_of_time: bool = False
    again_at: float = float("inf")  # when a job that had to wait may go on
    _leases: dict[str, Lease] = field(default_factory=dict)
    _resting: set[str] = field(default_factory=set)  # services that throttle us

    def run(self, just_ready: list[str] | None = None) -> None:
        """Go on with what was left over, then start what is ready, by priority, then the longest waiting.

        Args:
            just_ready: ids of jobs that the index may not list yet, for it lags behind the table.
        """
        listed: set[str] = set()
        for entry in self._in_time(self.table.left_over(self.now())):
            self._guarded(self._resume, entry)
        for entry in self._in_time(chain(self.table.ready(self.now()), self._unlisted(just_ready or [], listed))):
            listed.add(entry.id)
            if entry.not_before > self.now():
                self._wait_until(entry.not_before)
            elif kinds.find(entry.kind).service not in self._resting:
                self._guarded(self._consider, entry)

    def _unlisted(self, ids: list[str], listed: set[str]) -> Iterator[Entry]:
        for key in ids:
            if key not in listed and (entry := self.table.entry(key)):
                yield entry

    def _in_time(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            if self.seconds_left() < MARGIN_S:
                self.out_of_time = True
                return
            yield entry

    def _guarded(self, act: Callable[[Entry], None], entry: Entry) -> None:
        """One job's trouble is not another's."""
        try:
            act(entry)
        except Conflict:
            log.info("job changed meanwhile", extra={"job": entry.id})
        except Exception:
            log.exception("launch failed unexpectedly", extra={"job": entry.id})

    # ── a job that was left Launched without an answer of AWS

    def _resume(self, entry: Entry) -> None:
        job = self.table.get(entry.id)
        if job is None or job.status != LAUNCHED or job.attempts[-1].arn or job.look > self.now():
            return
        if job.tries >= MOST_DEATHS:
            reason = f"the launcher died {job.tries} times while starting it as {job.name}"
            self._fail(job, Failure.SERVICE, reason)
            return
        self._create(self.table.save(job, job.claimed(self.now())))

    # ── a job that is New

    def _consider(self, entry: Entry) -> None:
        """Launch it, on the first of its pools that has room; else leave it where it is, unwritten, unless too old."""
        if self._pool(entry.pools, entry.units) is None and self.now() < entry.patience_ends:
            self._wait_for_room(entry.pools)
            return
        job: Job | None = entry.job()
        tried: set[str] = set()
        while job is not None and job.status == NEW and job.not_before <= self.now():
            pool = self._pool(tuple(pool for pool in _preferred(job) if pool not in tried), job.units)
            if pool is None:
                if self.now() >= job.too_old_to_wait:
                    self._fail(job, Failure.CAPACITY_TIMEOUT, _waited(job, "no pool had room"))
                else:
                    self._wait_for_room(job.pools)
                return
            tried.add(pool)
            job = self._launch(job, pool)

    def _launch(self, job: Job, pool: str) -> Job | None:
        """Write down that it is launched, then launch it. Answers the job again if another pool may be tried."""
        lease, now = self._lease(pool), self.now()
        try:
            kind, step = kinds.find(job.kind), Step.model_validate_json(job.document)
            name, where = f"{job.id}-{job.attempt + 1}", self._place(job, job.attempt + 1)
            launched = job.launched(pool, kind.outputs(step, where, name), now)
        except Exception as error:  # the document cannot be read by this version: nobody can launch it
            self._fail(job, Failure.CLIENT, str(error))
            return None
        try:
            saved = self.table.save(job, launched, lease.most_held(job.units, self._configured(pool), now))
        except NoRoom:
            self._leases[pool] = self.table.lease(pool)
            return job
        self._leases[pool] = replace(lease, held=lease.held + job.units)
        return self._create(saved)

    # ── the call to AWS

    def _create(self, job: Job) -> Job | None:
        kind = kinds.find(job.kind)
        try:
            step = Step.model_validate_json(job.document)
            pool = job.attempts[-1].pool
            launch = Launch(
                job=job.id, name=job.name, run=job.run, model=job.model, step=step, outputs=job.destination,
                instance_type=pool.rpartition("/")[2], place=self._place(job, job.attempt),
            )  # fmt: skip
            arn = kind.start(launch, self.settings, self.clients)
        except AlreadyStarted:
            return self._adopt(job)
        except Exception as error:
            return self._refused(job, error)
        self._acknowledge(job, arn)
        return None

    def _adopt(self, job: Job) -> Job | None:
        """The name is taken: by an earlier try of this attempt, unless it is older than the job."""
        found = kinds.find(job.kind).describe(job.name, "", self.clients)
        if found.created is not None and found.created < job.created - SOON_S:  # clocks may differ a little
            return self.table.save(job, job.skipped_name())
        self._acknowledge(job, found.arn)
        return None

    def _acknowledge(self, job: Job, arn: str) -> None:
        self.launched += 1
        lease = self._lease(job.holding)
        try:
            self.table.save(job, job.acknowledged(arn, job.attempts[-1].launched + self.settings.first_look_s))
        except Conflict:
            log.info("an event was faster", extra={"job": job.id})
        if lease.refusals and self.now() >= lease.until:
            self.table.forget_limit(lease.pool)
            self._leases[lease.pool] = replace(lease, limit=None, until=0.0, refusals=0)

    def _refused(self, job: Job, error: Exception) -> Job | None:
        verdict, failure = refusal(error)
        now, base, why = self.now(), self.settings.retry_s, str(error)
        log.warning("create refused", extra={"job": job.id, "attempt": job.name, "verdict": verdict, "why": why})
        if verdict is Refusal.FATAL:
            self._fail(job, failure, why)
        elif verdict is Refusal.UNCERTAIN and now < job.too_old_to_wait + job.max_runtime_s:
            rounds = int((now - job.attempts[-1].launched) / base).bit_length()
            saved = self.table.save(job, job.uncertain(now + backoff(base, rounds, self.jitter), why))
            self._wait_until(saved.look)
        elif verdict is Refusal.UNCERTAIN:
            self._fail(job, failure, why)
        elif verdict is Refusal.THROTTLED:
            self._resting.add(kinds.find(job.kind).service)
            at = now + backoff(min(base, 10.0), 0, self.jitter)
            self._give_back(job, job.refused(at, why))
            self._wait_until(at)
        else:
            lease = self._lease(job.holding)
            learned = replace(
                lease,
                held=lease.held - job.units,
                limit=max(0, lease.held - job.units),
                until=now + backoff(base, lease.refusals, self.jitter),
                refusals=lease.refusals + 1,
            )
            # It keeps its place among the ready: the pool holds it back, until one ends or the limit is forgotten.
            return self._give_back(job, job.refused(job.not_before, why), learned)
        return None

    def _give_back(self, job: Job, refused: Job, learned: Lease | None = None) -> Job:
        lease = self._lease(job.holding)
        saved = self.table.save(job, refused, learned=learned)
        self._leases[lease.pool] = learned or replace(lease, held=lease.held - job.units)
        return saved

    def _fail(self, job: Job, failure: Failure, reason: str) -> None:
        held = self._lease(job.holding) if job.holding else None
        failed = self.table.save(job, job.failed(failure, reason, self.now()))
        if held:
            self._leases[held.pool] = replace(held, held=held.held - job.units)
        log.warning("job failed at launch", extra={"job": job.id, "failure": failure, "reason": reason})
        answer(self.table, self.clients("stepfunctions"), failed, self.now())

    # ── leases

    def _pool(self, pools: tuple[str, ...], units: int) -> str | None:
        for pool in pools:
            lease = self._lease(pool)
            most = lease.most_held(units, self._configured(pool), self.now())
            if most is None or lease.held <= most:
                return pool
        return None

    def _lease(self, pool: str) -> Lease:
        if pool not in self._leases:
            self._leases[pool] = self.table.lease(pool)
        return self._leases[pool]

    def _configured(self, pool: str) -> int | None:
        return self.settings.instance_limits.get(pool)

    def _wait_for_room(self, pools: tuple[str, ...]) -> None:
        for pool in pools:
            if self.now() < self._lease(pool).until:
                self._wait_until(self._lease(pool).until)

    def _wait_until(self, at: float) -> None:
        self.again_at = min(self.again_at, at)

    def _place(self, job: Job, attempt: int) -> str:
        return place(self.settings.bucket, job.run, job.model, job.step, attempt)


def _preferred(job: Job) -> tuple[str, ...]:
    """Its pools, beginning behind the one that had no capacity last time."""
    start = job.pool_offset % len(job.pools)
    return job.pools[start:] + job.pools[:start]


def _waited(job: Job, why: str) -> str:
    pools = ", ".join(job.pools)
    return (
        f"waited {job.max_wait_s} s for {pools}: {job.waiting_for or why}. "
        "Raise max_wait_s, add instance types to resources, or ask AWS for a higher quota"
    )
