"""State machines as typed values: one class a state type, one field a field of the Amazon States Language.

Fields that may hold JSONata are templates (see `jsonata`); `MISSING` says that a field was not written, which is not
the same as null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from local.stepfunctions.jsonata import Template


class Missing:
    """The value of a field that is not there."""

    def __bool__(self) -> bool:
        return False


MISSING = Missing()
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Retrier:
    """One rule of Retry; times in seconds."""

    errors: tuple[str, ...]
    interval: int = 1
    attempts: int = 3
    backoff: float = 2.0
    max_delay: int | None = None
    jitter: bool = False


@dataclass(frozen=True, slots=True)
class Catcher:
    """One rule of Catch."""

    errors: tuple[str, ...]
    next: str
    assign: Template = MISSING
    output: Template = MISSING


@dataclass(frozen=True, slots=True)
class Rule:
    """One choice of a Choice state."""

    condition: Template
    next: str
    assign: Template = MISSING
    output: Template = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What every state has; `next` is None where the state ends its program."""

    name: str
    type: str
    next: str | None = None
    output: Template = MISSING
    assign: Template = MISSING
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(State):
    """Hands its input on, or what Output says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeed(State):
    """Ends its program with success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(State):
    """Ends its program with an error."""

    error: Template = MISSING
    cause: Template = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(State):
    """Waits for a number of seconds, or until a time."""

    seconds: Template = MISSING
    timestamp: Template = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(State):
    """Goes where the first rule that holds says."""

    rules: tuple[Rule, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(State):
    """One piece of work done by something else."""

    resource: str = ""
    arguments: Template = MISSING
    timeout: Template = MISSING
    heartbeat: Template = MISSING
    credentials: Template = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel(State):
    """Runs its branches at once and hands on the list of their outputs."""

    branches: tuple[Program, ...] = ()
    arguments: Template = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Map(State):
    """Runs its processor for every item; `distributed` as child executions, else inside this execution."""

    processor: Program
    items: Template = MISSING
    selector: Template = MISSING
    max_concurrency: Template = MISSING
    distributed: bool = False
    child_type: str = "STANDARD"
    label: str = ""
    tolerated_count: Template = MISSING
    tolerated_percentage: Template = MISSING
    reader: Reader | None = None
    batcher: Batcher | None = None
    writer: Writer | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """ItemReader: where the items of a distributed Map come from."""

    resource: str
    arguments: Template
    input_type: str = ""
    headers_in_first_row: bool = True
    headers: tuple[str, ...] = ()
    delimiter: str = ","
    max_items: Template = MISSING
    pointer: Template = MISSING


@dataclass(frozen=True, slots=True)
class Batcher:
    """ItemBatcher: how many items one child execution gets."""

    max_items: Template = MISSING
    max_bytes: Template = MISSING
    batch_input: Template = MISSING


@dataclass(frozen=True, slots=True)
class Writer:
    """ResultWriter: where a distributed Map puts its results, and in which form."""

    resource: str = ""
    arguments: Template = MISSING
    transformation: str = "NONE"
    output_type: str = "JSON"


@dataclass(frozen=True, slots=True)
class Program:
    """States that run one after another: a whole machine, a branch of Parallel, or the processor of Map."""

    start_at: str
    states: dict[str, State] = field(default_factory=dict)
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong in a definition; `location` is a JSON pointer, as in `/States/Train/Next`."""

    code: str
    message: str
    location: str
    severity: str = "ERROR"

    def sentence(self) -> str:
        """How CreateStateMachine words it."""
        return f"{self.code}: {self.message} at {self.location}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A definition and what is wrong with it; `program` is only there when nothing is."""

    program: Program | None
    problems: tuple[Diagnostic, ...]
    raw: Any = None
