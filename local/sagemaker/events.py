"""What SageMaker sends to EventBridge about its jobs and model packages.

Shapes: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

import logging
import queue
import threading
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from local.service import Cloud

logger = logging.getLogger(__name__)
TRIES = 5


class Announcer:
    """Sends events in the order of their happening, without holding up what happens."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._queue: queue.SimpleQueue[tuple[str, dict[str, Any], list[str]] | None] = queue.SimpleQueue()
        self._holds: queue.SimpleQueue[AbstractContextManager[None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send, name="sagemaker-events", daemon=True)
        self._thread.start()

    def job(self, noun: str, record: dict[str, Any], tags: list[dict[str, str]]) -> None:
        """Say that a job is now as its record says; times as epoch milliseconds."""
        detail = {**milliseconds(visible(record)), "Tags": {tag["Key"]: tag["Value"] for tag in tags}}
        words = {"TrainingJob": "Training Job", "ProcessingJob": "Processing Job", "TransformJob": "Transform Job"}[
            noun
        ]
        self._put(f"SageMaker {words} State Change", detail, [record[f"{noun}Arn"]])

    def package(self, record: dict[str, Any]) -> None:
        """Say that a model package is now as its record says; times in ISO 8601."""
        detail = {k: _iso(v) if k.endswith("Time") else v for k, v in visible(record).items()}
        self._put("SageMaker Model Package State Change", detail, [record["ModelPackageArn"]])

    def model(self, arn: str, name: str, created: float) -> None:
        """Say that a model was made or deleted."""
        detail = {"ModelName": name, "ModelArn": arn, "CreationTime": int(created * 1000)}
        self._put("SageMaker Model State Change", detail, [arn])

    def _put(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        hold = self._cloud.clock.hold()
        hold.__enter__()  # until it is sent: an event is delivered at the time of its happening
        self._holds.put(hold)
        self._queue.put((detail_type, detail, resources))

    def _send(self) -> None:
        while (event := self._queue.get()) is not None:
            detail_type, detail, resources = event
            for attempt in range(TRIES):
                try:
                    self._cloud.emit("aws.sagemaker", detail_type, detail, resources)
                    break
                except Exception:
                    # just after a start the event bus may not listen yet
                    if attempt == TRIES - 1:
                        logger.exception("event lost: %s %s", detail_type, resources)
                    else:
                        time.sleep(0.2 * 2**attempt)
            self._holds.get().__exit__(None, None, None)

    def close(self) -> None:
        """Send what waits, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10)


def visible(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the service's own fields."""
    return {key: value for key, value in record.items() if not key.startswith("_")}


def milliseconds(value: Any, key: str = "") -> Any:
    """The same document with epoch seconds in `…Time` fields turned into epoch milliseconds."""
    if isinstance(value, dict):
        return {name: milliseconds(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [milliseconds(item) for item in value]
    return int(value * 1000) if key.endswith("Time") and isinstance(value, (int, float)) else value


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
