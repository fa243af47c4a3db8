"""The queues of asynchronous endpoints: kept on disk, emptied by the instances that have a place free."""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

from local.sagemaker.endpoints.endpoint import Endpoint
from local.sagemaker.endpoints.fleets import Variant
from local.sagemaker.endpoints.inference import Inference, Work
from local.sagemaker.endpoints.instances import Hosting, Instance
from local.sagemaker.endpoints.lives import Lives
from local.sagemaker.endpoints.measures import NAMESPACE, EndpointMeasures
from local.sagemaker.store import Store
from local.sagemaker.timers import Timer
from local.service import ApiError

logger = logging.getLogger(__name__)

KIND = "async-invocation"
TTL = 21_600  # seconds in the queue: API_runtime_InvokeEndpointAsync
CONCURRENT = 4  # requests of one instance at once; AWS finds a number by itself when none is given
NOT_HERE = ("S3OutputPathExtension", "Filename")
Request = dict[str, Any]
Gauge = tuple[str, str, dict[str, str], float, str]  # namespace, name, dimensions, value, unit


class Backlog:
    """Every request to an asynchronous endpoint that was accepted and is not over."""

    def __init__(self, hosting: Hosting, store: Store, lives: Lives, measures: EndpointMeasures) -> None:
        self._hosting = hosting
        self._clock = hosting.cloud.clock
        self._store = store
        self._lives = lives
        self._inference = Inference(hosting, measures, self._over)
        self._waiting: dict[str, deque[Request]] = {}
        self._working: dict[str, set[str]] = {}
        self._expiries: dict[str, Timer] = {}
        self._lock = threading.RLock()
        hosting.when_ready.append(self._dispatch)
        lives.when_deleted.append(self._forget)

    def accept(self, endpoint: Endpoint, request: Request) -> Request:
        """Put a request into the queue; return it with its InferenceId and locations."""
        for name in NOT_HERE:
            if name in request:
                raise ApiError("ValidationError", f"{name}: the embedded cloud names results by itself.")
        config = (endpoint.asynchronous or {})["OutputConfig"]
        number = str(uuid.uuid4())
        accepted = {
            "InferenceId": str(uuid.uuid4()),
            **request,
            "_id": number,
            "_attempts": 0,
            "_received": self._clock.time(),
            "_output": f"{config['S3OutputPath'].rstrip('/')}/{number}.out",
        }
        if "S3FailurePath" in config:
            accepted["_failure"] = f"{config['S3FailurePath'].rstrip('/')}/{number}-error.out"
        self._store.put(KIND, number, accepted)
        self._enqueue(accepted)
        self._dispatch(endpoint.name)
        return accepted

    def recover(self) -> None:
        """Put back what was accepted before the process ended and is not over."""
        for request in self._store.all(KIND):
            self._enqueue(request)

    def gauges(self) -> Iterator[Gauge]:
        """How the queues are, in the names of CloudWatch."""
        for endpoint in self._lives.up():
            if endpoint.asynchronous is None:
                continue
            with self._lock:
                waiting = list(self._waiting.get(endpoint.name, ()))
                size = len(waiting) + len(self._working.get(endpoint.name, ()))
            instances = sum(fleet.current for fleet in endpoint.fleets)
            oldest = self._clock.time() - waiting[0]["_received"] if waiting else 0.0
            values = [
                ("ApproximateBacklogSize", float(size), "Count"),
                # with no instance AWS counts as if there were one: the queue must pass the target before it scales
                ("ApproximateBacklogSizePerInstance", size / max(1, instances), "Count"),
                ("ApproximateAgeOfOldestRequest", oldest, "Seconds"),
                ("HasBacklogWithoutCapacity", float(bool(size) and not instances), "Count"),
            ]
            for name, value, unit in values:
                yield NAMESPACE, name, {"EndpointName": endpoint.name}, value, unit

    def _enqueue(self, request: Request) -> None:
        name, number = request["EndpointName"], request["_id"]
        left = request["_received"] + float(request.get("RequestTTLSeconds", TTL)) - self._clock.time()
        with self._lock:
            self._waiting.setdefault(name, deque()).append(request)
            self._expiries[number] = self._hosting.timers.after(left, partial(self._expire, name, number))

    def _dispatch(self, name: str) -> None:
        """Give requests to instances that have a place free, oldest first."""
        endpoint = self._lives.find(name)
        if endpoint is None or endpoint.asynchronous is None:
            return
        client = endpoint.asynchronous.get("ClientConfig", {})
        most = client.get("MaxConcurrentInvocationsPerInstance", CONCURRENT)

        def free(variant: Variant) -> Instance | None:
            found = variant.candidates(most)
            return min(found, key=lambda each: each.outstanding) if found else None

        while True:
            with self._lock:
                waiting = self._waiting.get(name)
                place = endpoint.take(None, free) if waiting else None
                if not waiting or place is None:
                    return
                request = waiting.popleft()
                self._working.setdefault(name, set()).add(request["_id"])
                self._expiries.pop(request["_id"], Timer()).cancel()
            self._inference.begin(Work(request, endpoint, place[1], place[2]))

    def _over(self, work: Work, again: bool) -> None:
        name, number = work.request["EndpointName"], work.request["_id"]
        with self._lock:
            self._working.get(name, set()).discard(number)
            if again:
                request = {**work.request, "_attempts": work.request["_attempts"] + 1}
                self._store.put(KIND, number, request)
                self._waiting.setdefault(name, deque()).appendleft(request)
            else:
                self._store.remove(KIND, number)
        self._dispatch(name)

    def _expire(self, name: str, number: str) -> None:
        endpoint = self._lives.find(name)
        with self._lock:
            request = next((each for each in self._waiting.get(name, ()) if each["_id"] == number), None)
            if request is None:
                return
            self._waiting[name].remove(request)
            self._store.remove(KIND, number)
        if endpoint is not None:
            self._inference.expire(endpoint, request, float(request.get("RequestTTLSeconds", TTL)))

    def _forget(self, name: str) -> None:
        """The endpoint is deleted, and its queue with it."""
        with self._lock:
            waiting, working = self._waiting.pop(name, deque()), self._working.pop(name, set())
            for number in [*(request["_id"] for request in waiting), *working]:
                self._store.remove(KIND, number)
                self._expiries.pop(number, Timer()).cancel()
