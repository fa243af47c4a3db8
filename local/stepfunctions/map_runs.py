"""Map runs: the counts of a distributed Map, as DescribeMapRun, ListMapRuns and UpdateMapRun show and change them."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

from local.stepfunctions import definition as asl
from local.stepfunctions.definition import MISSING
from local.stepfunctions.executions import present
from local.stepfunctions.jsonata import Expression
from local.stepfunctions.strand import RuntimeFailure, Strand, integer

STATUSES = {"SUCCEEDED": "succeeded", "FAILED": "failed", "TIMED_OUT": "timedOut", "ABORTED": "aborted"}
BAD = ("failed", "timedOut", "aborted")


def zeros() -> dict[str, int]:
    """Counts by status."""
    return dict.fromkeys(STATUSES.values(), 0)


@dataclass(slots=True)
class MapRun:
    """One run of a distributed Map; `items` and `executions` count what ended."""

    arn: str
    execution_arn: str
    machine_arn: str
    started: float
    max_concurrency: int
    tolerated_percentage: float
    tolerated_count: int | None
    items: dict[str, int] = field(default_factory=zeros)
    executions: dict[str, int] = field(default_factory=zeros)
    total: int = 0  # items taken
    taken: int = 0  # children made
    running: int = 0  # items in children that run
    complete: bool = False  # every item has been taken
    status: str = "RUNNING"
    stopped: float | None = None
    redrives: int = 0
    redriven: float | None = None
    written: int = 0

    @classmethod
    def start(cls, strand: Strand, state: asl.Map, value: Any) -> MapRun:
        """A new map run of a state."""
        run = strand.run
        prefix, name = run.machine_arn.split(":stateMachine:")
        label = state.label or uuid.uuid4().hex[:8]
        count = integer(strand, state.tolerated_count, value)
        return cls(
            f"{prefix}:mapRun:{name}/{label}:{uuid.uuid4()}", run.arn, f"{run.machine_arn}/{label}", run.clock.time(),
            integer(strand, state.max_concurrency, value) or 0, percentage(strand, state, value), count,
        )  # fmt: skip

    def row(self) -> dict[str, Any]:
        """The map run as JSON."""
        return asdict(self)

    def ended(self, status: str, count: int) -> None:
        """A child ended."""
        self.items[STATUSES[status]] += count
        self.executions[STATUSES[status]] += 1

    def undo(self, status: str, count: int) -> None:
        """A child that had ended is run again."""
        self.items[STATUSES[status]] -= count
        self.executions[STATUSES[status]] -= 1

    def intolerable(self) -> bool:
        """Whether more items failed than the state tolerates."""
        bad = sum(self.items[name] for name in BAD)
        if not bad:
            return False
        if self.tolerated_count is not None and bad > self.tolerated_count:
            return True
        if self.tolerated_percentage:
            # Of how many is known once all items are taken; before that no share can be exceeded for sure.
            return self.complete and bad * 100 > self.tolerated_percentage * self.total
        return self.tolerated_count is None

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeMapRun."""
        items = {
            **self.items,
            "pending": 0,
            "running": self.running,
            "resultsWritten": self.written,
            "total": self.total,
        }
        children = {**self.executions, "pending": 0, "resultsWritten": self.written, "total": self.taken}
        children["running"] = self.taken - sum(self.executions.values())
        for counts in (items, children):
            counts |= {"failuresNotRedrivable": 0, "pendingRedrive": 0}
        return present({
            "mapRunArn": self.arn, "executionArn": self.execution_arn, "status": self.status, "startDate": self.started,
            "stopDate": self.stopped, "maxConcurrency": self.max_concurrency,
            "toleratedFailurePercentage": float(self.tolerated_percentage),
            "toleratedFailureCount": self.tolerated_count or 0, "itemCounts": items, "executionCounts": children,
            "redriveCount": self.redrives, "redriveDate": self.redriven,
        })  # fmt: skip

    def listed(self) -> dict[str, Any]:
        """Its item in ListMapRuns."""
        return present({
            "executionArn": self.execution_arn, "mapRunArn": self.arn, "stateMachineArn": self.machine_arn,
            "startDate": self.started, "stopDate": self.stopped,
        })  # fmt: skip


def percentage(strand: Strand, state: asl.Map, value: Any) -> float:
    """ToleratedFailurePercentage, from 0 to 100."""
    if state.tolerated_percentage is MISSING:
        return 0
    result = strand.evaluate(state.tolerated_percentage, value)
    if isinstance(state.tolerated_percentage, Expression) and (
        isinstance(result, bool) or not isinstance(result, int | float)
    ):
        raise state.tolerated_percentage.expect(result, "number")
    if not 0 <= result <= 100:
        raise RuntimeFailure(
            f"The value of the field 'ToleratedFailurePercentage' must be from 0 to 100 but was {result}"
        )
    return float(result)
