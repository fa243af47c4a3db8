"""Data capture: what went into and came out of an endpoint, as lines of JSON in S3.

Format: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

import base64
import json
import logging
import threading
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

from local.sagemaker.data import split
from local.sagemaker.endpoints.endpoint import Endpoint
from local.sagemaker.endpoints.fleets import Variant
from local.sagemaker.endpoints.instances import Call, Hosting
from local.sagemaker.model_server import Answer

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0  # of the cloud's clock; AWS takes a minute or two
CAPTURED = {"Input": ("Input",), "Output": ("Output",), "InputAndOutput": ("Input", "Output")}
Place = tuple[str, str, str, str]  # role, destination, endpoint, variant


class Capture:
    """Collects lines by endpoint and variant and writes them, several to a file, as the model's role."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._lines: dict[Place, list[str]] = {}
        self._lock = threading.Lock()

    def take(self, endpoint: Endpoint, variant: Variant, call: Call, answer: Answer, inference_id: str | None) -> None:
        """Capture one invocation, if the configuration that answered says so and it is one of the sample."""
        fleet = next((each for each in endpoint.fleets if variant in each.all), endpoint.blue)
        config = fleet.config.get("DataCaptureConfig")
        if not config or not config.get("EnableCapture", True):
            return
        if endpoint.random.random() * 100 >= config["InitialSamplingPercentage"]:
            return
        role: str = variant.model["ExecutionRoleArn"]
        place = (role, config["DestinationS3Uri"].rstrip("/"), endpoint.name, variant.name)
        with self._lock:
            lines = self._lines.setdefault(place, [])
            lines.append(self._line(config, call, answer, inference_id))
            first = len(lines) == 1
        if first:
            self._hosting.timers.after(FLUSH_SECONDS, partial(self._flush, place))

    def close(self) -> None:
        """Write what waits."""
        for place in list(self._lines):
            self._flush(place)

    def _line(self, config: dict[str, Any], call: Call, answer: Answer, inference_id: str | None) -> str:
        wanted = {part for option in config["CaptureOptions"] for part in CAPTURED[option["CaptureMode"]]}
        types = config.get("CaptureContentTypeHeader", {})
        data: dict[str, Any] = {}
        if "Input" in wanted:
            data["endpointInput"] = _captured("INPUT", call.content_type, call.body, types)
        if "Output" in wanted:
            data["endpointOutput"] = _captured("OUTPUT", answer.content_type, answer.body, types)
        now = datetime.fromtimestamp(self._hosting.cloud.clock.time(), UTC)
        metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if inference_id:
            metadata["inferenceId"] = inference_id
        if call.custom_attributes:
            metadata |= {"customAttributes": [call.custom_attributes]}  # type: ignore[dict-item]
        return json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}) + "\n"

    def _flush(self, place: Place) -> None:
        with self._lock:
            lines = self._lines.pop(place, [])
        if not lines:
            return
        role, destination, endpoint, variant = place
        now = datetime.fromtimestamp(self._hosting.cloud.clock.time(), UTC)
        name = f"{now:%Y/%m/%d/%H/%M-%S}-{now.microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
        bucket, key = split(f"{destination}/{endpoint}/{variant}/{name}")
        try:
            client, _ = self._hosting.roles.assume(role)
            client.put_object(Bucket=bucket, Key=key, Body="".join(lines).encode())
        except Exception as error:  # the caller has its answer: AWS does not fail it for that, either
            logger.warning("data capture of endpoint %s to s3://%s/%s: %s", endpoint, bucket, key, error)


def _captured(mode: str, content_type: str, body: bytes, types: dict[str, list[str]]) -> dict[str, str]:
    kind = content_type.split(";")[0].strip().lower()
    encoding, data = "BASE64", base64.b64encode(body).decode()
    for text, field in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if kind in [each.lower() for each in types.get(field, [])]:
            encoding, data = text, body.decode(errors="replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
