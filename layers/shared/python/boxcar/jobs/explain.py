"""Why a job waits, why it failed, and what comes next: from its record, the leases it needs, and the time.

Nothing here reads or calls: whoever asks brings what is known. Numbers of a pool are units (instances, statements,
vCPUs); durations are seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from pydantic import Field

from boxcar.alarms.advice import advice_for, canonical_name
from boxcar.jobs.documents import Time, iso_time
from boxcar.jobs.leases import Lease
from boxcar.jobs.record import COMPLETED, FAILED, IN_PROGRESS, NEW, STOPPED, Job
from boxcar.steps import Document

MOST_AHEAD = 1000  # whoever counts, stops there


class PoolState(Document):
    """One pool that the job may use."""

    pool: str
    held: int = Field(description="units in use")
    limit: int | None = Field(description="units there are, as far as anybody knows")
    known: Literal["configured", "learned", ""] = Field(
        description="how the limit is known: AWS refused, or it was set"
    )
    until: Time | None = Field(description="when a learned limit is forgotten and asked for again")
    room: bool = Field(description="for this job, now")


class Waiting(Document):
    """Why a job has not been started."""

    why: Literal["backoff", "pool_full", "line", "launcher"]
    text: str
    until: Time | None = Field(description="when it is looked at again at the latest, if that is known")
    pools: list[PoolState]
    ahead: int | None = Field(description="jobs before it in line, 1000 at most; null while it is not in line")
    whose_turn: str = Field(description="owner of the first job in line")
    owners: int = Field(description="owners of its priority who take turns in this line, this one included")


class FailureExplained(Document):
    """Why a job failed, and what to do."""

    failure: str
    reason: str
    attempts: int = Field(description="made since it was submitted or retried")
    meaning: str
    done: str = Field(description="what Boxcar did by itself")
    action: str = Field(description="what to do now")


class Expected(Document):
    """Something that comes next."""

    at: Time | None = Field(description="null: as soon as it can be")
    what: str


class Difference(Document):
    """One thing in which a job differs from the one before it, of the same family, model and step."""

    component: str = Field(description="such as code, config.learning_rate, inputs.train")
    before: str = Field(description="as JSON, or a digest of what is long; empty if it had none")
    now: str


class CacheExplained(Document):
    """Whether the outputs of an earlier job stand for those of this one, and if not, why."""

    outcome: Literal["hit", "miss", "afresh", "off"]
    text: str
    job: str = Field(description="whose outputs a hit has")
    run: str = Field(description="and its run")
    saved_s: float = Field(description="and how long it ran")
    differences: list[Difference] = Field(description="of a miss")


class Explanation(Document):
    """Everything there is to say about where a job stands."""

    job: str
    status: str
    text: str = Field(description="all of it in a sentence")
    waiting: Waiting | None
    failure: FailureExplained | None
    next: list[Expected]
    cache: CacheExplained | None = Field(
        default=None, description="null: it was not asked; a job of one's own runs unless its step says `cache: true`"
    )


@dataclass(frozen=True)
class Surroundings:
    """What is known beside the job.

    Attributes:
        leases: of each pool that the job may use, by pool.
        configured: the most units of a pool, where an administrator set it.
        ahead: jobs before it in its line; None if it is not in one.
        whose_turn: owner of the first job in its line.
    """

    leases: Mapping[str, Lease] = field(default_factory=dict)
    configured: Mapping[str, int] = field(default_factory=dict)
    ahead: int | None = None
    whose_turn: str = ""


def explain(job: Job, around: Surroundings, now: float) -> Explanation:
    """Say where a job stands.

    Args:
        job: as it is now.
        around: what is known of the pools and the line it waits for.
        now: seconds since the epoch.
    """
    waiting = _waiting(job, around, now) if job.status == NEW else None
    failure = _failure(job) if job.status in (FAILED, STOPPED) else None
    if waiting:
        text = waiting.text
    elif failure:
        text = f"{job.status} after {_times(job.attempts_made, 'attempt')}: {failure.failure}. {failure.meaning}"
    elif job.hit:
        text = f"Completed {_clock(job.ended)}, at once."
    elif job.status == COMPLETED:
        text = f"Completed {_clock(job.ended)}, after {_duration(job.seconds)} in attempt {job.attempt}."
    else:
        text = _under_way(job)
    return Explanation(
        job=job.id, status=job.status, text=text, waiting=waiting, failure=failure,
        next=list(_next(job, waiting, now)), cache=explain_cache(job),
    )  # fmt: skip


def explain_cache(job: Job) -> CacheExplained | None:
    """What the cache said when a job was submitted; None if it was not asked."""
    caching = job.caching
    if caching is None:
        return None
    if caching.outcome == "hit":
        text = f"Taken from run {caching.run} (job {caching.job}), where it ran {_duration(caching.saved_s)}."
    else:
        text = f"{caching.why[:1].upper()}{caching.why[1:]}."
    return CacheExplained(
        outcome=caching.outcome,
        text=text,
        job=caching.job,
        run=caching.run,
        saved_s=caching.saved_s,
        differences=[Difference(**asdict(change)) for change in caching.changes],
    )


def _waiting(job: Job, around: Surroundings, now: float) -> Waiting:
    pools = [_pool(pool, job, around, now) for pool in job.preferred]
    lease = around.leases.get(job.pools[0], Lease(job.pools[0]))  # its turns are given there
    now_served = lease.turns.get(job.priority, 0.0)
    owners = {who for (priority, who), turn in lease.owners.items() if priority == job.priority and turn > now_served}
    line = _line(job, around, len(owners | {job.owner}))
    because = f": {job.waiting_for}" if job.waiting_for else ""
    until: float | None = None
    why: Literal["backoff", "pool_full", "line", "launcher"]
    if job.resting and job.not_before > now:
        why, until = "backoff", job.not_before
        text = f"It waits until {_clock(until)} before it is tried again{because}."
    elif not any(pool.room for pool in pools):
        why = "pool_full"
        forgotten = [around.leases[pool.pool].until for pool in pools if pool.known == "learned"]
        until = min(forgotten, default=None)
        text = f"Every pool it may use is full: {'; '.join(_full(pool) for pool in pools)}."
        text += line
    elif around.ahead:
        why = "line"
        text = f"{pools[0].pool} has room, and jobs before it take it first.{line}"
    else:
        why = "launcher"
        text = f"Nothing stands in its way: the launcher starts it with its next pass{because}."
    return Waiting(
        why=why,
        text=text,
        until=iso_time(until),
        pools=pools,
        ahead=None if job.resting else around.ahead,
        whose_turn=around.whose_turn,
        owners=len(owners | {job.owner}),
    )


def _pool(name: str, job: Job, around: Surroundings, now: float) -> PoolState:
    lease, configured = around.leases.get(name, Lease(name)), around.configured.get(name)
    limit = lease.most(configured, now)
    learned = limit is not None and limit != configured
    known: Literal["configured", "learned", ""] = "" if limit is None else "learned" if learned else "configured"
    return PoolState(
        pool=name,
        held=lease.held,
        limit=limit,
        known=known,
        until=iso_time(lease.until) if learned else None,
        room=lease.has_room(job.units, configured, now),
    )


def _full(pool: PoolState) -> str:
    words = f"{pool.pool} has {pool.held} of {pool.limit} in use"
    if pool.known == "learned":
        return f"{words} (AWS refused more; it is asked again {_read(pool.until)})"
    return f"{words} (the limit is configured)"


def _line(job: Job, around: Surroundings, owners: int) -> str:
    if around.ahead is None:
        return ""
    many = f"{MOST_AHEAD} or more" if around.ahead >= MOST_AHEAD else str(around.ahead)
    place = f" {many} stand before it in line" if around.ahead else " It is the first in line"
    turn = f", the first of {around.whose_turn}" if around.ahead and around.whose_turn else ""
    shares = (
        f". {owners} owners with jobs of priority {job.priority} take turns, however many each has in line"
        if owners > 1
        else f". Priority {job.priority}; 0 goes first"
    )
    return f"{place}{turn}{shares}."


def _under_way(job: Job) -> str:
    latest = job.attempts[-1]
    if job.stopping:
        return f"Attempt {latest.number} is being stopped on {latest.pool} ({job.stopping})."
    if job.unheard:
        why = f": {job.waiting_for}" if job.waiting_for else ""
        return f"Attempt {latest.number} is being created on {latest.pool}{why}."
    if job.status == IN_PROGRESS:
        return (
            f"Attempt {latest.number} has been running on {latest.pool} since {_clock(latest.started or job.started)}."
        )
    return f"Attempt {latest.number} was accepted {_clock(latest.launched)}; AWS prepares {latest.pool} for it."


def _failure(job: Job) -> FailureExplained:
    advice = advice_for(canonical_name(job.failure, job.reason))
    return FailureExplained(
        failure=job.failure,
        reason=job.reason,
        attempts=job.attempts_made,
        meaning=advice.meaning,
        done=advice.done,
        action=advice.for_job,
    )


def _next(job: Job, waiting: Waiting | None, now: float) -> Sequence[Expected]:
    if job.status == NEW:
        return _next_of_waiting(job, waiting, now)
    if job.finished:
        return _next_of_finished(job)
    found = [Expected(at=iso_time(job.look), what="the sweep asks AWS about it, if nothing was heard of it by then")]
    if job.unheard:
        found = [Expected(at=iso_time(job.look), what="the next launcher goes on with its launch, if this one died")]
    started = job.attempts[-1].started or job.started
    if started is not None:
        limit = started + job.max_runtime_s
        found.append(Expected(at=iso_time(limit), what="it is stopped for good: TimeLimitExceeded (max_runtime_s)"))
    left = job.max_attempts - job.failures - 1
    again = f"it is tried again, {left} more {'time' if left == 1 else 'times'}" if left > 0 else "it has Failed"
    found.append(Expected(at=None, what=f"should its own code fail, {again} (max_attempts {job.max_attempts})"))
    return found


def _next_of_waiting(job: Job, waiting: Waiting | None, now: float) -> list[Expected]:
    found = []
    if waiting and waiting.until:
        what = "it is tried again" if waiting.why == "backoff" else "AWS is asked for more, with the first job in line"
        found.append(Expected(at=waiting.until, what=what))
    if waiting and waiting.why == "pool_full":
        found.append(Expected(at=None, what="as soon as a job ends, the first in line takes what it frees"))
    if waiting and waiting.why == "launcher":
        found.append(Expected(at=None, what="the launcher starts it"))
    gives_up = max(job.too_old_to_wait, now)
    found.append(Expected(at=iso_time(gives_up), what="it gives up waiting: Failed, CapacityTimeout (max_wait_s)"))
    return found


def _next_of_finished(job: Job) -> list[Expected]:
    found = []
    if job.token:
        found.append(Expected(at=iso_time(job.look), what="the run that waits for it is answered again"))
    if job.alarm_owed:
        found.append(Expected(at=iso_time(job.look), what="its alarm is sent"))
    if job.status != COMPLETED:
        found.append(Expected(at=None, what="nothing by itself; `retry` tries the same again, with attempts anew"))
    found.append(Expected(at=iso_time(job.expires), what="its record moves to the archive"))
    return found


def _times(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _clock(time: float | None) -> str:
    return _read(iso_time(time))


def _read(time: str | None) -> str:
    """A time as people read it."""
    return f"{time[:10]} {time[11:19]} UTC" if time else "at a time that is not known"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
