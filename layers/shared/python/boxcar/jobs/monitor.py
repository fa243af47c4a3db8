"""Watch jobs end: by events, and by looking where an event is overdue.

Events may come late, twice, in any order, or never. Each is only a reason to look at the job's record; what it changes
is decided from the record, and written only if the record is still the same.
"""

import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from boxcar import kinds
from boxcar.jobs.answers import answer
from boxcar.jobs.failures import SERVICE_RETRIES, Failure, Jitter, backoff, ending
from boxcar.jobs.kind import Clients, Observation, seconds
from boxcar.jobs.names import parse_name
from boxcar.jobs.record import IN_PROGRESS, LAUNCHED, Attempt, Job
from boxcar.jobs.table import Conflict, Entry, JobsTable
from boxcar.settings import Settings

GRACE_S = 60.0  # after max_runtime_s, for AWS's own events
MOST_CONFLICTS = 6
MARGIN_S = 10.0
REMEMBERED_S = 24 * 3600.0  # the Data API keeps what became of a statement that long

log = logging.getLogger("boxcar")


@dataclass
class Monitor:
    """Everything that a batch of messages needs."""

    table: JobsTable
    clients: Clients
    settings: Settings
    now: Callable[[], float]
    seconds_left: Callable[[], float]
    jitter: Jitter = random.uniform
    ready_again: list[str] = field(default_factory=list)  # jobs that the launcher may start another time
    freed: bool = False  # … or might have: capacity became free

    def hear(self, event: dict[str, Any]) -> None:
        """Take in one event of EventBridge. One that is not about a job of this stack changes nothing."""
        kind = kinds.by_detail_type(event.get("detail-type", ""))
        if kind is None:
            log.warning("not an event about jobs", extra={"detail_type": event.get("detail-type")})
            return
        self.observe(kind.observe(event["detail"]), at=seconds(event.get("time")))

    def observe(self, seen: Observation, at: float | None = None) -> None:
        """Bring the record of a job up to what was seen of it.

        Raises:
            Conflict: it kept being changed by others; the message should come again.
        """
        ours = parse_name(seen.name)
        if ours is None or not seen.name.startswith(f"{self.settings.stack}-"):
            return
        job_id, number = ours
        for _ in range(MOST_CONFLICTS):
            job = self.table.get(job_id)
            if job is None or job.attempt != number:
                log.info("late or foreign event", extra={"attempt": seen.name})
                return
            if job.finished:  # doubled, or the one that could not be answered
                self._settle(job)
                return
            if job.status not in (LAUNCHED, IN_PROGRESS):
                return
            if seen.partial:
                seen = kinds.find(job.kind).describe(seen.name, seen.arn or job.attempts[-1].arn, self.clients)
            after = self._after(job, seen, at)
            if after is None:
                return
            try:
                self._settle(self.table.save(job, after))
                return
            except Conflict:
                continue
        raise Conflict(job_id)

    def sweep(self) -> None:
        """Look at what is overdue and answer what is owed. Reads nothing else."""
        for entry in self.table.unanswered(self.now()):
            if self.seconds_left() < MARGIN_S:
                return
            self._guarded(self._answer, entry)
        for entry in self.table.overdue(self.now()):
            if self.seconds_left() < MARGIN_S:
                return
            self._guarded(self._look, entry)

    # ── what is seen of an attempt

    def _after(self, job: Job, seen: Observation, at: float | None) -> Job | None:
        latest = job.attempts[-1]
        if seen.status == "Starting" or (seen.status == "InProgress" and job.status == IN_PROGRESS):
            return None
        if seen.status == "InProgress":
            started = seen.started or at or self.now()
            return job.progressed(seen.arn, started, self._next_look(job, started))
        ended = seen.ended or at or self.now()
        over = replace(latest, arn=seen.arn or latest.arn, started=seen.started or latest.started or latest.launched)
        over = replace(over, ended=max(ended, over.started or 0.0))
        if seen.status == "Completed":
            options = json.loads(job.document).get("options", {})
            short = kinds.find(job.kind).shortfall(options, seen, job.destination, self.clients)
            if short is None:
                return job.completed(over, self.now())
            failure, reason = short
            return job.failed(failure, reason, self.now(), replace(over, failure=failure, reason=reason))
        return self._after_failure(job, seen, over)

    def _after_failure(self, job: Job, seen: Observation, over: Attempt) -> Job:
        failure = ending(seen.status, seen.reason, seen.message, seen.secondary)
        ran_s = (over.ended or 0.0) - (over.started or 0.0)
        if failure is Failure.STOPPED and (job.stopping or ran_s >= job.max_runtime_s):
            failure = Failure(job.stopping or Failure.TIME_LIMIT)
        reason = " ".join(part for part in (seen.message.strip(), seen.reason.strip()) if part)
        if failure is Failure.TIME_LIMIT:
            reason = f"it ran longer than max_runtime_s = {job.max_runtime_s}. {reason}".strip()
        over = replace(over, failure=str(failure), reason=reason)
        now, base = self.now(), self.settings.retry_s
        if failure is Failure.ALGORITHM and job.failures + 1 < job.max_attempts:
            return job.retried(over, now, failures=job.failures + 1, waiting_since=now)
        if failure is Failure.SERVICE and job.faults < SERVICE_RETRIES:
            at = now + backoff(base, job.faults, self.jitter)
            return job.retried(over, at, faults=job.faults + 1, waiting_since=now)
        if failure is Failure.CAPACITY:
            if now < job.too_old_to_wait:
                at = min(now + backoff(base, job.shortages, self.jitter), job.too_old_to_wait)
                return job.retried(over, at, shortages=job.shortages + 1, pool_offset=job.pool_offset + 1)
            failure, reason = Failure.CAPACITY_TIMEOUT, f"no capacity within {job.max_wait_s} s: {reason}"
        return job.failed(failure, reason, now, over)

    def _settle(self, job: Job) -> None:
        """What follows from a change that is written: whoever waits is told."""
        if job.finished:
            log.info("job finished", extra={"job": job.id, "status": job.status, "failure": job.failure})
            self.freed = True
            answer(self.table, self.clients("stepfunctions"), job, self.now())
        elif job.status not in (LAUNCHED, IN_PROGRESS):
            log.info("job goes back", extra={"job": job.id, "why": job.waiting_for})
            self.ready_again.append(job.id)

    # ── the sweep

    def _guarded(self, act: Callable[[Entry], None], entry: Entry) -> None:
        try:
            act(entry)
        except Exception:
            log.exception("sweep could not look", extra={"job": entry.id})

    def _answer(self, entry: Entry) -> None:
        job = self.table.get(entry.id)
        if job is not None:
            answer(self.table, self.clients("stepfunctions"), job, self.now())

    def _look(self, entry: Entry) -> None:
        """Describe one job, and put its next look as far ahead as it has lasted."""
        job = self.table.get(entry.id)
        if job is None or job.status not in (LAUNCHED, IN_PROGRESS) or job.look > self.now():
            return
        kind, latest, now = kinds.find(job.kind), job.attempts[-1], self.now()
        # Ahead of the call: a job whose Describe always fails must not be first in every sweep.
        job = self.table.save(job, replace(job, look=self._next_look(job, latest.started)))
        seen = kind.describe(latest.name, latest.arn, self.clients)
        if seen.unknown and now - latest.launched < REMEMBERED_S:
            # Started, and not forgotten yet: so it is hidden from this role. A second one would run beside it.
            if now - latest.launched < job.max_runtime_s:
                log.warning("not shown to this role", extra={"job": job.id, "attempt": latest.name})
                return
            kind.stop(latest.name, latest.arn, self.clients)
            seen = replace(seen, status="Stopped")
        self.observe(seen)
        started = seen.started or latest.started
        if seen.status not in ("Starting", "InProgress") or started is None:
            return
        late = now - started - job.max_runtime_s - (GRACE_S if kind.stops_itself else 0.0)
        if late >= 0:
            current = self.table.get(job.id)
            if current and current.attempt == job.attempt and not current.finished and current.holding:
                self.table.save(current, current.stopping_for(Failure.TIME_LIMIT, now + GRACE_S))
                kind.stop(latest.name, latest.arn or seen.arn, self.clients)

    def _next_look(self, job: Job, started: float | None) -> float:
        """When to look if nothing is heard: after 3, 6, 12, 24 … minutes, and when its time must be over."""
        now, launched = self.now(), job.attempts[-1].launched
        look = launched + self.settings.first_look_s
        while look <= now:
            look = launched + 2 * (look - launched)
        if started is None:
            return look
        over = started + job.max_runtime_s + (GRACE_S if kinds.find(job.kind).stops_itself else 0.0)
        return min(look, over) if over > now else look
