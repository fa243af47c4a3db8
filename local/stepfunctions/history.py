"""What happened in an execution, event by event, in the shapes of GetExecutionHistory."""

from __future__ import annotations

import json
from typing import Any

from local.clock import Clock
from local.stepfunctions import errors
from local.stepfunctions.errors import ExecutionEnded

MAX_EVENTS = 25_000  # of one execution; event 25,000 is the one that says it failed
MAX_DATA = 256 * 1024  # bytes of a state's input or output
TOO_LONG = f"The execution reached the maximum number of history events ({MAX_EVENTS})."


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def dumps(value: Any) -> str:
    """JSON as Step Functions writes it: no spaces, characters as they are."""
    return _encode(value)


def data_size(text: str) -> int:
    """Bytes that a JSON text counts for the 256 KB limit."""
    return len(text) if text.isascii() else len(text.encode())


COMPLETE = {"truncated": False}


class History:
    """The events of one execution; `previous` is the id of the event that led to one, 0 where there is none."""

    def __init__(self, clock: Clock, events: list[dict[str, Any]] | None = None) -> None:
        self.events = events if events is not None else []
        self._clock = clock

    def add(self, kind: str, previous: int, details: dict[str, Any] | None = None, key: str = "") -> int:
        """Append one event and return its id.

        Raises:
            ExecutionEnded: this event would be the 25,000th, which is kept for the end.
        """
        number = len(self.events) + 1
        if number >= MAX_EVENTS and not kind.startswith("Execution"):
            raise ExecutionEnded(errors.RUNTIME, TOO_LONG)
        event: dict[str, Any] = {
            "timestamp": self._clock.time(),
            "type": kind,
            "id": number,
            "previousEventId": previous,
        }
        if details is not None:
            event[key or detail_key(kind)] = details
        self.events.append(event)
        return number

    def entered(self, kind: str, previous: int, name: str, text: str) -> int:
        """A state was entered with the input `text`."""
        details = {"name": name, "input": text, "inputDetails": COMPLETE}
        return self.add(f"{kind}StateEntered", previous, details, "stateEnteredEventDetails")

    def exited(self, kind: str, previous: int, name: str, text: str, assigned: dict[str, Any] | None) -> int:
        """A state was left with the output `text`, having assigned variables."""
        details: dict[str, Any] = {"name": name, "output": text, "outputDetails": COMPLETE}
        if assigned:
            details["assignedVariables"] = {key: dumps(assigned[key]) for key in sorted(assigned)}
            details["assignedVariablesDetails"] = COMPLETE
        return self.add(f"{kind}StateExited", previous, details, "stateExitedEventDetails")


def failure(error: str | None, cause: str | None) -> dict[str, Any]:
    """Details of an event that says what failed; what is not known is left out."""
    return {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}


def detail_key(kind: str) -> str:
    """The member of HistoryEvent that holds the details of an event type."""
    return f"{kind[0].lower()}{kind[1:]}EventDetails"
