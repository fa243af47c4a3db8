"""One execution: what the API tells of it, and what it needs to run and to be taken up again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local.stepfunctions.history import TOO_LONG
from local.stepfunctions.strand import iso

REDRIVABLE = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
REDRIVE_SECONDS = 14 * 24 * 3600  # after its end an execution can be redriven for 14 days
MAX_REDRIVES = 1000
REQUIRED = frozenset({"definition", "started"})


@dataclass(slots=True)
class Execution:
    """The record of one execution; dates in epoch seconds, input and output as JSON text."""

    arn: str
    name: str
    machine_arn: str
    role: str
    definition: str
    input: str
    started: float
    status: str = "RUNNING"
    stopped: float | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    version_arn: str | None = None
    alias_arn: str | None = None
    map_run: str | None = None
    express: bool = False
    redrives: int = 0
    redriven: float | None = None
    redrive_tokens: dict[str, float] = field(default_factory=dict)  # clientToken → redriveDate
    place: dict[str, Any] = field(default_factory=dict)
    revision: str = ""
    trace: str | None = None
    item_count: int | None = None
    order: int = 0  # among the children of a map run
    updated: float | None = None  # when its machine was last updated

    def row(self) -> dict[str, Any]:
        """The record as JSON; what is as it is at first is left out."""
        return {
            name: value for name in self.__slots__ if (value := getattr(self, name)) or name in REQUIRED or value == ""
        }

    def context(self, machine_name: str, value: Any) -> dict[str, Any]:
        """`$states.context`, as far as it is the same in every state."""
        execution = {
            "Id": self.arn, "Input": value, "Name": self.name, "RoleArn": self.role, "StartTime": iso(self.started),
            "RedriveCount": self.redrives,
        }  # fmt: skip
        if self.redriven is not None:
            execution["RedriveTime"] = iso(self.redriven)
        return {
            "Execution": execution,
            "StateMachine": {"Id": self.version_arn or self.machine_arn, "Name": machine_name},
        }

    def redrive_status(self, now: float) -> tuple[str, str | None]:
        """Whether RedriveExecution would take it, and why not."""
        if self.status not in REDRIVABLE:
            return "NOT_REDRIVABLE", f"Execution is {self.status} and cannot be redriven"
        if self.map_run:
            return "REDRIVABLE_BY_MAP_RUN", None
        if self.express:
            return "NOT_REDRIVABLE", "Execution is of type EXPRESS and cannot be redriven"
        if self.stopped is not None and now - self.stopped > REDRIVE_SECONDS:
            return "NOT_REDRIVABLE", "Execution is past its redrivable period"
        if self.redrives >= MAX_REDRIVES:
            return "NOT_REDRIVABLE", "Execution has reached the maximum number of redrives"
        if self.cause == TOO_LONG:
            return "NOT_REDRIVABLE", "Execution has exceeded the maximum history event limit"
        return "REDRIVABLE", None

    def describe(self, now: float) -> dict[str, Any]:
        """The answer of DescribeExecution."""
        status, reason = self.redrive_status(now)
        return present({
            "executionArn": self.arn, "stateMachineArn": self.machine_arn, "name": self.name, "status": self.status,
            "startDate": self.started, "stopDate": self.stopped, "input": self.input,
            "inputDetails": {"included": True}, "output": self.output,
            "outputDetails": {"included": True} if self.output is not None else None,
            "traceHeader": self.trace, "mapRunArn": self.map_run, "error": self.error, "cause": self.cause,
            "stateMachineVersionArn": self.version_arn, "stateMachineAliasArn": self.alias_arn,
            "redriveCount": self.redrives, "redriveDate": self.redriven, "redriveStatus": status,
            "redriveStatusReason": reason,
        })  # fmt: skip

    def listed(self) -> dict[str, Any]:
        """Its item in ListExecutions."""
        return present({
            "executionArn": self.arn, "stateMachineArn": self.machine_arn, "name": self.name, "status": self.status,
            "startDate": self.started, "stopDate": self.stopped, "mapRunArn": self.map_run,
            "stateMachineVersionArn": self.version_arn, "stateMachineAliasArn": self.alias_arn,
            "redriveCount": self.redrives, "redriveDate": self.redriven, "itemCount": self.item_count,
        })  # fmt: skip

    def event(self, now: float) -> dict[str, Any]:
        """The detail of its Step Functions Execution Status Change event; times in epoch milliseconds."""
        status, reason = self.redrive_status(now)
        included = {"included": True}
        return {
            "executionArn": self.arn, "stateMachineArn": self.machine_arn, "name": self.name, "status": self.status,
            "startDate": millis(self.started), "stopDate": millis(self.stopped), "input": self.input,
            "output": self.output, "stateMachineVersionArn": self.version_arn, "stateMachineAliasArn": self.alias_arn,
            "redriveCount": self.redrives, "redriveDate": millis(self.redriven), "redriveStatus": status,
            "redriveStatusReason": reason, "inputDetails": included,
            "outputDetails": included if self.output is not None else None, "error": self.error, "cause": self.cause,
        }  # fmt: skip


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def millis(seconds: float | None) -> int | None:
    """Epoch milliseconds."""
    return None if seconds is None else round(seconds * 1000)
