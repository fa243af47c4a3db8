"""What a kind of job must know: how to ask AWS for it, and how to read what AWS says about it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pydantic is not needed to watch jobs
    from boxcar.settings import Settings
    from boxcar.steps import Step

Clients = Callable[[str], Any]  # name of a service -> its boto3 client


@dataclass(frozen=True)
class Launch:
    """One attempt, about to be created."""

    job: str
    name: str
    run: str
    model: str
    step: "Step"
    pool: str  # whose lease it holds
    instance_type: str
    place: str  # s3://…/<attempt>/
    checkpoints: str  # s3://…/checkpoints/, the same for every attempt
    outputs: dict[str, str]
    # When this attempt was written down, if somebody tried to create it before; None the first time. A service without
    # unique names and client tokens has to look for it then.
    tried_since: float | None = None


@dataclass(frozen=True)
class Observation:
    """What AWS says about one attempt, by an event or by Describe."""

    name: str
    status: str  # Starting, InProgress, Completed, Failed, Stopped
    arn: str = ""
    created: float | None = None  # seconds since the epoch, like the rest
    started: float | None = None
    ended: float | None = None
    reason: str = ""  # begins with a failure's class, such as AlgorithmError
    message: str = ""  # what the job itself left to be read
    secondary: str = ""
    billable_seconds: float | None = None  # of one machine, if the service says it
    rows: int = -1  # of a statement; -1 is unknown
    partial: bool = False  # the event leaves out why it failed: Describe knows
    running: bool = True  # with InProgress: this is when it began to, not one of the steps around it
    unknown: bool = False  # the service says that it knows no such thing, or does not show it to whoever asks


class AlreadyStarted(Exception):  # noqa: N818
    """The name is taken on AWS: most likely by an earlier try of the same attempt."""


class Kind(ABC):
    """One kind of job. A file in `boxcar/kinds/` has one of these as `KIND`, and nothing else needs to know of it."""

    detail_types: tuple[str, ...]  # of the EventBridge events about it
    service: str  # its client
    # Its document, and what lies at its inputs, tell all that its outputs depend on. Else (a warehouse, a definition
    # that is kept elsewhere) equal documents may have unequal outputs, and the cache is asked as far as a step says so.
    tells_all = True
    stops_itself = True  # AWS ends it after max_runtime_s; else Boxcar does

    @abstractmethod
    def check(self, step: "Step", settings: "Settings") -> None:
        """Refuse what can be seen to be wrong before anything is started.

        Raises:
            StepError: names the field and what to write instead.
        """

    @abstractmethod
    def pools(self, step: "Step") -> list[str]:
        """Whose leases it may run under, in order of preference: what AWS counts quotas by."""

    @abstractmethod
    def units(self, step: "Step") -> int:
        """How many of the pool it takes."""

    def named(self, step: "Step", settings: "Settings") -> dict[str, str]:
        """What the outputs depend on and the document only names, resolved: name → text."""
        return {"image": settings.images.get(step.image, step.image)} if step.image else {}

    @abstractmethod
    def outputs(self, step: "Step", place: str, name: str) -> dict[str, str]:
        """Where each output of the step will lie."""

    @abstractmethod
    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """Create it and answer its ARN.

        Raises:
            AlreadyStarted: the name is taken.
            ClientError: AWS refuses.
        """

    @abstractmethod
    def observe(self, detail: dict[str, Any]) -> Observation:
        """Read the detail of an event."""

    def attempt_name(self, seen: Observation, clients: Clients) -> str:
        """The name of the attempt that was seen, for a service whose events leave it out."""
        return seen.name

    @abstractmethod
    def logs(self, name: str, arn: str) -> tuple[str, str]:
        """The log group of an attempt, and what the names of its streams begin with."""

    def longest_s(self, step: "Step") -> float:
        """Seconds after which an attempt has ended, counted from when it runs, or was asked for if AWS counts so."""
        return step.max_runtime_s

    @abstractmethod
    def describe(self, name: str, arn: str, clients: Clients) -> Observation:
        """Ask AWS. What it does not know any more is Failed with InternalServerError."""

    @abstractmethod
    def stop(self, name: str, arn: str, clients: Clients) -> None:
        """Ask AWS to stop it; one that has ended is no error."""

    def shortfall(
        self, options: dict[str, Any], observation: Observation, outputs: dict[str, str], clients: Clients
    ) -> tuple[str, str] | None:
        """Failure and reason, if what completed, or left in its outputs, is not what the step's options ask for."""
        return None


def seconds(value: Any) -> float | None:
    """A time as AWS gives it (epoch milliseconds, epoch seconds, either as text, ISO 8601, datetime) as epoch seconds.

    Raises:
        ValueError: it is none of these.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return float(value) / 1000 if value > 1e11 else float(value)  # 1e11 seconds are the year 5138
