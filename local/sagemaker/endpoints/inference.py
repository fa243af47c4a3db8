"""One asynchronous request in the hands of an instance: fetched, answered, stored, told."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.sagemaker.data import SESSION, Bucket, reason
from local.sagemaker.endpoints import notices
from local.sagemaker.endpoints.endpoint import Endpoint
from local.sagemaker.endpoints.fleets import Variant
from local.sagemaker.endpoints.instances import Call, Hosting, Instance
from local.sagemaker.endpoints.measures import MICROSECONDS, EndpointMeasures, Value
from local.sagemaker.failures import JobFailure
from local.sagemaker.model_server import Answer

logger = logging.getLogger(__name__)

TIMEOUT = 900  # seconds of one invocation: API_runtime_InvokeEndpointAsync
MODEL_FAILED = (
    "ClientError: Received {kind} error ({status}) from model. See the SageMaker Endpoint logs in your account for "
    "more information."
)
NOT_IN_TIME = "ClientError: Your invocation timed out while waiting for a response from container primary."
LOST = "InternalServerError: The instance ended while it worked on the request, {times} times."
EXPIRED = "ClientError: The request was in the queue for longer than RequestTTLSeconds = {seconds}."
ATTEMPTS = 3  # instances that may be lost over one request
Request = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """A request, and the place that it has."""

    request: Request
    endpoint: Endpoint
    variant: Variant
    instance: Instance


class Inference:
    """Works on requests. `over(work, again)` is called at the end of each, `again` if another instance is to try."""

    def __init__(self, hosting: Hosting, measures: EndpointMeasures, over: Callable[[Work, bool], None]) -> None:
        self._hosting = hosting
        self._clock = hosting.cloud.clock
        self._measures = measures
        self._over = over

    def begin(self, work: Work) -> None:
        """Work on a request, in threads of the pool; its instance was taken for it."""
        begun = self._clock.time()
        self._measure(work, [("TimeInBacklog", (begun - work.request["_received"]) * 1000, "Milliseconds")])
        self._submit(lambda: self._fetch(work, begun))

    def expire(self, endpoint: Endpoint, request: Request, ttl: float) -> None:
        """A request was in the queue for too long."""
        variant = endpoint.blue.variants[0]
        self._measures.put(endpoint.name, variant.name, [("ExpiredRequests", 1.0, "Count")])
        self._submit(lambda: self._tell(endpoint, variant, request, None, EXPIRED.format(seconds=int(ttl))))

    def _submit(self, what: Callable[[], None]) -> None:
        """Do something that waits for other services, while the cloud's time stands still."""
        hold = self._clock.hold()
        hold.__enter__()

        def held() -> None:
            try:
                what()
            except Exception:
                logger.exception("an asynchronous invocation")
            finally:
                hold.__exit__(None, None, None)

        try:
            self._hosting.pool.submit(held)
        except RuntimeError:  # the cloud stops; the next start finds the request in the queue
            hold.__exit__(None, None, None)

    def _fetch(self, work: Work, begun: float) -> None:
        request = work.request
        try:
            body = self._bucket(work).read(request["InputLocation"])
        except JobFailure as failure:
            self._measure(work, [("RequestDownloadFailures", 1.0, "Count")])
            self._end(work, begun, None, str(failure))
            return
        fetched = self._clock.time()
        call = Call(
            body,
            request.get("ContentType", ""),
            request.get("Accept", ""),
            request.get("CustomAttributes", ""),
            float(request.get("InvocationTimeoutSeconds", TIMEOUT)),
        )
        latency = ("RequestDownloadLatency", (fetched - begun) * MICROSECONDS, "Microseconds")

        def answered(answer: Answer, seconds: float) -> None:
            self._submit(lambda: self._answered(work, begun, answer, seconds, latency))

        work.instance.ask(call, answered)

    def _answered(self, work: Work, begun: float, answer: Answer, seconds: float, latency: Value) -> None:
        request = work.request
        if answer.lost and request["_attempts"] + 1 < ATTEMPTS:
            work.instance.give()
            self._over(work, True)
            return
        values: list[Value] = [latency, ("InvocationsProcessed", 1.0, "Count")]
        why = _why(answer)
        if why is not None:
            values.append(("InvocationFailures", 1.0, "Count"))
        self._measures.processed(work.endpoint.name, work.variant.name, answer, seconds, values)
        target = request["_output"] if why is None else request.get("_failure")
        if target and answer.status:
            stored = self._clock.time()
            try:
                self._bucket(work).put(target, answer.body)
            except JobFailure as failure:
                self._measure(work, [("ResponseUploadFailures", 1.0, "Count")])
                why = why or str(failure)
            else:
                took = self._clock.time() - stored
                self._measure(work, [("ResponseUploadLatency", took * MICROSECONDS, "Microseconds")])
        self._end(work, begun, answer, why)

    def _end(self, work: Work, begun: float, answer: Answer | None, why: str | None) -> None:
        self._tell(work.endpoint, work.variant, work.request, answer, why)
        self._measure(work, [("TimeInProgress", (self._clock.time() - begun) * 1000, "Milliseconds")])
        work.instance.give()
        self._over(work, False)

    def _tell(
        self, endpoint: Endpoint, variant: Variant, request: Request, answer: Answer | None, why: str | None
    ) -> None:
        config = endpoint.asynchronous or {}
        topic = notices.topic(config, why)
        if topic is None:
            return
        cloud = self._hosting.cloud
        message = notices.message(cloud.region, request, config, answer, why, self._clock.time())
        try:
            client = cloud.client("sns", variant.model["ExecutionRoleArn"], SESSION)
            client.publish(TopicArn=topic, Message=json.dumps(message, separators=(",", ":")))
        except Exception as error:
            logger.warning("endpoint %s could not tell %s: %s", endpoint.name, topic, reason(error))
            self._measures.put(endpoint.name, variant.name, [("NotificationFailures", 1.0, "Count")])

    def _bucket(self, work: Work) -> Bucket:
        role = work.variant.model["ExecutionRoleArn"]
        client, _ = self._hosting.roles.assume(role)
        return Bucket(client, self._hosting.cloud.region, role, lambda: False)

    def _measure(self, work: Work, values: list[Value]) -> None:
        self._measures.put(work.endpoint.name, work.variant.name, values)


def _why(answer: Answer) -> str | None:
    if answer.lost:
        return LOST.format(times=ATTEMPTS)
    if not answer.status:
        return NOT_IN_TIME
    if 200 <= answer.status < 300:
        return None
    kind = "client" if answer.status < 500 else "server"
    return MODEL_FAILED.format(kind=kind, status=answer.status)
