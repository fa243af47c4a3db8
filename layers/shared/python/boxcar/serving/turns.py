"""Turns: two releases to one endpoint do not change it at the same time. The second waits, with a task token.

A turn is given by the write that names its holder; that the holder's Task hears of it comes after, and is done again by
whoever finds a holder that has not been told.
"""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from boxcar.claims import ENDED
from boxcar.jobs.answers import GONE
from boxcar.serving.records import Endpoint, Endpoints, Turn


@dataclass(frozen=True)
class Turns:
    """Who may change an endpoint."""

    endpoints: Endpoints
    states: Any

    def take(self, endpoint: Endpoint, turn: Turn) -> str:
        """Take the turn, or a place in the line. Again is harmless: the last task token counts.

        Args:
            endpoint: as it is if it has no record yet.
            turn: of a release, with the token of its Task.

        Returns:
            `has it` or `waits`.
        """

        def join(before: Endpoint) -> Endpoint:
            if before.holder is None or before.holder.execution == turn.execution:
                others = [one for one in before.waiting if one.execution != turn.execution]
                return before.model_copy(update={"holder": turn, "waiting": others})
            line = [turn if one.execution == turn.execution else one for one in before.waiting]
            if turn not in line:
                line.append(turn)
            return before.model_copy(update={"waiting": line})

        record = self.endpoints.change(endpoint, join)
        assert record.holder  # this one, or the one before
        if record.trial and record.trial.token and record.holder.execution != turn.execution:
            succeed(self.states, record.trial.token, {})  # who comes may take back what is tried, or what is live
        if record.holder.execution != turn.execution and self.is_over(record.holder):
            record = self.hand_on(record, record.holder)
        else:
            record = self.tell(record)
        return "has it" if record.holder and record.holder.execution == turn.execution else "waits"

    def hand_on(self, endpoint: Endpoint, holder: Turn) -> Endpoint:
        """Give the turn to the next in line, if `holder` still has it. Those whose release has ended are left out."""
        record = endpoint
        while True:
            leaving = holder.execution

            def give(before: Endpoint, leaving: str = leaving) -> Endpoint:
                if before.holder is None or before.holder.execution != leaving:
                    return before
                following = before.waiting[0] if before.waiting else None
                return before.model_copy(update={"holder": following, "waiting": before.waiting[1:], "awaited": None})

            record = self.endpoints.change(record, give)
            if record.holder is None or not self.is_over(record.holder):
                return self.tell(record)
            holder = record.holder

    def tell(self, endpoint: Endpoint) -> Endpoint:
        """Answer the Task of the holder, unless it was answered."""
        holder = endpoint.holder
        if holder is None or not holder.token:
            return endpoint
        succeed(self.states, holder.token, {"endpoint": endpoint.endpoint})

        def told(before: Endpoint) -> Endpoint:
            if before.holder != holder:
                return before
            return before.model_copy(update={"holder": holder.model_copy(update={"token": ""})})

        return self.endpoints.change(endpoint, told)

    def is_over(self, turn: Turn) -> bool:
        """Whether the release of a turn has ended."""
        return not is_running(self.states, turn.execution)


def is_running(states: Any, execution: str) -> bool:
    """Whether an execution, by its ARN, goes on. One that is older than AWS remembers does not."""
    try:
        status = states.describe_execution(executionArn=execution)["status"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return False
        raise
    return status not in ENDED


def succeed(states: Any, token: str, output: dict[str, Any]) -> None:
    """Answer a task token. That nobody waits any more is as good as answered."""
    try:
        states.send_task_success(taskToken=token, output=json.dumps(output))
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise


def fail(states: Any, token: str, error: str, cause: str) -> None:
    """Answer a task token with an error, likewise."""
    try:
        states.send_task_failure(taskToken=token, error=error, cause=cause[:32_768])
    except ClientError as refused:
        if refused.response["Error"]["Code"] not in GONE:
            raise
