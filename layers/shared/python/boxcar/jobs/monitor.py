"""Watch jobs end: by events, and by looking where an event is overdue.

Events may come late, twice, in any order, or never. Each is only a reason to look at the job's record; what it changes
is decided from the record, and written only if the record is still the same.
"""

import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from boxcar import kinds, watches
from boxcar.alarms import repeats
from boxcar.attributes import Item
from boxcar.jobs import digests
from boxcar.jobs.contents import changed_meanwhile
from boxcar.jobs.debts import settle, tell_alarms
from boxcar.jobs.failures import SERVICE_RETRIES, Failure, Jitter, backoff, ending
from boxcar.jobs.kind import Clients, Kind, Observation, seconds
from boxcar.jobs.names import parse_name
from boxcar.jobs.record import GRACE_S, IN_PROGRESS, LAUNCHED, NEW, Attempt, Job
from boxcar.jobs.stop import stop
from boxcar.jobs.table import Conflict, JobsTable, readable
from boxcar.settings import Settings

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
    freed: Counter[str] = field(default_factory=Counter)  # pool -> units that others may use now
    ready: list[str] = field(default_factory=list)  # jobs whose time has come
    resting: list[tuple[float, str]] = field(default_factory=list)  # … and when that of others will

    def hear(self, event: dict[str, Any]) -> None:
        """Take in one event of EventBridge. One that is not about a job of this stack changes nothing.

        Raises:
            Conflict: the job kept being changed by others; the message should come again.
        """
        kind = kinds.by_detail_type(event.get("detail-type", ""))
        if kind is None:
            log.warning("not an event about jobs", extra={"detail_type": event.get("detail-type")})
            return
        seen = kind.observe(event["detail"])
        if seen.status == "Starting":
            return  # says nothing that Create's own answer did not say
        self.observe(kind, seen, at=seconds(event.get("time")))

    def observe(self, kind: Kind, seen: Observation, at: float | None = None) -> None:
        """Bring the record of a job up to what was seen of it.

        Raises:
            Conflict: it kept being changed by others; the message should come again.
        """
        name = kind.attempt_name(seen, self.clients)
        ours = parse_name(name)
        if ours is None or not name.startswith(f"{self.settings.stack}-"):
            return
        job_id, number = ours
        if seen.status == "InProgress":
            if seen.running:
                self.table.heard_running(job_id, number, seen.arn, seen.started or at or self.now())
            return
        for _ in range(MOST_CONFLICTS):
            job = self.table.get(job_id)
            if job is None or job.attempt != number:
                log.info("late or foreign event", extra={"attempt": name})
                return
            if job.finished:  # doubled, or the one that could not be answered
                settle(self.table, self.clients, self.settings, job, self.now())
                return
            if job.status not in (LAUNCHED, IN_PROGRESS):
                return
            if _another(seen.arn, job.attempts[-1].arn):
                log.warning("an event of another thing of that name", extra={"attempt": name, "arn": seen.arn})
                return
            if seen.partial:
                seen = kind.describe(name, seen.arn or job.attempts[-1].arn, self.clients)
            after = self._after(job, seen, at)
            if after is None:
                return
            try:
                self._settle(job, self.table.save(job, after))
                return
            except Conflict:
                continue
        raise Conflict(job_id)

    def stop(self, job_id: str) -> None:
        """Have AWS stop a job that somebody wants stopped."""
        job = self.table.get(job_id)
        if job is None:
            return
        if job.finished:
            settle(self.table, self.clients, self.settings, job, self.now())
        elif job.holding and not job.unheard and job.stopping:
            kinds.find(job.kind).stop(job.name, job.attempts[-1].arn, self.clients)

    def run_ended(self, detail: dict[str, Any]) -> None:
        """Take in that an execution has ended badly, unless it goes on by now.

        An event may come after a redrive, whose jobs are wanted. DescribeExecution may be a moment behind, so it is
        the number of redrives that tells, not the status alone.

        Args:
            detail: of EventBridge's Step Functions Execution Status Change.
        """
        run = detail["name"]
        now = self.clients("stepfunctions").describe_execution(executionArn=detail["executionArn"])
        if now["status"] == "RUNNING" and now.get("redriveCount", 0) > (detail.get("redriveCount") or 0):
            log.info("redriven since", extra={"run": run, "status": detail["status"]})
            return
        self.stop_run(run, f"the end of run {run} ({detail['status']})")

    def stop_run(self, run: str, why: str) -> None:
        """Stop what is left of a run that is over: nobody waits for it, and it costs."""
        self.watches.run_ended(run)
        for job in self.table.of_run(run):
            if job.finished:
                continue
            stopped = stop(self.table, job.id, why, self.now(), self.settings.history_s)
            if stopped is not None:
                self.stop(job.id)

    def sweep(self) -> None:
        """See to what time has woken: looks, debts, digests, backoffs, launches left over. Reads nothing else."""
        for item in self.table.due(self.now()):
            if self.seconds_left() < MARGIN_S:
                return
            self._guarded(item)

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
        billable = seen.billable_seconds
        if billable is None:
            billable = (over.ended or 0.0) - (over.started or 0.0)
        over = replace(over, billable_seconds=float(billable))
        if seen.status == "Completed":
            options = json.loads(job.document).get("options", {})
            short = kinds.find(job.kind).shortfall(options, seen, job.destination, self.clients)
            if short is None:
                if job.caching is not None and changed_meanwhile(job, self.clients("s3"), self.settings.bucket):
                    job = job.not_cached("an input was written to before it had ended")
                return job.completed(over, self.now(), self.settings.history_s)
            failure, reason = short
            return self._failed(job, failure, reason, replace(over, failure=failure, reason=reason))
        return self._after_failure(job, seen, over)

    def _after_failure(self, job: Job, seen: Observation, over: Attempt) -> Job:
        failure = ending(seen.status, seen.reason, seen.message, seen.secondary)
        if job.stopping == Failure.STOPPED:  # however it took the end that it was asked for
            failure = Failure.STOPPED
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
        if failure is Failure.SERVICE:
            failure, reason = Failure.QUARANTINED, f"the service failed {job.faults + 1} times: {reason}"
        if failure is Failure.CAPACITY:
            if now < job.too_old_to_wait:
                at = min(now + backoff(base, job.shortages, self.jitter), job.too_old_to_wait)
                return job.retried(over, at, shortages=job.shortages + 1, pool_offset=job.pool_offset + 1)
            failure, reason = Failure.CAPACITY_TIMEOUT, f"no capacity within {job.max_wait_s} s: {reason}"
        return self._failed(job, failure, reason, over)

    def _failed(self, job: Job, failure: str, reason: str, over: Attempt) -> Job:
        return job.failed(failure, reason, self.now(), self.settings.history_s, over)

    def _settle(self, before: Job, job: Job) -> None:
        """What follows from a change that is written: whoever waits is told."""
        if before.holding and not job.holding:
            self.freed[before.holding] += before.units
        if job.finished:
            log.info("job finished", extra={"job": job.id, "status": job.status, "failure": job.failure})
            settle(self.table, self.clients, self.settings, job, self.now())
        elif job.status == NEW:
            log.info("job goes back", extra={"job": job.id, "why": job.waiting_for})
            if job.not_before > self.now():
                self.resting.append((job.not_before, job.id))
            else:
                self.ready.append(job.id)

    # ── the sweep

    def _guarded(self, item: Item) -> None:
        try:
            pk = item["pk"]["S"]
            if pk.startswith("digest#"):
                digests.mail(self.table, item, self._tell, self.now())
            elif pk.startswith(repeats.PREFIX):
                repeats.tell(self.table.client, self.table.name, item, self._tell, self.now())
            elif pk.startswith(watches.PREFIX):
                self.watches.look(
                    item, status_of=self._status_of, jobs_of=self.table.of_run, send=self._tell, now=self.now()
                )
            elif (job := readable(item)) is not None:
                self._wake(job)
        except Conflict:
            log.info("job changed meanwhile", extra={"item": item["pk"]})
        except Exception:
            log.exception("sweep could not look", extra={"item": item["pk"]})

    @property
    def watches(self) -> watches.Watches:
        """What should have happened by a time."""
        return watches.Watches(self.table.client, self.table.name)

    def _status_of(self, execution: str) -> str:
        answer = self.clients("stepfunctions").describe_execution(executionArn=execution)
        return str(answer["status"])

    def _tell(self, message: dict[str, Any]) -> None:
        tell_alarms(self.clients("sqs"), self.settings.alarm_queue_url, message)

    def _wake(self, job: Job) -> None:
        """What is due of one job. It is as the index has it: maybe a moment old, which conditional writes find out."""
        if job.finished:
            settle(self.table, self.clients, self.settings, job, self.now())
        elif job.status == NEW or job.unheard:
            self.ready.append(job.id)
        else:
            self._look(job)

    def _look(self, job: Job) -> None:
        """Describe one job, and put its next look as far ahead as it has lasted."""
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
        after = self._after(job, seen, None)
        if after is not None:
            job, before = self.table.save(job, after), job
            self._settle(before, job)
        started = seen.started or latest.started
        if seen.status not in ("Starting", "InProgress") or started is None:
            return
        late = now - started - job.max_runtime_s - (GRACE_S if kind.stops_itself else 0.0)
        if late >= 0 and job.holding:
            job = self.table.save(job, job.stopping_for(job.stopping or Failure.TIME_LIMIT, now + GRACE_S))
        if job.stopping:
            kind.stop(latest.name, latest.arn or seen.arn, self.clients)

    def _next_look(self, job: Job, started: float | None) -> float:
        """When to look if nothing is heard.

        Before it runs, or while a Task waits for it: after 3, 6, 12, 24 … minutes. Then when its time must be over.
        """
        now, launched, kind = self.now(), job.attempts[-1].launched, kinds.find(job.kind)
        look = launched + self.settings.first_look_s
        while look <= now:
            look = launched + 2 * (look - launched)
        if started is None:
            return look
        over = started + job.max_runtime_s + (GRACE_S if kind.stops_itself else 0.0)
        if over <= now:
            return look
        return min(look, over) if job.token else over


def _another(seen: str, known: str) -> bool:
    """Whether an ARN is not the one that was written down. Some kinds put more behind a # once they know it."""
    return bool(seen and known) and seen.partition("#")[0] != known.partition("#")[0]
