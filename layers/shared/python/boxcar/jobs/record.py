"""The one record behind a step or a scientist's own submission, and every change it may go through.

A `Job` is a value: each method answers the job after one change and touches nothing else. `boxcar.jobs.table` writes a
change only if nobody else changed the job in between, so whoever reads a job may decide alone.

Times are seconds since the epoch. Sort keys of the index `by_queue` are ISO 8601 in UTC with milliseconds.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from boxcar.jobs.cache import Caching

NEW, LAUNCHED, IN_PROGRESS = "New", "Launched", "InProgress"
COMPLETED, FAILED, STOPPED = "Completed", "Failed", "Stopped"

# Partitions of `by_queue`. A finished job that owes nothing is in none of them: nothing grows with history.
LINE = "New#"  # + pool: who asks for it first, by priority and turn
DUE = "Due"  # what time wakes: ends of backoffs, launches left over, jobs overdue for a look, debts

LAUNCHER_TIMEOUT_S = 60  # of the function launch_jobs; after it a launch that says nothing is left over
GRACE_S = 60.0  # after the time a job may take, for AWS's own events
PROVISIONING_S = 1800.0  # between Create and the start of the clock that max_runtime_s is measured by
KEPT_ATTEMPTS = 50  # of a job that waits long for capacity


def iso(time: float) -> str:
    """Seconds since the epoch as text that sorts: `2026-01-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def digest(text: str) -> str:
    """16 hex digits that stand for a task token; the token itself is dropped once it is answered."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Attempt:
    """One thing that was started on AWS under one name."""

    number: int
    name: str  # <job id>-<number>
    pool: str  # whose lease it holds, such as training/ml.m5.large
    launched: float
    units: int = 1  # instances, or whatever the pool counts
    arn: str = ""  # of a statement: its id
    started: float | None = None
    ended: float | None = None
    failure: str = ""  # name of a boxcar.jobs.failures.Failure
    reason: str = ""
    billable_seconds: float = 0.0  # of one machine

    @property
    def instance_type(self) -> str:
        """Such as ml.m5.large; of a pool without machines the pool."""
        return self.pool.rpartition("/")[2]


@dataclass(frozen=True)
class Job:
    """What is to be done, where it stands, and what became of it."""

    id: str
    run: str
    model: str  # "" for a step of the run itself
    step: str
    kind: str
    family: str
    owner: str
    priority: int
    document: str  # the Step as JSON, references resolved
    pools: tuple[str, ...]  # a lease of one of them is needed, in order of preference
    units: int  # how many of it
    inputs: dict[str, str]
    max_runtime_s: int
    max_attempts: int
    max_wait_s: int
    created: float
    not_before: float
    waiting_since: float  # capacity is waited for until `waiting_since + max_wait_s`
    sweep: str = ""  # what it was submitted as a part of
    tags: dict[str, str] = field(default_factory=dict)
    turn: float = 0.0  # its place in the line of its first pool; 0 goes before all others of its priority
    turn_given_by: str = ""  # the pool whose turns it is one of; "" when it has been used
    turn_cost: float = 0.0  # how far its owner's next turn was put behind it
    token: str = ""  # of the Task that waits; dropped when answered
    token_digest: str = ""
    status: str = NEW
    version: int = 0  # grows by one with each change
    attempt: int = 0  # number of the latest; attempts may be fewer, the oldest are dropped
    attempts: tuple[Attempt, ...] = ()
    first_attempt: int = 1  # since it was submitted or restarted
    pool_offset: int = 0  # which pool to try first: moves on when one has no capacity
    resting: bool = False  # New, and not in line before `not_before`
    failures: int = 0  # of its own code, since it was submitted or restarted
    faults: int = 0  # of the service
    shortages: int = 0  # of capacity
    tries: int = 0  # Create* calls begun and not reported back: a launcher died in each
    waiting_for: str = ""  # why it is New, in words
    destination: dict[str, str] = field(default_factory=dict)  # outputs of the latest attempt, should it complete
    outputs: dict[str, str] = field(default_factory=dict)
    stopping: str = ""  # name of the failure for which Boxcar stopped it
    failure: str = ""
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0  # of the latest attempt
    billable_seconds: float = 0.0  # of one machine, over all attempts
    look: float = 0.0  # when to look, launch again, or pay a debt again
    running_look: float = 0.0  # what `look` becomes when the latest attempt is heard to run
    caching: Caching | None = None  # what the cache said; None: it was not asked
    alarm_owed: bool = False
    answer_tries: int = 0
    expires: float = 0.0  # set when it has ended

    @property
    def queue(self) -> str:
        """Partition of `by_queue`, "" when there is nothing left to do."""
        if self.status == NEW:
            return DUE if self.resting else f"{LINE}{self.pools[0]}"
        if self.finished:
            return DUE if self.owes else ""
        return DUE

    @property
    def due(self) -> str:
        """Sort key of `by_queue`: a place in line, or a time."""
        if self.status != NEW:
            return iso(self.look)
        return iso(self.not_before) if self.resting else f"{self.priority:02d}#{self.turn:016.3f}"

    @property
    def fallback(self) -> str:
        """Partition of `by_fallback`: while it stands in line, the pool that it may use as well; else ""."""
        return self.pools[1] if len(self.pools) > 1 and self.queue.startswith(LINE) else ""

    @property
    def preferred(self) -> tuple[str, ...]:
        """Its pools, beginning behind the one that had no capacity last time."""
        start = self.pool_offset % len(self.pools)
        return self.pools[start:] + self.pools[:start]

    @property
    def owes(self) -> bool:
        """Somebody waits to be told that it is finished."""
        return bool(self.token) or self.alarm_owed

    @property
    def unheard(self) -> bool:
        """A launch was written down, and AWS has not said yet that it has it."""
        return self.status == LAUNCHED and not self.attempts[-1].arn

    @property
    def finished(self) -> bool:
        """It will not change by itself any more."""
        return self.status in (COMPLETED, FAILED, STOPPED)

    @property
    def holding(self) -> str:
        """The pool whose lease it holds, or ""."""
        return self.attempts[-1].pool if self.status in (LAUNCHED, IN_PROGRESS) else ""

    @property
    def name(self) -> str:
        """The name on AWS of the latest attempt."""
        return f"{self.id}-{self.attempt}"

    @property
    def attempts_made(self) -> int:
        """Since it was submitted or restarted."""
        return self.attempt - self.first_attempt + 1

    @property
    def too_old_to_wait(self) -> float:
        """The time after which capacity is not waited for any more."""
        return self.waiting_since + self.max_wait_s

    # ── by submit_job

    def with_token(self, token: str) -> "Job":
        """Another execution, or the same one again, waits for it now."""
        return replace(self, token=token, token_digest=digest(token), answer_tries=0)

    def restarted(self, fresh: "Job", now: float) -> "Job":
        """Start afresh what had failed. Attempts go on counting: their names are taken for ever."""
        history = {"version": self.version, "attempt": self.attempt, "attempts": self.attempts}
        history |= {"billable_seconds": self.billable_seconds, "created": self.created}
        return replace(fresh, **history, first_attempt=self.attempt + 1, not_before=now)  # type: ignore[arg-type]

    def in_turn(self, pool: str, turn: float, cost: float) -> "Job":
        """It has its place in the line of a pool."""
        return replace(self, turn=turn, turn_given_by=pool, turn_cost=cost)

    def taken_up(self, caching: Caching, outputs: dict[str, str], now: float, kept_s: float) -> "Job":
        """An earlier job has done what it asks for: it is Completed at once, with that one's outputs."""
        return replace(self, caching=caching, outputs=outputs)._finished(COMPLETED, "", "", now, kept_s)

    @property
    def is_step(self) -> bool:
        """It is a step of a run, not somebody's own job: those have runs like `<owner>/<name>`."""
        return "/" not in self.run

    @property
    def hit(self) -> bool:
        """It has the outputs of an earlier job."""
        return self.caching is not None and self.caching.outcome == "hit"

    # ── by launch_jobs

    def launched(self, pool: str, destination: dict[str, str], now: float, first_look_s: float, most_s: float) -> "Job":
        """It is about to be created on AWS under its next name.

        Args:
            pool: whose lease it takes.
            destination: where its outputs will lie.
            now: seconds since the epoch.
            first_look_s: seconds until somebody looks, if nothing is heard of it.
            most_s: seconds after which it must have ended by itself, whatever AWS took to find machines.
        """
        number = self.attempt + 1
        attempt = Attempt(number=number, name=f"{self.id}-{number}", pool=pool, launched=now, units=self.units)
        return replace(
            self,
            status=LAUNCHED,
            attempt=number,
            attempts=(*self.attempts, attempt)[-KEPT_ATTEMPTS:],
            destination=destination,
            resting=False,
            turn=0.0,
            turn_given_by="",
            tries=1,
            look=now + LAUNCHER_TIMEOUT_S,
            # Somebody waits for the answer of a step, so a lost event is looked for early. A job that nobody waits for
            # is looked at when its time must be over: its calls do not grow with its time.
            running_look=now + (first_look_s if self.token else most_s),
            waiting_for="",
            stopping="",
            started=None,
        )

    def claimed(self, now: float) -> "Job":
        """Somebody goes on with a launch that was left over."""
        return replace(self, tries=self.tries + 1, look=now + LAUNCHER_TIMEOUT_S)

    def uncertain(self, at: float, why: str) -> "Job":
        """AWS answered neither yes nor no: it is created again at `at`, under the same name."""
        return replace(self, tries=0, look=at, waiting_for=why)

    def refused(self, before: "Job", not_before: float | None, why: str) -> "Job":
        """AWS said no: nothing was created, and the name stays free for the next try.

        It keeps the place in line that it had `before`, unless it is to rest.
        """
        return replace(
            self,
            status=NEW,
            attempt=self.attempt - 1,
            attempts=self.attempts[:-1],
            tries=0,
            resting=not_before is not None,
            not_before=not_before if not_before is not None else self.not_before,
            turn=before.turn,
            turn_given_by=before.turn_given_by,
            waiting_for=why,
        )

    def ready(self) -> "Job":
        """Its backoff is over, and no pool has room: it stands in line."""
        return replace(self, resting=False)

    def skipped_name(self) -> "Job":
        """The name belongs to something older than this job: leave it alone and go on with the next number."""
        return replace(self, status=NEW, attempts=self.attempts[:-1], tries=0, waiting_for="its name was taken")

    def acknowledged(self, arn: str, look: float) -> "Job":
        """AWS has it."""
        return replace(self._latest(arn=arn), tries=0, look=look, waiting_for="")

    # ── by monitor_jobs

    def progressed(self, arn: str, started: float, look: float) -> "Job":
        """It runs, and somebody should look at `look` if nothing is heard of it."""
        job = self._latest(arn=arn or self.attempts[-1].arn, started=started)
        return replace(job, status=IN_PROGRESS, tries=0, look=look, started=started)

    def stopping_for(self, failure: str, look: float) -> "Job":
        """AWS is asked to stop it."""
        return replace(self, stopping=failure, look=look, running_look=look)

    def retried(self, ending: Attempt, not_before: float, **counters: Any) -> "Job":
        """The attempt failed in a way that another one may mend."""
        why = f"attempt {ending.number} ended with {ending.failure}: {ending.reason}"
        return replace(
            self._ended(ending), status=NEW, resting=True, not_before=not_before, waiting_for=why, **counters
        )

    def completed(self, ending: Attempt, now: float, kept_s: float) -> "Job":
        """It has done what it was asked for. The record is kept for `kept_s` seconds."""
        ended = replace(self._ended(ending), outputs=self.destination)
        return ended._finished(COMPLETED, "", "", now, kept_s)

    def not_cached(self, why: str) -> "Job":
        """Nobody may take its outputs up."""
        caching = self.caching and replace(self.caching, key="", why=f"{self.caching.why}; not kept: {why}")
        return replace(self, caching=caching)

    def failed(self, failure: str, reason: str, now: float, kept_s: float, ending: Attempt | None = None) -> "Job":
        """It will not be tried again. A quarantined one is an alarm, unless a run waits for it and gives its own."""
        job = self._ended(ending) if ending else self
        job = replace(job, alarm_owed=failure == "Quarantined" and not job.token)
        return job._finished(STOPPED if failure == "Stopped" else FAILED, failure, reason, now, kept_s)

    def settled(self) -> "Job":
        """Whoever waited has been told, or nobody waits any more."""
        return replace(self, token="", alarm_owed=False, answer_tries=0)

    def unanswered(self, now: float) -> "Job":
        """The answer did not get through: again after 1, 2, 4 … 60 minutes."""
        wait = min(3600, 60 * 2**self.answer_tries)
        return replace(self, look=now + wait, answer_tries=self.answer_tries + 1)

    def _latest(self, **changes: Any) -> "Job":
        return replace(self, attempts=(*self.attempts[:-1], replace(self.attempts[-1], **changes)))

    def _ended(self, ending: Attempt) -> "Job":
        seconds = max(0.0, (ending.ended or 0.0) - (ending.started or ending.ended or 0.0))
        return replace(
            self,
            attempts=(*self.attempts[:-1], ending),
            seconds=seconds,
            billable_seconds=self.billable_seconds + ending.billable_seconds,
            started=ending.started,
            ended=ending.ended,
            tries=0,
        )

    def _finished(self, status: str, failure: str, reason: str, now: float, kept_s: float) -> "Job":
        return replace(
            self,
            status=status,
            failure=failure,
            reason=reason,
            ended=self.ended if self.ended is not None else now,
            look=now + 60,
            expires=now + kept_s,
            resting=False,
            waiting_for="",
        )
