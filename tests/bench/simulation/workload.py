"""What scientists submit, what becomes of each attempt, and how much of each machine there is: all drawn by one seed."""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HOUR, DAY = 3600.0, 86_400.0
TYPES = ("ml.m5.xlarge", "ml.m5.4xlarge", "ml.c5.9xlarge", "ml.g5.xlarge")
SHORTEST_S, LONGEST_S = 300.0, 8 * HOUR
PROVISION_S = (60.0, 180.0)  # Starting: SageMaker finds a machine and pulls the image
NO_CAPACITY_S = (30.0, 300.0)  # … and does not find one
MAX_ATTEMPTS = 3
COMPLETED, ALGORITHM, CAPACITY, CLIENT = "completed", "AlgorithmError", "CapacityError", "ClientError"


@dataclass(frozen=True)
class Attempt:
    """What happens to one attempt: how long it has its machine, and how it ends."""

    outcome: str
    provision_s: float
    work_s: float

    @property
    def seconds(self) -> float:
        """How long it uses the quota."""
        return self.provision_s + self.work_s


@dataclass
class Plan:
    """One job: what is asked for, when, and the course of its attempts."""

    name: str
    owner: str
    sweep: str
    at: float  # seconds after the beginning
    types: tuple[str, ...]
    priority: int
    seconds: float  # of work, when it completes
    provision_s: float  # before it, on each machine that is found
    attempts: tuple[Attempt, ...]
    id: str = ""  # when it was submitted

    @property
    def outcome(self) -> tuple[str, str]:
        """Status and failure class that it must end with."""
        last = self.attempts[-1].outcome
        return ("Completed", "") if last == COMPLETED else ("Failed", last)

    @property
    def machine_seconds(self) -> float:
        """Over all attempts."""
        return sum(attempt.seconds for attempt in self.attempts)

    def request(self, max_wait_s: int) -> dict[str, Any]:
        """The JobRequest."""
        code = {"digest": "0" * 16, "archive": "s3://boxcar-code/train.tar.gz", "prefix": "s3://boxcar-code/train/"}
        step = {
            "name": "train",
            "kind": "training",
            "image": "simulated",
            "script": "train.py",
            "code": code,
            "config": {"plan": self.name, "work_seconds": self.seconds, "provision_seconds": self.provision_s},
            "resources": {"instance_types": list(self.types)},
            "max_runtime_s": int(max(HOUR, 2 * self.seconds)),  # what its owner thinks that it may take
            "max_attempts": MAX_ATTEMPTS,
            "max_wait_s": max_wait_s,
            "priority": self.priority,
        }
        request = {"job": self.name, "step": step, "owner": self.owner}
        return request | ({"sweep": self.sweep} if self.sweep else {})


@dataclass(frozen=True)
class Quotas:
    """Machines of each type that may be used at once: steps in time, seconds after the beginning."""

    steps: dict[str, tuple[tuple[float, int], ...]]

    def at(self, instance_type: str, time: float) -> int:
        """How many at a time."""
        return [count for since, count in self.steps[instance_type] if since <= time][-1]

    def changes(self) -> list[tuple[float, str, int]]:
        """All of them, in order."""
        return sorted((since, kind, count) for kind, steps in self.steps.items() for since, count in steps)

    def machine_seconds(self, until: float) -> float:
        """Of all types."""
        total = 0.0
        for steps in self.steps.values():
            ends = [since for since, _ in steps[1:]] + [math.inf]
            total += sum(
                max(0.0, min(end, until) - since) * count for (since, count), end in zip(steps, ends, strict=True)
            )
        return total


@dataclass(frozen=True)
class Mix:
    """What the jobs are like."""

    owners: int = 12
    types: tuple[str, ...] = TYPES
    shortest_s: float = SHORTEST_S
    longest_s: float = LONGEST_S
    algorithm_errors: float = 0.02  # of attempts
    capacity_errors: float = 0.05
    client_errors: float = 0.002
    urgent: float = 0.05  # of jobs
    with_fallback: float = 0.4
    submitted_within_s: float = 10 * HOUR
    sweeps: tuple[int, int] = (20, 120)  # jobs that are submitted together


def jobs(count: int, seed: int, mix: Mix) -> list[Plan]:
    """So many jobs, in the order of their submission: sweeps, and jobs by themselves."""
    rng = random.Random(seed)
    plans: list[Plan] = []
    for number, (owner, sweep, at) in enumerate(_submissions(count, rng, mix)):
        main = rng.choice(mix.types)
        others = [kind for kind in mix.types if kind != main]
        fallback = (rng.choice(others),) if others and rng.random() < mix.with_fallback else ()
        seconds = round(math.exp(rng.uniform(math.log(mix.shortest_s), math.log(mix.longest_s))), 1)
        provision = round(rng.uniform(*PROVISION_S), 1)
        urgent = rng.random() < mix.urgent
        plans.append(
            Plan(
                name=f"job-{number:05d}",
                owner=owner,
                sweep=sweep,
                at=at,
                types=(main, *fallback),
                priority=10 if urgent else 50,
                seconds=seconds,
                provision_s=provision,
                attempts=tuple(_attempts(rng, seconds, provision, mix)),
            )
        )
    return plans


def _submissions(count: int, rng: random.Random, mix: Mix) -> Iterator[tuple[str, str, float]]:
    """Owner, sweep and time of each job."""
    made: list[tuple[float, str, str]] = []
    while len(made) < count:
        owner = f"owner-{rng.randrange(mix.owners):02d}"
        at = rng.uniform(0, mix.submitted_within_s) * rng.random()  # most of them early
        size = min(count - len(made), rng.randint(*mix.sweeps) if rng.random() < 0.5 else 1)
        sweep = f"sweep-{len(made):05d}" if size > 1 else ""
        made += [(at + place * 0.05, owner, sweep) for place in range(size)]
    for at, owner, sweep in sorted(made):
        yield owner, sweep, at


def _attempts(rng: random.Random, seconds: float, provision: float, mix: Mix) -> Iterator[Attempt]:
    failures = 0
    while True:
        chance = rng.random()
        if chance < mix.capacity_errors:
            yield Attempt(CAPACITY, round(rng.uniform(*NO_CAPACITY_S), 1), 0.0)
            continue
        chance -= mix.capacity_errors
        if chance < mix.algorithm_errors:
            yield Attempt(ALGORITHM, provision, round(seconds * rng.random(), 1))
            failures += 1
            if failures == MAX_ATTEMPTS:
                return
            continue
        chance -= mix.algorithm_errors
        if chance < mix.client_errors:
            yield Attempt(CLIENT, provision, 0.0)
            return
        yield Attempt(COMPLETED, provision, seconds)
        return


def quotas(plans: list[Plan], hours: float, seed: int, changes: int = 6, types: tuple[str, ...] = TYPES) -> Quotas:
    """Quotas that the jobs need about `hours` for, and that change so often, by half and back among others."""
    rng = random.Random(seed)
    steps: dict[str, list[tuple[float, int]]] = {}
    for kind in types:
        load = sum(plan.machine_seconds * _share(plan, kind) for plan in plans)
        steps[kind] = [(0.0, max(2, round(load / (hours * HOUR))))]
    for number in range(changes):
        kind = types[number % len(types)]
        at = (0.1 + 0.75 * (number + rng.random()) / changes) * hours * HOUR
        base = steps[kind][0][1]
        lowered = steps[kind][-1][1] < base
        factor = rng.uniform(1.1, 1.4) if lowered or number % 2 else rng.uniform(0.5, 0.8)
        steps[kind].append((at, max(2, round(base * factor))))
    return Quotas({kind: tuple(each) for kind, each in steps.items()})


def _share(plan: Plan, kind: str) -> float:
    """How much of a job a type will bear: it and its fallback about the same."""
    return 1 / len(plan.types) if kind in plan.types else 0.0


class Fates:
    """Tells SageMaker what befalls each attempt: by the name that the job has in the workload, and the attempt's number."""

    def __init__(self, plans: list[Plan]) -> None:
        self._plans = {plan.name: plan for plan in plans}

    def __call__(self, name: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """A rule as of local/faults.py, None for one that completes."""
        attempts = self._plans[json.loads(request["HyperParameters"]["plan"])].attempts
        course = attempts[min(int(name.rpartition("-")[2]), len(attempts)) - 1]
        if course.outcome == COMPLETED:
            return None
        return {"outcome": course.outcome, "delay": course.provision_s if course.outcome == CAPACITY else course.work_s}
