"""Starting a run again: the same input with `restart_of`, and what the new run goes on from."""

import json
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from boxcar.errors import StepError, TriggerError
from boxcar.plans import Plan, read_plan
from boxcar.requests import ReadObject, Trigger, digest, read_trigger

FIELD = "restart_of"  # beside whatever the input of the first run was: an event, a schedule's input, or a request
OPEN = ("RUNNING", "PENDING_REDRIVE")
LONGEST_CHAIN = 20  # restarts of restarts; what is further back has expired, or the cache knows it


@dataclass(frozen=True)
class Earlier:
    """The run that is started again.

    Attributes:
        run: its name.
        plan: what it was to do; None if it came to an end before it knew.
    """

    run: str
    plan: Plan | None

    @property
    def chain(self) -> tuple[str, ...]:
        """Runs to go on from, the latest first."""
        return (self.run, *(self.plan.restart_of if self.plan else ()))[:LONGEST_CHAIN]


def find_earlier(event: dict[str, Any], execution: str, stepfunctions: Any, s3: Any, bucket: str) -> Earlier | None:
    """The run that an input asks to start again; None if it asks for a run of its own.

    Args:
        event: the input of the execution.
        execution: ARN of the new run; the earlier one is of the same machine.

    Raises:
        TriggerError: there is no such run, or it has not ended.
    """
    if FIELD not in event:
        return None
    run, (machine, _, own) = event[FIELD], execution.rpartition(":")
    if not isinstance(run, str) or not run or run == own:
        raise TriggerError(f"{FIELD}: is {run!r}; write the name of a run that has ended")
    status = _status(stepfunctions, f"{machine}:{run}")
    if status in OPEN:
        raise TriggerError(f"{FIELD}: run {run} is {status}; stop it, or wait until it has ended, then start it again")
    try:
        plan = read_plan(s3, bucket, run)
    except StepError:
        plan = None
    if plan is None and not status:
        raise TriggerError(f"{FIELD}: there is no run {run!r}; `boxcar runs list` shows those there are")
    return Earlier(run, plan)


def read_restart(event: dict[str, Any], earlier: Earlier, read_object: ReadObject) -> Trigger:
    """What was asked for the first time: a trigger file may have another content by now.

    Raises:
        TriggerError: the input is not one that starts a run, or one of another family.
    """
    asked, plan = {name: value for name, value in event.items() if name != FIELD}, earlier.plan
    if plan is not None and plan.request:
        request = json.dumps(plan.request).encode()
        trigger = read_trigger(asked, lambda bucket, key, version: request)
    else:
        trigger = read_trigger(asked, read_object)
    if plan is not None and plan.family != trigger.request.family:
        raise TriggerError(
            f"{trigger.source}: family: is {trigger.request.family!r}, and run {earlier.run} is one of family "
            f"{plan.family!r}; start it with its own input"
        )
    # One restart of a run at a time: two would do the same work side by side.
    claim = trigger.claim or digest("restart", earlier.chain[-1])
    return replace(trigger, restart_of=earlier.chain, claim=claim)


def _status(stepfunctions: Any, execution: str) -> str:
    """Of an execution, "" if AWS does not know it: it forgets them 90 days after their end."""
    try:
        return str(stepfunctions.describe_execution(executionArn=execution)["status"])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn"):
            return ""
        raise
