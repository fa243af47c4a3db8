"""Starting a run again: the same input with `restart_of`, and what the new run goes on from."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from boxcar.claims import Claims
from boxcar.errors import StepError, TriggerError
from boxcar.plans import PlannedRun, read_plan
from boxcar.requests import R, ReadObject, Trigger, digest, read_object, read_trigger

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
    plan: PlannedRun | None

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
        plan = read_plan(s3, bucket, run, PlannedRun)
    except StepError:
        plan = None
    if plan is None and not status:
        raise TriggerError(f"{FIELD}: there is no run {run!r}; `boxcar runs list` shows those there are")
    return Earlier(run, plan)


def read_restart(event: dict[str, Any], earlier: Earlier, read_object: ReadObject, kind: type[R]) -> Trigger[R]:
    """What was asked for the first time: a trigger file may have another content by now.

    Raises:
        TriggerError: the input is not one that starts a run, or one of another family.
    """
    asked, plan = {name: value for name, value in event.items() if name != FIELD}, earlier.plan
    if plan is not None and plan.request:
        request = json.dumps(plan.request).encode()
        trigger = read_trigger(asked, lambda bucket, key, version: request, kind)
    else:
        trigger = read_trigger(asked, read_object, kind)
    if plan is not None and plan.family != trigger.request.subject:
        raise TriggerError(
            f"{trigger.source}: {kind.about}: is {trigger.request.subject!r}, and run {earlier.run} is one of "
            f"{kind.about} {plan.family!r}; start it with its own input"
        )
    # One restart of a run at a time: two would do the same work side by side.
    claim = trigger.claim or digest("restart", earlier.chain[-1])
    return replace(trigger, restart_of=earlier.chain, claim=claim)


def read_start(
    event: dict[str, Any], execution: str, stepfunctions: Any, s3: Any, bucket: str, kind: type[R]
) -> tuple[Trigger[R], Earlier | None]:
    """What the input of an execution asks for, and the run that it goes on from, if it is a restart.

    Raises:
        TriggerError: it is neither a request nor a restart of a run that has ended.
    """
    earlier = find_earlier(event, execution, stepfunctions, s3, bucket)
    trigger_file = partial(read_object, s3)
    if earlier:
        return read_restart(event, earlier, trigger_file, kind), earlier
    return read_trigger(event, trigger_file, kind), None


def claim(trigger: Trigger[R], earlier: Earlier | None, claims: Claims, execution: str) -> str | None:
    """Claim a trigger for an execution; answer the execution that has it, or None when it is this one.

    Raises:
        TriggerError: somebody else has started the same run again.
    """
    if not trigger.claim:
        return None
    holder = claims.take(trigger.claim, execution, restart=earlier is not None)
    if holder and earlier:
        other = holder.rpartition(":")[2]
        raise TriggerError(f"{FIELD}: run {earlier.run} goes on in run {other}, which has not ended; watch that")
    return holder


def _status(stepfunctions: Any, execution: str) -> str:
    """Of an execution, "" if AWS does not know it: it forgets them 90 days after their end."""
    try:
        return str(stepfunctions.describe_execution(executionArn=execution)["status"])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn"):
            return ""
        raise
