"""The deployed stack on an embedded cloud in this process, in the world's time and without a thread.

`tests.e2e.deployed.deploy_once` does with the real SAM CLI and a cloud that serves what `boxcar deploy` does; `Stack`
takes a copy of what that cloud saved, so that each world begins with an empty stack.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.useragent import UserAgentString

from local import ministack_seam as seam
from local.api import JSON, error_response
from local.cloud import EmbeddedCloud
from local.delivery import Delivery
from local.ministack_seam import indexes, simulation
from local.own_services import Own
from local.service import ApiError
from tests.bench.simulation.wire import Weather, Wire
from tests.bench.simulation.world import World, WorldClock, WorldTimers
from tests.ports import kept_port

STACK = "boxcar"
TABLE = f"{STACK}-jobs"
EVENT_S = (0.3, 1.5)  # from a change of a job to its message on the queue
INDEX_LAG_S = 0.2  # until a new entry is found in an index


@dataclass
class Events:
    """How reliable EventBridge is, as rates of events."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0  # by up to two minutes, so behind those that follow
    was_lost: int = 0
    was_doubled: int = 0
    was_late: int = 0


@dataclass(frozen=True)
class Mail:
    """One mail that left."""

    at: float
    to: str
    subject: str
    text: str


class Stack:
    """The stack, and the services that it is made of."""

    def __init__(self, deployed: Path, folder: Path, world: World, seed: int, weather: Weather, events: Events) -> None:
        shutil.copytree(deployed, folder)
        port = kept_port(folder)
        self.world = world
        self.rng = random.Random(seed)
        self.fate: Callable[[str, dict[str, Any]], dict[str, Any] | None] = lambda name, request: None
        self.mails: list[Mail] = []
        self.cloud = _Cloud(self, folder, port, events)
        simulation.check()
        simulation.use_clock(world.time)
        simulation.restore(("iam", "sts", "sqs", "sns", "lambda", "eventbridge", "scheduler", "dynamodb"))
        indexes.sort_indexes(lambda call: world.after(INDEX_LAG_S, call))
        self.wire = Wire(world, random.Random(seed + 1), weather, TABLE)
        self.sagemaker: Any = self.cloud.services["sagemaker"]
        self._root: dict[str, Any] = {}
        self._session = boto3.Session(region_name=self.cloud.region)
        UserAgentString.to_string = lambda self: "simulation"  # a tenth of each call

    def root(self, service: str) -> Any:
        """A client of the account's root, whose calls take no time and always arrive."""
        if service not in self._root:
            self._root[service] = self.client(service, {}, lambda: None)
        return self._root[service]

    def client(
        self, service: str, keys: dict[str, str], caller: Callable[[], Any], config: Config | None = None
    ) -> Any:
        """A client whose calls go through the wire."""
        client = self._session.client(
            service,
            endpoint_url=self.cloud.endpoint,
            aws_access_key_id=keys.get("AWS_ACCESS_KEY_ID", "test"),
            aws_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY", "test"),
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
            config=config,
        )
        return self.wire.connect(client, caller)

    def training_jobs(self) -> dict[str, dict[str, Any]]:
        """SageMaker's own records, by name."""
        return {record["TrainingJobName"]: record for record in self.sagemaker._store.all("training-job")}


class _Cloud(EmbeddedCloud):
    """The embedded cloud, with what it does by threads and sockets done by the world."""

    def __init__(self, stack: Stack, folder: Path, port: int, events: Events) -> None:
        self._stack = stack
        self._events = events
        os.environ.pop("BOXCAR_LOCAL_LIMITS", None)
        own = Own("sagemaker", "SageMaker.", "local.sagemaker.service", self._make_sagemaker)
        super().__init__(folder, port, WorldClock(stack.world), (own,))
        self._deliverer = self
        self.schedules._submit = self.submit
        seam.mount("sagemaker", "SageMaker.", self._sagemaker)

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        """A client for the cloud's services themselves."""
        return self._stack.root(service)

    def submit(self, delivery: Delivery) -> None:
        """An event on its way to a queue."""
        arn, world = delivery.target["Arn"], self._stack.world
        if arn.split(":")[2] != "sqs":
            return
        seconds = self._stack.rng.uniform(*EVENT_S)
        if self._stack.rng.random() < self._events.late:
            self._events.was_late += 1
            seconds += self._stack.rng.uniform(5, 120)

        def send() -> None:
            simulation.send(arn, delivery.payload)
            self._stack.wire.sent(arn)

        world.after(seconds, send)

    def _filter_event(self, event: dict[str, Any], deliver: Callable[[], None]) -> None:
        chance = self._stack.rng.random()
        if chance < self._events.lost:
            self._events.was_lost += 1
            return
        deliver()
        if chance < self._events.lost + self._events.doubled:
            self._events.was_doubled += 1
            deliver()

    def _deliver_mail(self, address: str, topic_arn: str, subject: str | None, text: str, as_json: bool) -> None:
        self._stack.mails.append(Mail(self.clock.time(), address, subject or "", text))

    def _make_sagemaker(self, module: Any, cloud: EmbeddedCloud) -> Any:
        stack = self._stack
        import local.sagemaker.events as events
        import local.sagemaker.jobs as jobs

        events.Announcer = _AtOnce
        jobs.Timers = lambda clock: WorldTimers(stack.world)
        return module.SageMaker(cloud, faults=self)

    def on_job(self, action: str, name: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """What befalls a new job (`local.faults.Faults.on_job`)."""
        return self._stack.fate(name, request)

    async def _sagemaker(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> seam.Response:
        """As `local.api.json_handler`, in this thread."""
        from local.api import _may_pass_role

        action = headers["x-amz-target"].rpartition(".")[2]
        try:
            request = json.loads(body or b"{}")
            _may_pass_role("sagemaker", action, request, headers)
            answer = self.services["sagemaker"].handle(action, request, seam.caller_arn(headers))
        except ApiError as error:
            return error_response("sagemaker", error)
        return 200, dict(JSON), json.dumps(answer or {}).encode()


class _AtOnce:
    """An `Announcer` without a thread: events are put on the bus at once, in the world's own order."""

    def __init__(self, cloud: EmbeddedCloud, source: str) -> None:
        self._cloud = cloud
        self._source = source

    def say(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self._cloud.emit(self._source, detail_type, detail, resources)

    def close(self) -> None:
        return None
