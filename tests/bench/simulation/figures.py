"""What is measured of a run, from SageMaker's own records, the jobs table, the mails and the wire's counts."""

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.bench.simulation.baselines import Schedule, Use
from tests.bench.simulation.campaign import Outcome
from tests.bench.simulation.workload import Plan, Quotas
from tests.bench.simulation.world import START


def schedule(outcome: Outcome) -> Schedule:
    """What ran on SageMaker, by SageMaker."""
    uses = []
    for plan in outcome.plans:
        since = outcome.records[plan.id]["created_at"] - START if plan.id in outcome.records else plan.at
        for record in attempts_of(plan, outcome.attempts):
            start = record["CreationTime"] - START
            end = record.get("TrainingEndTime", math.inf) - START
            uses.append(Use(plan.name, record["ResourceConfig"]["InstanceType"], since, start, end))
            since = end
    return Schedule(uses, {})


def attempts_of(plan: Plan, attempts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """SageMaker's jobs of one of ours, in the order of their numbers."""
    found = []
    for number in range(1, 200):
        record = attempts.get(f"{plan.id}-{number}")
        if record is None and number > len(plan.attempts) + 5:
            break
        if record is not None:
            found.append(record)
    return found


# ── lost, doubled, stuck


@dataclass(frozen=True)
class Ends:
    """Jobs that did not end as they should, by name and with a reason."""

    lost: list[str]  # no record, or another outcome
    doubled: list[str]  # two SageMaker jobs at once, or more than its attempts
    stuck: list[str]  # not ended


def ends(outcome: Outcome) -> Ends:
    """Compare what became of each job with what had to."""
    lost, doubled, stuck = [], [], []
    for plan in outcome.plans:
        record = outcome.records.get(plan.id)
        if record is None:
            lost.append(f"{plan.name}: there is no record of it")
            continue
        status = record["status"]
        if status not in ("Completed", "Failed", "Stopped"):
            stuck.append(f"{plan.name}: {status}: {record.get('waiting_for', '')}")
        elif (status, record.get("failure", "")) != plan.outcome:
            said = f"{status} {record.get('failure', '')}: {record.get('reason', '')[:120]}"
            lost.append(f"{plan.name}: {said}, and not {plan.outcome}")
        made = attempts_of(plan, outcome.attempts)
        if len(made) > len(plan.attempts):
            doubled.append(f"{plan.name}: {len(made)} SageMaker jobs for {len(plan.attempts)} attempts")
        for one, other in itertools.pairwise(made):
            if other["CreationTime"] < one.get("TrainingEndTime", math.inf):
                doubled.append(f"{plan.name}: {other['TrainingJobName']} began before the one before it had ended")
    return Ends(lost, doubled, stuck)


# ── capacity and latency


def use_while_waiting(uses: list[Use], quotas: Quotas, types: dict[str, tuple[str, ...]]) -> tuple[float, float]:
    """Machine-seconds in use, and allowed, over the time in which somebody waits for a machine of that type.

    Who waits for a retry counts as waiting from the moment its last attempt ended, backoff or not.
    """
    used = allowed = 0.0
    changes: dict[str, list[tuple[float, int, int, int]]] = defaultdict(list)  # time, used, waiting, quota
    for use in uses:
        changes[use.instance_type] += [(use.start, 1, 0, 0), (use.end, -1, 0, 0)]
        for kind in types[use.job]:
            changes[kind] += [(use.waits_since, 0, 1, 0), (use.start, 0, -1, 0)]
    for kind, steps in quotas.steps.items():
        before = 0
        for at, count in steps:
            changes[kind].append((at, 0, 0, count - before))
            before = count
        last, running, waiting, quota = 0.0, 0, 0, 0
        for at, more, waits, raised in sorted(changes[kind]):
            if waiting > 0 and at > last:
                used += min(running, quota) * (at - last)
                allowed += quota * (at - last)
            last, running, waiting, quota = max(last, at), running + more, waiting + waits, quota + raised
    return used, allowed


def machine_seconds(uses: Iterable[Use], until: float) -> float:
    """In use before a time."""
    return sum(max(0.0, min(use.end, until) - use.start) for use in uses)


def last_waiting(uses: Iterable[Use]) -> float:
    """When the last one that had to wait began."""
    return max((use.start for use in uses if use.start > use.waits_since), default=0.0)


def launch_latencies(uses: list[Use], quotas: Quotas) -> list[float]:
    """Seconds from the moment at which a machine was free and somebody waited for it, for each launch after a wait.

    The oldest free machine goes to the next launch. Of a job that came when machines were free, from its own coming.
    """
    found = []
    by_type: dict[str, list[tuple[float, int, Any]]] = defaultdict(list)
    for use in uses:
        by_type[use.instance_type] += [(use.end, 0, "end"), (use.start, 2, use)]
    for at, kind, count in quotas.changes():
        by_type[kind].append((at, 1, count))
    for changes in by_type.values():
        free: list[float] = []
        running = quota = 0
        for at, _, what in sorted(changes, key=lambda change: change[:2]):
            if isinstance(what, Use):
                running += 1
                since = free.pop(0) if free else at
                found.append(max(0.0, at - max(since, what.waits_since)))
                continue
            running, quota = (running - 1, quota) if what == "end" else (running, what)
            room = max(0, quota - running)
            free = free[:room] + [at] * (room - len(free))
    return found


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so many are not above (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0


# ── digests


@dataclass(frozen=True)
class Told:
    """What the mails said."""

    mails: int
    wrong: list[str]  # owners whose mails do not add up to their jobs, and mails that came twice


def digests(outcome: Outcome) -> Told:
    """Add up, by owner and outcome, what the mails say, and compare it with the jobs."""
    wrong = []
    told: dict[str, Counter[str]] = defaultdict(Counter)
    texts = Counter((mail.subject, mail.text) for mail in outcome.stack.mails)
    for (subject, text), times in texts.items():
        if times > 1:
            wrong.append(f"{times} times: {subject}")
        owner, counts = read_mail(subject, text)
        for _ in range(times):
            told[owner].update(counts)
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for plan in outcome.plans:
        record = outcome.records.get(plan.id, {})
        expected[plan.owner][record.get("failure") or record.get("status", "")] += 1
    for owner in sorted(set(told) | set(expected)):
        if told[owner] != expected[owner]:
            wrong.append(f"{owner}: mails say {dict(told[owner])}, the jobs {dict(expected[owner])}")
    return Told(len(outcome.stack.mails), wrong)


def read_mail(subject: str, text: str) -> tuple[str, dict[str, int]]:
    """Owner and counts by outcome of one digest, as a reader would find them."""
    found = re.match(r"\[Boxcar jobs\] .* of ([^\s:]+): (.*)", subject)
    if found is None:
        return f"(no digest: {subject})", {}
    table = re.search(r"^Outcomes\n((?:  .*\n)+)", text, re.M)
    if table is None:
        return found[1], {found[2].partition(" ")[0]: 1}
    rows = [line.split() for line in table[1].splitlines()[1:]]
    return found[1], {row[0]: int(row[-1]) for row in rows if row[-1].isdigit()}


# ── calls


def calls_by_length(outcome: Outcome, bounds: list[tuple[float, float]]) -> Iterator[tuple[int, float]]:
    """Jobs of one attempt whose work took so many seconds: how many, and the mean number of calls that name them."""
    for low, high in bounds:
        chosen = [plan for plan in outcome.plans if low <= plan.seconds <= high and len(plan.attempts) == 1]
        calls = [outcome.counts.named[plan.id] for plan in chosen]
        yield len(chosen), sum(calls) / max(1, len(calls))
