"""What asynchronous endpoints tell their SNS topics.

Shapes: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html, and messages that people
have posted.
"""

import base64
from datetime import UTC, datetime
from typing import Any

from local.sagemaker.model_server import Answer

MOST_BYTES = 128 << 10  # of a response that a message carries
MORE = "Check S3 path location(if configured) or Cloudwatch for additional details."
INCLUDED = {True: "SUCCESS_NOTIFICATION_TOPIC", False: "ERROR_NOTIFICATION_TOPIC"}
PARAMETERS = {
    "accept": "Accept",
    "contentType": "ContentType",
    "customAttributes": "CustomAttributes",
    "endpointName": "EndpointName",
    "inputLocation": "InputLocation",
}


def topic(config: dict[str, Any], why: str | None) -> str | None:
    """Whom to tell of a result: the success topic, or, when there is a reason why not, the error topic."""
    notify = config["OutputConfig"].get("NotificationConfig", {})
    found: str | None = notify.get("SuccessTopic" if why is None else "ErrorTopic")
    return found


def message(
    region: str, request: dict[str, Any], config: dict[str, Any], answer: Answer | None, why: str | None, now: float
) -> dict[str, Any]:
    """The message about one request; `why` it failed, None when it is completed."""
    told: dict[str, Any] = {
        "awsRegion": region,
        "eventTime": _stamp(now),
        "receivedTime": _stamp(request["_received"]),
        "invocationStatus": "Completed" if why is None else "Failed",
    }
    if why is not None:
        told["failureReason"] = why
    told["requestParameters"] = {name: request[field] for name, field in PARAMETERS.items() if field in request}
    if why is None and answer is not None:
        told["responseParameters"] = {"contentType": answer.content_type, "outputLocation": request["_output"]}
    included = config["OutputConfig"].get("NotificationConfig", {}).get("IncludeInferenceResponseIn", [])
    if answer is not None and answer.status and INCLUDED[why is None] in included:
        told["responseBody"] = {"message": MORE}
        if len(answer.body) <= MOST_BYTES:
            told["responseBody"] |= {"content": base64.b64encode(answer.body).decode(), "encoding": "BASE64"}
    ending = {"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "InferenceResult"}
    return {**told, "inferenceId": request["InferenceId"], **ending}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
