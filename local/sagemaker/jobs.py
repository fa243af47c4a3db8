"""What the three kinds of job have in common: their lives, from Create to the last event."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import Any

from local.sagemaker.capacity import Quotas, Slots
from local.sagemaker.containers import Containers
from local.sagemaker.data import Roles
from local.sagemaker.events import Announcer, visible
from local.sagemaker.failures import JobFailure, Stopped
from local.sagemaker.listing import page
from local.sagemaker.logs import Logs
from local.sagemaker.requests import output_members
from local.sagemaker.run import STOP, Run
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.sagemaker.timers import Timers
from local.service import ApiError, Cloud

logger = logging.getLogger(__name__)
ALIVE = ("InProgress", "Stopping")
INTERNAL = "InternalServerError: We encountered an internal error. Please try again."


class Kind(ABC):
    """A kind of job: its words, and what it does."""

    noun: str  # TrainingJob
    resource: str  # training-job, as in its ARN
    quota: str  # training, as in the names of quotas
    log_group: str
    missing: str  # what Describe says of a name that is not there
    taken: str  # what Create says of a name that is
    order: str  # the default order of its List

    @abstractmethod
    def accept(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check what botocore's model cannot say, and return fields of the record beyond the request's own."""

    @abstractmethod
    def role(self, record: dict[str, Any]) -> str:
        """The role that the job reads and writes with."""

    @abstractmethod
    def instances(self, record: dict[str, Any]) -> tuple[str, int]:
        """Instance type and count."""

    @abstractmethod
    def work(self, run: Run) -> None:
        """Do the job.

        Raises:
            JobFailure, Stopped: how it ended when it did not complete.
        """

    def phase(self, record: dict[str, Any], secondary: str, at: float, message: str = "") -> dict[str, Any]:
        """Fields that say which part of its life the job is in; nothing for kinds without secondary status."""
        return {}

    def ending(self, run: Run, record: dict[str, Any], status: str, at: float) -> dict[str, Any]:
        """Further fields of a job that has ended, beside status, reason and end time."""
        return {}

    @property
    def verb(self) -> str:
        """Training, as in TrainingStartTime."""
        return self.noun.removesuffix("Job")


class Jobs:
    """Every job of the service, alive or ended."""

    def __init__(
        self,
        cloud: Cloud,
        store: Store,
        tags: Tags,
        events: Announcer,
        containers: Containers,
        roles: Roles,
        places: int,
    ) -> None:
        self.cloud = cloud
        self.containers = containers
        self.quotas = Quotas(cloud.state / "sagemaker" / "limits.json")
        self.slots = Slots(places)
        self.timers = Timers(cloud.clock)
        self.roles = roles
        self.logs = Logs(cloud)
        self._store = store
        self._tags = tags
        self._events = events
        self._alive: dict[tuple[str, str], Run] = {}
        self._threads: set[threading.Thread] = set()
        self._closing = False

    def create(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        """Create<kind>: the job exists and begins."""
        name = request[f"{kind.noun}Name"]
        arn = f"arn:aws:sagemaker:{self.cloud.region}:{self.cloud.account}:{kind.resource}/{name.lower()}"
        now = self.cloud.clock.time()
        fields = kind.accept(request)
        if self._store.get(kind.resource, name) is not None:
            raise ApiError("ResourceInUse", kind.taken.format(arn=arn))
        record = {key: value for key, value in request.items() if key not in ("Tags",)} | fields
        record |= {f"{kind.noun}Arn": arn, f"{kind.noun}Status": "InProgress"}
        record |= {"CreationTime": now, "LastModifiedTime": now}
        record |= kind.phase(record, "Starting", now)
        self.quotas.take(*kind.instances(record), kind.quota)
        if not self._store.add(kind.resource, name, record):
            self.quotas.give(*kind.instances(record), kind.quota)
            raise ApiError("ResourceInUse", kind.taken.format(arn=arn))
        self._tags.set(arn, request.get("Tags", []))
        self._announce(kind, record)
        run = self._alive[kind.resource, name] = Run(self, kind, record)
        thread = threading.Thread(target=self._live, args=(run,), name=f"{kind.resource}-{name}", daemon=True)
        self._threads.add(thread)
        thread.start()
        return {f"{kind.noun}Arn": arn}

    def describe(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        """Describe<kind>."""
        record = self._found(kind, request[f"{kind.noun}Name"])
        members = output_members(f"Describe{kind.noun}")
        return {key: record[key] for key in members if key in record}

    def list(self, kind: Kind, request: dict[str, Any], members: list[str]) -> tuple[list[dict[str, Any]], str | None]:
        """List<kind>s: summaries and the next page's token."""
        return page(
            self._store.all(kind.resource),
            request,
            name=f"{kind.noun}Name",
            status=f"{kind.noun}Status",
            order=kind.order,
            summary=lambda record: {key: record[key] for key in members if key in record},
        )

    def stop(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        """Stop<kind>: begin to stop what is alive."""
        name = request[f"{kind.noun}Name"]
        status = self._found(kind, name)[f"{kind.noun}Status"]
        run = self._alive.get((kind.resource, name))
        if status not in ALIVE or run is None:
            words = f"{kind.quota} job"
            raise ApiError(
                "ValidationException", f"The request was rejected because the {words} is in status {status}."
            )
        run.stop(STOP)
        return {}

    def recover(self, kind: Kind) -> None:
        """Fail the jobs that were alive when the process ended without notice, and say so."""
        for record in self._store.all(kind.resource):
            if record[f"{kind.noun}Status"] in ALIVE:
                self._end(kind, record[f"{kind.noun}Name"], None, "Failed", INTERNAL)

    def enter(self, run: Run, secondary: str, message: str = "", **fields: Any) -> None:
        """The job enters another part of its life."""
        if self._closing or (run.stopping() and secondary not in ("Stopping", "Uploading")):
            raise Stopped
        now = self.cloud.clock.time()
        record = self._found(run.kind, run.name)
        change = run.kind.phase(record, secondary, now, message)
        record = self._store.change(run.kind.resource, run.name, {**change, **fields, "LastModifiedTime": now})
        if change or f"{run.kind.noun}Status" in fields:
            self._announce(run.kind, record)

    def stopping(self, run: Run) -> None:
        """The job was told to stop."""
        self.enter(run, "Stopping", **{f"{run.kind.noun}Status": "Stopping"})

    def _live(self, run: Run) -> None:
        status, why = "Completed", None
        try:
            with self.slots.place(run.stopping) as run.place:
                run.check()
                run.prepare()
                run.kind.work(run)
            run.check()
        except Stopped:
            status = "Stopped"
        except JobFailure as failure:
            status, why = ("Stopped", None) if run.stopping() else ("Failed", str(failure))
        except Exception:
            logger.exception("%s %s", run.kind.noun, run.name)
            status, why = ("Stopped", None) if run.stopping() else ("Failed", INTERNAL)
        finally:
            self._threads.discard(threading.current_thread())
        if self._closing:
            return  # the next start finds the job alive and fails it
        stream = f"{run.name}/algo-1-{int(run.request['CreationTime'])}"
        self.logs.keep(run.kind.log_group, stream, run.log, self.cloud.clock.time())
        self._end(run.kind, run.name, run, status, why)

    def _end(self, kind: Kind, name: str, run: Run | None, status: str, why: str | None) -> None:
        now = self.cloud.clock.time()
        record = self._found(kind, name)
        fields: dict[str, Any] = {f"{kind.noun}Status": status, f"{kind.verb}EndTime": now, "LastModifiedTime": now}
        fields |= {"FailureReason": why} if why else {}
        last = status
        if run is not None:
            fields |= kind.ending(run, record, status, now)
            last = run.stopped_by if status == "Stopped" and run.stopped_by not in (None, STOP) else status
            run.close()
            del self._alive[kind.resource, name]
            # before the event, so that who is woken by it finds the instance free
            self.quotas.give(*kind.instances(record), kind.quota)
        fields |= kind.phase(record, last, now)
        self._announce(kind, self._store.change(kind.resource, name, fields))

    def _announce(self, kind: Kind, record: dict[str, Any]) -> None:
        self._events.job(kind.noun, visible(record), self._tags.get(record[f"{kind.noun}Arn"]))

    def _found(self, kind: Kind, name: str) -> dict[str, Any]:
        record = self._store.get(kind.resource, name)
        if record is None:
            raise ApiError("ValidationException", kind.missing.format(name=name))
        return record

    def close(self) -> None:
        """Kill what runs. The records stay as they are: the next start fails what did not end."""
        self._closing = True
        self.containers.close()
        for run in list(self._alive.values()):
            run.stopped_by = run.stopped_by or STOP
        self.slots.wake()
        for thread in list(self._threads):
            thread.join(timeout=5)
        self.timers.close()
        self.logs.close()
