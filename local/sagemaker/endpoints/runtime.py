"""The SageMaker Runtime API: InvokeEndpoint and InvokeEndpointAsync, in their protocol (restJson)."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote

from local.clock import Clock
from local.sagemaker.endpoints.backlog import Backlog
from local.sagemaker.endpoints.capture import Capture
from local.sagemaker.endpoints.endpoint import Endpoint
from local.sagemaker.endpoints.fleets import Fleet, Variant
from local.sagemaker.endpoints.instances import LOG_GROUP, Answered, Call, Hosting
from local.sagemaker.endpoints.lives import Lives
from local.sagemaker.endpoints.measures import EndpointMeasures
from local.sagemaker.model_server import Answer
from local.sagemaker.requests import service_model, validate
from local.service import ApiError

MOST_BYTES = 25 << 20  # https://docs.aws.amazon.com/sagemaker/latest/dg/deploy-model-options.html
NO_ANSWER = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
SERVICE = "sagemaker-runtime"
ACTIONS = {"invocations": "InvokeEndpoint", "async-invocations": "InvokeEndpointAsync"}
Response = tuple[int, dict[str, str], bytes]


class ModelError(Exception):
    """The model answered with an error, or not at all: 424 to the caller."""

    def __init__(self, message: str, original: str, status: int, log_stream: str) -> None:
        super().__init__(message)
        self.told = {
            "Message": message,
            "OriginalMessage": original,
            "OriginalStatusCode": status,
            "LogStreamArn": log_stream,
        }


class Runtime:
    """Answers invocations."""

    def __init__(
        self, hosting: Hosting, lives: Lives, backlog: Backlog, measures: EndpointMeasures, capture: Capture
    ) -> None:
        self._hosting = hosting
        self._clock: Clock = hosting.cloud.clock
        self._lives = lives
        self._backlog = backlog
        self._measures = measures
        self._capture = capture

    def http(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Answer one request of the API."""
        try:
            return self._answer(method, path, headers, body)
        except ModelError as error:
            return _refusal("ModelError", 424, error.told)
        except ApiError as error:
            return _refusal(error.code, error.status, {"Message": error.message})

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        parts = path.strip("/").split("/")
        action = ACTIONS.get(parts[2]) if len(parts) == 3 and (method, parts[0]) == ("POST", "endpoints") else None
        if action is None:
            known = ", ".join(ACTIONS.values())
            words = f"{method} {path}: the embedded cloud does not have it; it has: {known}"
            raise ApiError("UnknownOperationException", words, 404)
        request = _request(action, unquote(parts[1]), headers, body)
        return self._invoke(request) if action == "InvokeEndpoint" else self._invoke_async(request)

    def _invoke(self, request: dict[str, Any]) -> Response:
        name, body = request["EndpointName"], request["Body"]
        if len(body) > MOST_BYTES:
            words = f"Member must have length less than or equal to {MOST_BYTES}"
            raise _invalid(f"1 validation error detected: Value at 'body' failed to satisfy constraint: {words}")
        for field in ("TargetModel", "TargetContainerHostname", "InferenceComponentName", "EnableExplanations"):
            if field in request:
                raise _invalid(f"{field}: the embedded cloud has endpoints of one model with one container only.")
        record, endpoint = self._serving(name)
        if endpoint.asynchronous is not None:
            raise _invalid(f"Endpoint {name} is asynchronous; invoke it with InvokeEndpointAsync.")
        target = request.get("TargetVariant")
        if target and all(each["VariantName"] != target for each in record["_config"]["ProductionVariants"]):
            raise _invalid(f"Variant {target} not found for endpoint {name}.")
        call = Call(
            body,
            request.get("ContentType", ""),
            request.get("Accept", ""),
            request.get("CustomAttributes", ""),
        )
        place = endpoint.take(target, lambda variant: variant.pick(endpoint.random))
        if place is None:
            raise ApiError("ServiceUnavailable", f"Endpoint {name} has no instance that serves.", 503)
        fleet, variant, instance = place
        answered: Future[Answer] = Future()
        instance.invoke(call, self._note(endpoint, variant, call, request.get("InferenceId"), answered.set_result))
        self._shadow(endpoint, fleet, variant, call, request.get("InferenceId"))
        answer = answered.result()
        if not 200 <= answer.status < 300:
            raise self._model_error(name, answer)
        told = {"Content-Type": answer.content_type, "x-Amzn-Invoked-Production-Variant": variant.name}
        if answer.custom_attributes:
            told["X-Amzn-SageMaker-Custom-Attributes"] = answer.custom_attributes
        return 200, told, answer.body

    def _note(
        self,
        endpoint: Endpoint,
        variant: Variant,
        call: Call,
        inference_id: str | None,
        then: Callable[[Answer], object] = lambda answer: None,
    ) -> Answered:
        """What is done with an answer, whoever waits for it."""
        begun = self._clock.time()

        def note(answer: Answer, seconds: float) -> None:
            whole = max(seconds, self._clock.time() - begun)
            self._measures.invocation(endpoint.name, variant, answer, seconds, whole)
            if 200 <= answer.status < 300:
                self._capture.take(endpoint, variant, call, answer, inference_id)
            then(answer)

        return note

    def _shadow(
        self, endpoint: Endpoint, fleet: Fleet, production: Variant, call: Call, inference_id: str | None
    ) -> None:
        """Send a copy to the shadow variant, as often as its weight says beside the production variant's."""
        for shadow in fleet.shadows:
            instance = shadow.pick(endpoint.random)
            sampled = endpoint.random.random() < shadow.weight / (production.weight or 1.0)
            if sampled and instance is not None and instance.take():
                instance.invoke(call, self._note(endpoint, shadow, call, inference_id))

    def _invoke_async(self, request: dict[str, Any]) -> Response:
        _, endpoint = self._serving(request["EndpointName"])
        if endpoint.asynchronous is None:
            raise _invalid(f"Endpoint {endpoint.name} is not asynchronous; invoke it with InvokeEndpoint.")
        if request.pop("Body"):
            raise _invalid("Body: the embedded cloud takes the data of asynchronous requests from InputLocation only.")
        if "InputLocation" not in request:
            raise _invalid("InputLocation must be given.")
        accepted = self._backlog.accept(endpoint, request)
        told = {"Content-Type": "application/json", "X-Amzn-SageMaker-OutputLocation": accepted["_output"]}
        if accepted.get("_failure"):
            told["X-Amzn-SageMaker-FailureLocation"] = accepted["_failure"]
        return 202, told, json.dumps({"InferenceId": accepted["InferenceId"]}).encode()

    def _serving(self, name: str) -> tuple[dict[str, Any], Endpoint]:
        found = self._lives.serving(name)
        if found is None:
            raise _invalid(f"Endpoint {name} of account {self._hosting.cloud.account} not found.")
        return found

    def _model_error(self, name: str, answer: Answer) -> ModelError:
        region, account = self._hosting.cloud.region, self._hosting.cloud.account
        original = answer.body.decode(errors="replace") if answer.status else NO_ANSWER
        kind = "client" if 400 <= answer.status < 500 else "server"
        group = f"{LOG_GROUP}/{name}"
        where = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group}"
        message = (
            f'Received {kind} error ({answer.status}) from primary with message "{original}". See {where} in account '
            f"{account} for more information."
        )
        return ModelError(message, original, answer.status, f"arn:aws:logs:{region}:{account}:log-group:{group}")


def _request(action: str, endpoint: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The fields of a request, which lie in its path and headers, and its body; checked, but for the body's size."""
    request: dict[str, Any] = {"EndpointName": endpoint, "Body": body}
    for name, member in service_model(SERVICE).operation_model(action).input_shape.members.items():
        if member.serialization.get("location") != "header":
            continue
        text = headers.get(member.serialization["name"].lower())
        if text is not None:
            request[name] = int(text) if member.type_name == "integer" and text.isdigit() else text
    try:
        validate(action, request, SERVICE)
    except ApiError as error:
        raise _invalid(error.message) from error
    return request


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationError", message)


def _refusal(code: str, status: int, told: dict[str, Any]) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps(told).encode()
