"""One strand of control: its variables, its place in the chain of events, and how a state's outcome is made."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.clock import Clock
from local.stepfunctions import errors
from local.stepfunctions.definition import MISSING
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.history import MAX_DATA, History, data_size, dumps
from local.stepfunctions.jsonata import EvaluationError, Expression, Template, render

if TYPE_CHECKING:
    from local.stepfunctions.engine import Engine

MAX_VARIABLES = 10 * 1024 * 1024  # bytes of all variables of an execution


@dataclass(slots=True)
class Run:
    """One execution as its states see it: services, history, and what `$states.context` says of it."""

    engine: Engine
    clock: Clock
    history: History
    role: str
    arn: str
    machine_arn: str
    context: dict[str, Any]


@dataclass(slots=True)
class Strand:
    """One flow of control: a machine, a branch, or an iteration.

    `place` is where it stands, for redrive: state, input, variables and, inside Parallel and Map, the `parts`.
    """

    run: Run
    variables: dict[str, Any]
    previous: int
    context: dict[str, Any]
    place: dict[str, Any] = field(default_factory=dict)
    entered: int = 0  # the event with which the current state was entered
    came_from: int = 0  # the event before that one
    text: str = ""  # the input of the current state as it came, which a state that changes nothing passes on
    open: str = ""  # the type of the state that was entered and not yet left
    children: list[Strand] = field(default_factory=list)

    def child(self, previous: int, context: dict[str, Any], place: dict[str, Any]) -> Strand:
        """A strand inside the current state."""
        made = Strand(self.run, self.variables, previous, context, place)
        self.children.append(made)
        return made

    def states(self, value: Any, **more: Any) -> dict[str, Any]:
        """The names an expression sees: the variables, and `$states` with the input and what else there is."""
        return {**self.variables, "states": {"input": value, "context": self.context, **more}}

    def evaluate(self, template: Template, value: Any, **more: Any) -> Any:
        """The value of a template for a state's input."""
        return render(template, self.states(value, **more))


@dataclass(slots=True)
class Outcome:
    """What a state came to: its output as a value and as JSON, the next state, the variables it assigned."""

    output: Any
    text: str
    next: str | None
    assigned: dict[str, Any] | None = None


class RuntimeFailure(StateFailure):
    """A fault of the state itself, not of what it called."""

    def __init__(self, cause: str, error: str = errors.RUNTIME) -> None:
        super().__init__(error, cause)


def finish(strand: Strand, source: Any, target: str | None, value: Any, default: Any, **more: Any) -> Outcome:
    """Evaluate Assign and Output of `source` (a state, rule or catcher), both against the variables before it."""
    assigned = None
    scope = strand.states(value, **more)
    if source.assign is not MISSING:
        assigned = render(source.assign, scope)
        bounded(strand, assigned)
    output = default if source.output is MISSING else render(source.output, scope)
    text = strand.text if output is value and source.output is MISSING and strand.text else dumps(output)
    if data_size(text) > MAX_DATA:
        raise StateFailure(
            errors.DATA_LIMIT,
            f"The state/task '{strand.context['State']['Name']}' returned a result with a size exceeding the maximum "
            "number of bytes service limit.",
        )
    return Outcome(output, text, target, assigned)


class VariableLimitError(EvaluationError):
    """Variables larger than their limits, which AWS reports like an expression that failed."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause, "Assign")
        self.error = errors.DATA_LIMIT


def bounded(strand: Strand, assigned: dict[str, Any]) -> None:
    """Refuse variables beyond 256 KiB each, 256 KiB a state, 10 MiB in all.

    Source: developer guide, "Passing data between states with variables".
    """
    name, total = strand.context["State"]["Name"], 0
    for key, value in assigned.items():
        size = data_size(dumps(value))
        total += size
        if size > MAX_DATA:
            raise VariableLimitError(
                f"Variable size limit exceeded. Variable '{key}' in state '{name}' was assigned {size} bytes."
            )
        if total > MAX_DATA:
            raise VariableLimitError(
                f"State total variable size limit exceeded. Variable '{key}' in state '{name}' was assigned {size} "
                "bytes, which caused the size of variables assigned in the state to exceed its limit by "
                f"{total - MAX_DATA} bytes."
            )
    known = {**strand.variables, **assigned}
    if len(known) * MAX_DATA <= MAX_VARIABLES:
        return
    over = sum(data_size(dumps(value)) for value in known.values()) - MAX_VARIABLES
    if over > 0:
        raise VariableLimitError(
            f"Execution total variable size limit exceeded. State '{name}' assigned variables that exceed the total "
            f"execution limit by {over} bytes."
        )


def integer(strand: Strand, template: Template, value: Any, low: int = 0) -> int | None:
    """A field that holds a whole number or an expression for one; None where it is not there."""
    if template is MISSING:
        return None
    result = strand.evaluate(template, value)
    if isinstance(template, Expression) and (isinstance(result, bool) or not isinstance(result, int | float)):
        raise template.expect(result, "number")
    return int(result)


def iso(seconds: float) -> str:
    """A time as `$states.context` shows it: UTC, milliseconds."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")[:23] + "Z"
