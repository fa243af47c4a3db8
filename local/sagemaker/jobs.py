"""What the three kinds of job have in common: their lives, from Create to the last event."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from local.sagemaker.capacity import Quotas, Slots
from local.sagemaker.containers import Containers
from local.sagemaker.data import Roles
from local.sagemaker.events import SageMakerEvents, visible
from local.sagemaker.failures import INTERNAL, JobFailure, Stopped
from local.sagemaker.kind import Kind
from local.sagemaker.life import STOP, Life
from local.sagemaker.listing import page
from local.sagemaker.logs import Logs
from local.sagemaker.pools import WarmPools, is_healthy
from local.sagemaker.requests import output_members
from local.sagemaker.run import Run
from local.sagemaker.simulated import INTERRUPT, Course, Simulation, course, is_simulated
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.sagemaker.timers import Timers
from local.service import ApiError, Cloud

logger = logging.getLogger(__name__)
ALIVE = ("InProgress", "Stopping")
# which misfortune, if any, befalls a new job: by action, job name and request -> a rule of local/faults.py
Misfortune = Callable[[str, str, dict[str, Any]], dict[str, Any] | None]


class Jobs:
    """Every job of the service, alive or ended."""

    def __init__(
        self,
        cloud: Cloud,
        store: Store,
        tags: Tags,
        events: SageMakerEvents,
        containers: Containers,
        roles: Roles,
        places: int,
        misfortune: Misfortune,
    ) -> None:
        self.cloud = cloud
        self.containers = containers
        self.quotas = Quotas(cloud.state / "sagemaker" / "limits.json")
        self.slots = Slots(places)
        self.timers = Timers(cloud.clock)
        self.pools = WarmPools(store, self.quotas, self.timers, cloud.clock.time)
        self.roles = roles
        self.logs = Logs(cloud)
        self._store = store
        self._tags = tags
        self._events = events
        self._misfortune = misfortune
        self._alive: dict[tuple[str, str], Life] = {}
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
        life = self._life(kind, record)
        life.warm = kind.reuses(record) and self.pools.claim(record)
        if not life.warm:
            self.quotas.take(*kind.instances(record), kind.use(record))
        if life.warm or kind.keeps(record):
            record["WarmPoolStatus"] = {"Status": "InUse"}
        if not self._store.add(kind.resource, name, record):
            self.quotas.give(*kind.instances(record), kind.use(record))
            raise ApiError("ResourceInUse", kind.taken.format(arn=arn))
        self._tags.set(arn, request.get("Tags", []))
        self._alive[kind.resource, name] = life
        self._announce(kind, record)
        life.begin()
        return {f"{kind.noun}Arn": arn}

    def _life(self, kind: Kind, record: dict[str, Any]) -> Life:
        """A container's, or a simulated one: for the image that says so, and for a job that is to meet a misfortune."""
        image, texts = kind.container(record)
        simulated = is_simulated(image)
        plan = course(texts, "the container") if simulated else Course()
        if plan.outcome == INTERRUPT and not record.get("EnableManagedSpotTraining"):
            raise ApiError("ValidationException", "outcome interrupt is for jobs with EnableManagedSpotTraining")
        rule = self._misfortune(f"Create{kind.noun}", record[f"{kind.noun}Name"], record)
        if rule is not None and (rule["outcome"] != INTERRUPT or simulated):
            return Simulation(self, kind, record, plan.struck(rule["outcome"], rule.get("delay")))
        if simulated:
            return Simulation(self, kind, record, plan)
        run = Run(self, kind, record)
        if rule is not None and record.get("EnableManagedSpotTraining"):
            run.interruptions.append(float(rule.get("delay", 0)))
        return run

    def live(self, run: Run) -> None:
        """Go through the life of a job that runs here, in a thread of its own."""
        thread = threading.Thread(target=self._live, args=(run,), name=f"{run.kind.resource}-{run.name}", daemon=True)
        self._threads.add(thread)
        thread.start()

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
        life = self._alive.get((kind.resource, name))
        if status not in ALIVE or life is None:
            words = f"{kind.quota} job"
            raise ApiError(
                "ValidationException", f"The request was rejected because the {words} is in status {status}."
            )
        life.stop(STOP)
        return {}

    def recover(self, kind: Kind) -> None:
        """Fail the jobs that were alive when the process ended without notice, and say so; warm pools are gone, too."""
        for record in self._store.all(kind.resource):
            if record.get("WarmPoolStatus", {}).get("Status") in ("InUse", "Available"):
                terminated = {"WarmPoolStatus": {"Status": "Terminated"}}
                record = self._store.change(kind.resource, record[f"{kind.noun}Name"], terminated)
            if record[f"{kind.noun}Status"] in ALIVE:
                self._close(kind, record, "Failed", "Failed", INTERNAL, {})

    def enter(self, life: Life, secondary: str, message: str = "", **fields: Any) -> None:
        """The job enters another part of its life."""
        if self._closing or (life.stopping() and secondary not in ("Stopping", "Uploading")):
            raise Stopped
        now, kind = self.cloud.clock.time(), life.kind
        change = kind.phase(self._found(kind, life.name), secondary, now, message)
        record = self._store.change(kind.resource, life.name, {**change, **fields, "LastModifiedTime": now})
        if change or f"{kind.noun}Status" in fields:
            self._announce(kind, record)

    def stopping(self, life: Life) -> None:
        """The job was told to stop."""
        self.enter(life, "Stopping", **{f"{life.kind.noun}Status": "Stopping"})

    def _live(self, run: Run) -> None:
        status, why = "Completed", None
        try:
            with self.cloud.clock.hold(), self.slots.place(run.stopping) as run.place:
                run.check()
                run.prepare()
                self.logs.follow(run.kind.log_group, run.stream, run.log)
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
        self.logs.keep(run.kind.log_group, run.stream, run.log, self.cloud.clock.time())
        self.end(run, status, why)

    def end(self, life: Life, status: str, why: str | None) -> None:
        """The job has ended."""
        now, kind = self.cloud.clock.time(), life.kind
        if self._closing:
            return
        record = self._found(kind, life.name)
        fields = kind.ending(life, record, status, now)
        life.close()
        del self._alive[kind.resource, life.name]
        last = life.stopped_by if status == "Stopped" and life.stopped_by not in (None, STOP) else status
        with self.pools.lock:
            if "WarmPoolStatus" in record:
                fields["WarmPoolStatus"] = self.pools.retain(record, is_healthy(status, why, life.launched))
            if fields.get("WarmPoolStatus", {}).get("Status") != "Available":
                # before the event, so that who is woken by it finds the instance free
                self.quotas.give(*kind.instances(record), kind.use(record))
            self._close(kind, record, status, last, why, fields)

    def _close(
        self, kind: Kind, record: dict[str, Any], status: str, secondary: str, why: str | None, fields: dict[str, Any]
    ) -> None:
        now = self.cloud.clock.time()
        fields |= {f"{kind.noun}Status": status, f"{kind.verb}EndTime": now, "LastModifiedTime": now}
        fields |= {"FailureReason": why} if why else {}
        fields |= kind.phase(record, secondary, now)
        self._announce(kind, self._store.change(kind.resource, record[f"{kind.noun}Name"], fields))

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
        for life in list(self._alive.values()):
            life.stopped_by = life.stopped_by or STOP
        self.slots.wake()
        for thread in list(self._threads):
            thread.join(timeout=5)
        self.timers.close()
        self.logs.close()
