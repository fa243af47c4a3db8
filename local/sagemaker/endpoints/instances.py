"""One instance behind an endpoint: a model server in a process of its own, or a simulated one on the cloud's clock."""

import logging
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from local.sagemaker import simulated
from local.sagemaker.capacity import Quotas
from local.sagemaker.containers import Containers, PullError
from local.sagemaker.data import Bucket, Roles
from local.sagemaker.failures import JobFailure
from local.sagemaker.logs import Logs
from local.sagemaker.model_server import Answer, ModelServer, NotServing, fetch
from local.sagemaker.timers import Timers
from local.service import Cloud

logger = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/Endpoints"
# of ProductionVariants: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
NOT_WELL = (
    "The primary container for production variant {variant} did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)
NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time."
)
NOTICED = 2.0  # seconds of wall time after which a process that has ended is known to have
Ready = Callable[[str | None], None]  # called with why it is not, or None
Answered = Callable[[Answer, float], None]  # the answer (status 0: none came in time), and how long it took in seconds


@dataclass(frozen=True)
class Hosting:
    """What instances are made with."""

    cloud: Cloud
    containers: Containers
    roles: Roles
    timers: Timers
    logs: Logs
    quotas: Quotas
    pool: ThreadPoolExecutor  # where requests wait for containers
    when_ready: list[Callable[[str], None]] = field(default_factory=list)  # told the endpoint whose capacity grew

    def grown(self, endpoint: str) -> None:
        """An endpoint can take more requests than before."""
        for tell in self.when_ready:
            tell(endpoint)


@dataclass(frozen=True)
class Call:
    """One request to a model."""

    body: bytes
    content_type: str = ""
    accept: str = ""
    custom_attributes: str = ""
    timeout: float = 60.0  # seconds: "a customer's model containers must respond to requests within 60 seconds"


class Instance(ABC):
    """One instance. It serves until it is retired and has answered what it was asked before."""

    def __init__(self, lost: Callable[["Instance"], None]) -> None:
        """`lost` is called if it stops serving by itself, once it has served."""
        self.id = f"i-{uuid.uuid4().hex[:17]}"
        self.outstanding = 0
        self._lost = lost
        self._lock = threading.Lock()
        self._retired = False

    @abstractmethod
    def start(self, ready: Ready) -> None:
        """Begin to start; `ready` is called later, from another thread."""

    @abstractmethod
    def ask(self, call: Call, answered: Answered) -> None:
        """Ask the model; `answered` is called exactly once, later, from another thread. To be taken before."""

    @abstractmethod
    def stop(self) -> None:
        """End it now."""

    def take(self) -> bool:
        """Take one more request, to be given back; False when it is retired."""
        with self._lock:
            self.outstanding += not self._retired
            return not self._retired

    def give(self) -> None:
        """A request that was taken is done with."""
        with self._lock:
            self.outstanding -= 1
            last = self._retired and not self.outstanding
        if last:
            self.stop()

    def invoke(self, call: Call, answered: Answered) -> None:
        """Ask the model for what was taken, and give it back with the answer."""

        def over(answer: Answer, seconds: float) -> None:
            self.give()
            answered(answer, seconds)

        self.ask(call, over)

    def retire(self) -> None:
        """Take no more requests, and end once those that were taken are answered."""
        with self._lock:
            if self._retired:
                return
            self._retired = True
            idle = not self.outstanding
        if idle:
            self.stop()


class ContainerInstance(Instance):
    """A model server in a container's environment."""

    def __init__(
        self,
        hosting: Hosting,
        endpoint: str,
        variant: str,
        model: dict[str, Any],
        lost: Callable[[Instance], None],
    ) -> None:
        super().__init__(lost)
        self._hosting = hosting
        self._variant = variant
        self._model = model
        self._group, self._stream = f"{LOG_GROUP}/{endpoint}", f"{variant}/{self.id}"
        self._root = hosting.containers.path("endpoint", f"{endpoint}-{variant}-{self.id}")
        self._server: ModelServer | None = None
        self._stopped = False
        self._gone = False

    def start(self, ready: Ready) -> None:
        """Fetch the model and start its server, in a thread."""
        hold = self._hosting.cloud.clock.hold()
        hold.__enter__()  # starting takes none of the cloud's time

        def launch() -> None:
            try:
                ready(self._launch())
            finally:
                hold.__exit__(None, None, None)

        threading.Thread(target=launch, name=f"endpoint-{self._stream}", daemon=True).start()

    def _launch(self) -> str | None:
        log = self._root / "log"
        try:
            self._hosting.containers.make(self._root)
            self._hosting.logs.follow(self._group, self._stream, log)
            self._serve()
        except NotServing as error:
            with log.open("a") as file:
                file.write(f"[sagemaker logs] {error}\n")
            self.stop()
            return NOT_WELL.format(variant=self._variant)
        except (JobFailure, PullError) as error:
            self.stop()
            return str(error)
        except Exception as error:
            logger.exception("instance %s", self._stream)
            self.stop()
            return f"InternalServerError: {type(error).__name__}: {error}"
        return None

    def _serve(self) -> None:
        hosting, container, role = self._hosting, self._model["PrimaryContainer"], self._model["ExecutionRoleArn"]
        image = hosting.containers.image(container["Image"], role)
        hosting.containers.interpreter(image).wait()
        client, credentials = hosting.roles.assume(role)
        bucket = Bucket(client, hosting.cloud.region, role, lambda: self._stopped)
        env = fetch(container, {}, bucket, self._root)
        base, log = self._root / "opt/ml", self._root / "log"
        self._server = ModelServer(
            self._root / "port",
            {**credentials, **env},
            lambda argv, env: hosting.containers.start(image, self._root, argv, env, base, log),
        )
        self._server.when_ended(self._ended)

    def _ended(self) -> None:
        """The process has ended, by itself unless it was stopped. Its request may notice before the launcher does."""
        with self._lock:
            known, self._gone = self._gone or self._stopped, True
        if not known:
            self._lost(self)
            self.stop()

    def ask(self, call: Call, answered: Answered) -> None:
        """POST /invocations, in a thread of the pool."""
        hold = self._hosting.cloud.clock.hold()
        hold.__enter__()
        try:
            self._hosting.pool.submit(self._exchange, call, answered, hold)
        except RuntimeError:  # the cloud stops
            hold.__exit__(None, None, None)
            answered(Answer(503, b"the embedded cloud stops"), 0.0)

    def _exchange(self, call: Call, answered: Answered, hold: Any) -> None:
        headers = {"Content-Type": call.content_type or "application/octet-stream", "Accept": call.accept or "*/*"}
        if call.custom_attributes:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = call.custom_attributes
        begun = time.monotonic()
        try:
            assert self._server is not None
            answer = self._server.ask("POST", "/invocations", call.body, headers, call.timeout)
        except Exception as error:  # whatever it is, somebody waits for an answer
            logger.warning("instance %s: %s: %s", self._stream, type(error).__name__, error)
            lost = not isinstance(error, TimeoutError) and self._server is not None and self._server.has_ended(NOTICED)
            if lost:
                self._ended()  # before the request is tried again
            answer = Answer(0, b"", lost=lost)
        try:
            answered(answer, time.monotonic() - begun)
        finally:
            hold.__exit__(None, None, None)

    def stop(self) -> None:
        """End the process, keep its log, delete its folders."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        if self._server is not None:
            self._server.kill()
        self._hosting.logs.keep(self._group, self._stream, self._root / "log", self._hosting.cloud.clock.time())
        self._hosting.containers.remove(self._root)


class SimulatedInstance(Instance):
    """An instance of the image `boxcar-simulated:1`: its environment says how long it takes and what it answers."""

    def __init__(self, hosting: Hosting, variant: str, model: dict[str, Any], lost: Callable[[Instance], None]) -> None:
        super().__init__(lost)
        self._timers = hosting.timers
        self._variant = variant
        self._course = course_of(model)

    def start(self, ready: Ready) -> None:
        """Be ready after its provision seconds."""
        whys = {simulated.CAPACITY: NO_CAPACITY, simulated.SERVICE: NOT_WELL.format(variant=self._variant)}
        self._timers.after(self._course.provision_seconds, partial(ready, whys.get(self._course.outcome)))

    def ask(self, call: Call, answered: Answered) -> None:
        """Answer after its work seconds: its message, or what it was asked."""
        course = self._course
        status = {simulated.ALGORITHM: 500, simulated.CLIENT: 400}.get(course.outcome, 200)
        seconds, answer = course.work_seconds, Answer(status, course.message.encode() or call.body, call.content_type)
        if course.outcome == simulated.HANG or seconds > call.timeout:
            seconds, answer = call.timeout, Answer(0, b"")
        self._timers.after(seconds, lambda: answered(answer, seconds))

    def stop(self) -> None:
        """There is nothing to end."""


def course_of(model: dict[str, Any]) -> simulated.Course:
    """What the environment of a simulated model says.

    Raises:
        ApiError: ValidationException for a value that means nothing.
    """
    return simulated.course(model["PrimaryContainer"].get("Environment", {}), "the container")
