"""The errors a state can end with: names and rules of the Amazon States Language, section Errors."""

from __future__ import annotations

ALL = "States.ALL"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
RUNTIME = "States.Runtime"
DATA_LIMIT = "States.DataLimitExceeded"
QUERY = "States.QueryEvaluationError"
PERMISSIONS = "States.Permissions"
BRANCH_FAILED = "States.BranchFailed"
THRESHOLD = "States.ExceedToleratedFailureThreshold"
ITEM_READER = "States.ItemReaderFailed"
RESULT_WRITER = "States.ResultWriterFailed"

# Neither States.ALL nor States.TaskFailed catches these (developer guide, "Error names").
UNCATCHABLE = frozenset({RUNTIME, DATA_LIMIT})


class StateFailure(Exception):  # noqa: N818  # errors in this language have names of their own
    """A state ended with an error: `error` is its name, `cause` a text for people; either may be absent."""

    def __init__(self, error: str | None, cause: str | None = None) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause

    def output(self) -> dict[str, str]:
        """`$states.errorOutput`, also the default input of the state a Catch leads to."""
        return {k: v for k, v in (("Error", self.error), ("Cause", self.cause)) if v is not None}

    def matches(self, names: tuple[str, ...]) -> bool:
        """Whether ErrorEquals `names` a Retry or Catch for this error."""
        error = self.error or ""
        if error in names:
            return True
        if error in UNCATCHABLE:
            return False
        return ALL in names or (TASK_FAILED in names and error != TIMEOUT)


class TimedOut(StateFailure):
    """TimeoutSeconds or HeartbeatSeconds passed. Both are reported as States.Timeout, but a missed heartbeat is also
    matched by States.HeartbeatTimeout."""

    def __init__(self, heartbeat: bool = False) -> None:
        super().__init__(TIMEOUT)
        self.heartbeat = heartbeat

    def matches(self, names: tuple[str, ...]) -> bool:
        """Whether ErrorEquals `names` a Retry or Catch for this error."""
        return super().matches(names) or (self.heartbeat and HEARTBEAT_TIMEOUT in names)


class ExecutionEnded(StateFailure):
    """No Retry or Catch applies: the whole execution ends with this error (history limit, internal fault)."""
