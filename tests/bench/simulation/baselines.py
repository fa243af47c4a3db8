"""The same jobs on the same quotas by others: an ideal schedule, and the published design that polls once a minute.

Both know what neither could: how long each attempt takes and how it ends, which is what SageMaker will do anyway.
"""

import heapq
import itertools
import math
from collections import defaultdict, deque
from dataclasses import dataclass

from tests.bench.simulation.workload import Plan, Quotas

POLL_S = 60.0
# Calls of the poller for one job beside its Describe calls: the item stored, and for each attempt Create and two updates.
POLLER_ONCE, POLLER_EACH = 1, 3


@dataclass(frozen=True)
class Use:
    """One attempt on its machine."""

    job: str
    instance_type: str
    waits_since: float  # seconds after the beginning: submitted, or its last attempt ended
    start: float
    end: float


@dataclass(frozen=True)
class Schedule:
    """Who ran when, and the calls it took where they are counted."""

    uses: list[Use]
    calls: dict[str, int]

    @property
    def end(self) -> float:
        """When the last attempt ended."""
        return max(use.end for use in self.uses)


class _Machines:
    """Free machines by type, under quotas that change: what runs goes on when a quota falls."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._used: dict[str, int] = defaultdict(int)

    def free(self, instance_type: str, now: float) -> int:
        return self._quotas.at(instance_type, now) - self._used[instance_type]

    def take(self, instance_type: str) -> None:
        self._used[instance_type] += 1

    def give(self, instance_type: str) -> None:
        self._used[instance_type] -= 1


def ideal(plans: list[Plan], quotas: Quotas, order: dict[str, int]) -> Schedule:
    """Greedy list scheduling without any delay: whenever a machine is free, the first in `order` that may use it."""
    machines, lines = _Machines(quotas), {kind: list[tuple[int, str, float]]() for kind in quotas.steps}
    by_name = {plan.name: plan for plan in plans}
    made: dict[str, int] = defaultdict(int)
    waiting: dict[str, float] = {}
    uses: list[Use] = []
    number = itertools.count()
    due: list[tuple[float, int, str, str]] = [(plan.at, next(number), "new", plan.name) for plan in plans]
    due += [(at, next(number), "quota", kind) for at, kind, _ in quotas.changes()]
    heapq.heapify(due)

    def join(name: str, now: float) -> None:
        waiting[name] = now
        for kind in by_name[name].types:
            heapq.heappush(lines[kind], (order[name], name, now))

    def fill(kind: str, now: float) -> None:
        while lines[kind] and machines.free(kind, now) > 0:
            _, name, since = heapq.heappop(lines[kind])
            if waiting.get(name) != since:
                continue  # it runs already, on another type
            del waiting[name]
            machines.take(kind)
            end = now + by_name[name].attempts[made[name]].seconds
            made[name] += 1
            uses.append(Use(name, kind, since, now, end))
            heapq.heappush(due, (end, next(number), f"end {kind}", name))

    while due:
        now, _, what, name = heapq.heappop(due)
        if what == "new":
            join(name, now)
        elif what.startswith("end"):
            machines.give(what[4:])
            if made[name] < len(by_name[name].attempts):
                join(name, now)
        kinds = [name] if what == "quota" else list(by_name[name].types)
        for kind in dict.fromkeys([*kinds, *([what[4:]] if what.startswith("end") else [])]):
            fill(kind, now)
    return Schedule(uses, {})


def poller(plans: list[Plan], quotas: Quotas) -> Schedule:
    """Once a minute: Describe all that was launched, then launch, first come first served, until a type has no room."""
    machines = _Machines(quotas)
    lines: dict[str, deque[tuple[str, float]]] = {kind: deque() for kind in quotas.steps}
    by_name = {plan.name: plan for plan in plans}
    made: dict[str, int] = defaultdict(int)
    calls: dict[str, int] = defaultdict(lambda: POLLER_ONCE)
    waiting: dict[str, float] = {}
    running: list[tuple[float, str, str]] = []  # end, job, type
    uses: list[Use] = []
    new = deque(sorted(plans, key=lambda plan: plan.at))
    tick = 0.0

    def join(name: str, since: float) -> None:
        waiting[name] = since
        for kind in by_name[name].types:
            lines[kind].append((name, since))

    while new or running or waiting:
        tick += POLL_S
        while new and new[0].at <= tick:
            plan = new.popleft()
            join(plan.name, plan.at)
        for _, name, _ in running:
            calls[name] += 1  # Describe
        while running and running[0][0] <= tick:
            end, name, kind = heapq.heappop(running)
            machines.give(kind)
            if made[name] < len(by_name[name].attempts):
                join(name, end)
        for kind, line in lines.items():
            while line and machines.free(kind, tick) > 0:
                name, since = line.popleft()
                if waiting.get(name) != since:
                    continue
                del waiting[name]
                machines.take(kind)
                end = tick + by_name[name].attempts[made[name]].seconds
                made[name] += 1
                calls[name] += POLLER_EACH
                uses.append(Use(name, kind, since, tick, end))
                heapq.heappush(running, (end, name, kind))
        if not running and not waiting and new:
            tick = math.floor(new[0].at / POLL_S) * POLL_S
    return Schedule(uses, dict(calls))
