"""The one record behind a step or a scientist's own submission, and every change it may go through.

A `Job` is a value: each method answers the job after one change and touches nothing else. `boxcar.jobs.table` writes a
change only if nobody else changed the job in between, so whoever reads a job may decide alone.

Times are seconds since the epoch. Sort keys of the index `by_queue` are ISO 8601 in UTC with milliseconds.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

NEW, LAUNCHED, IN_PROGRESS = "New", "Launched", "InProgress"
COMPLETED, FAILED, STOPPED = "Completed", "Failed", "Stopped"

# Partitions of `by_queue`. A finished job is in none of them: nothing grows with history.
SHARDS = 2  # New is spread over so many, for the write rate of one partition
LAUNCHING = "Launching"  # written down as Launched, not yet known to AWS; due when its launcher must be dead
OPEN = "Open"  # known to AWS; due when somebody should look, if no event has come by then
ANSWER = "Answer"  # finished, its task token not answered yet

LAUNCHER_TIMEOUT_S = 60  # of the function launch_jobs; after it a launch that says nothing is left over
HISTORY_S = 90 * 86400
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
    arn: str = ""  # of a statement: its id
    started: float | None = None
    ended: float | None = None
    failure: str = ""  # name of a boxcar.jobs.failures.Failure
    reason: str = ""


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
    expires: float
    token: str = ""  # of the Task that waits; dropped when answered
    token_digest: str = ""
    status: str = NEW
    version: int = 0  # grows by one with each change
    attempt: int = 0  # number of the latest; attempts may be fewer, the oldest are dropped
    attempts: tuple[Attempt, ...] = ()
    first_attempt: int = 1  # since it was submitted or restarted
    pool_offset: int = 0  # which pool to try first: moves on when one has no capacity
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
    look: float = 0.0  # when to look, launch again, or answer again; meaning depends on the queue
    answer_tries: int = 0

    @property
    def queue(self) -> str:
        """Partition of `by_queue`, "" when there is nothing left to do."""
        if self.status == NEW:
            return f"New#{int(self.id[-1], 16) % SHARDS}"
        if self.finished:
            return ANSWER if self.token else ""
        return OPEN if self.attempts[-1].arn or self.status == IN_PROGRESS else LAUNCHING

    @property
    def due(self) -> str:
        """Sort key of `by_queue`."""
        return f"{self.priority:02d}#{iso(self.not_before)}" if self.status == NEW else iso(self.look)

    @property
    def finished(self) -> bool:
        """It will not change by itself any more."""
        return self.status in (COMPLETED, FAILED, STOPPED)

    @property
    def holding(self) -> str:
        """The pool whose lease it holds, or ""."""
        return self.attempts[-1].pool if self.status in (LAUNCHED, IN_PROGRESS) else ""

    @property
    def holders(self) -> set[str]:
        """What stands in the lease while it holds one: as many members as it takes units."""
        return {f"{self.id}#{unit}" for unit in range(self.units)}

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
        return replace(fresh, **history, first_attempt=self.attempt + 1, created=self.created, not_before=now)  # type: ignore[arg-type]

    # ── by launch_jobs

    def launched(self, pool: str, destination: dict[str, str], now: float) -> "Job":
        """It is about to be created on AWS under its next name."""
        number = self.attempt + 1
        attempt = Attempt(number=number, name=f"{self.id}-{number}", pool=pool, launched=now)
        return replace(
            self,
            status=LAUNCHED,
            attempt=number,
            attempts=(*self.attempts, attempt)[-KEPT_ATTEMPTS:],
            destination=destination,
            tries=1,
            look=now + LAUNCHER_TIMEOUT_S,
            waiting_for="",
            stopping="",
        )

    def claimed(self, now: float) -> "Job":
        """Somebody goes on with a launch that was left over."""
        return replace(self, tries=self.tries + 1, look=now + LAUNCHER_TIMEOUT_S)

    def uncertain(self, at: float, why: str) -> "Job":
        """AWS answered neither yes nor no: it is created again at `at`, under the same name."""
        return replace(self, tries=0, look=at, waiting_for=why)

    def refused(self, not_before: float, why: str) -> "Job":
        """AWS said no: nothing was created, and the name stays free for the next try."""
        return replace(
            self,
            status=NEW,
            attempt=self.attempt - 1,
            attempts=self.attempts[:-1],
            tries=0,
            not_before=not_before,
            waiting_for=why,
        )

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
        """Boxcar asks AWS to stop it."""
        return replace(self, stopping=failure, look=look)

    def retried(self, ending: Attempt, not_before: float, **counters: Any) -> "Job":
        """The attempt failed in a way that another one may mend."""
        why = f"attempt {ending.number} ended with {ending.failure}: {ending.reason}"
        return replace(self._ended(ending), status=NEW, not_before=not_before, waiting_for=why, **counters)

    def completed(self, ending: Attempt, now: float) -> "Job":
        """It has done what it was asked for."""
        return self._finished(self._ended(ending), COMPLETED, now, outputs=self.destination, failure="", reason="")

    def failed(self, failure: str, reason: str, now: float, ending: Attempt | None = None) -> "Job":
        """It will not be tried again."""
        job = self._ended(ending) if ending else self
        return self._finished(job, STOPPED if failure == "Stopped" else FAILED, now, failure=failure, reason=reason)

    def answered(self) -> "Job":
        """The task token was answered, or nobody waits for it any more."""
        return replace(self, token="", answer_tries=0)

    def unanswered(self, now: float) -> "Job":
        """The answer did not get through: again after 1, 2, 4 … 60 minutes."""
        wait = min(3600, 60 * 2**self.answer_tries)
        return replace(self, look=now + wait, answer_tries=self.answer_tries + 1)

    def _latest(self, **changes: Any) -> "Job":
        return replace(self, attempts=(*self.attempts[:-1], replace(self.attempts[-1], **changes)))

    def _ended(self, ending: Attempt) -> "Job":
        seconds = max(0.0, (ending.ended or 0.0) - (ending.started or ending.ended or 0.0))
        attempts = (*self.attempts[:-1], ending)
        return replace(self, attempts=attempts, seconds=seconds, started=ending.started, ended=ending.ended, tries=0)

    @staticmethod
    def _finished(job: "Job", status: str, now: float, **changes: Any) -> "Job":
        ended = job.ended if job.ended is not None else now
        return replace(
            job, status=status, ended=ended, look=now + 60, expires=now + HISTORY_S, waiting_for="", **changes
        )
