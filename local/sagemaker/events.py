"""What SageMaker sends to EventBridge about its jobs and model packages.

Shapes: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from datetime import UTC, datetime
from typing import Any

from local.announcer import Announcer
from local.service import Cloud


class SageMakerEvents:
    """Says what becomes of jobs, models and model packages."""

    def __init__(self, cloud: Cloud) -> None:
        self._events = Announcer(cloud, "aws.sagemaker")

    def job(self, noun: str, record: dict[str, Any], tags: list[dict[str, str]]) -> None:
        """Say that a job is now as its record says; times as epoch milliseconds."""
        detail = {**milliseconds(visible(record)), "Tags": {tag["Key"]: tag["Value"] for tag in tags}}
        words = {"TrainingJob": "Training Job", "ProcessingJob": "Processing Job", "TransformJob": "Transform Job"}[
            noun
        ]
        self._events.say(f"SageMaker {words} State Change", detail, [record[f"{noun}Arn"]])

    def package(self, record: dict[str, Any]) -> None:
        """Say that a model package is now as its record says; times in ISO 8601."""
        detail = {k: _iso(v) if k.endswith("Time") else v for k, v in visible(record).items()}
        self._events.say("SageMaker Model Package State Change", detail, [record["ModelPackageArn"]])

    def model(self, arn: str, name: str, created: float) -> None:
        """Say that a model was made or deleted."""
        detail = {"ModelName": name, "ModelArn": arn, "CreationTime": int(created * 1000)}
        self._events.say("SageMaker Model State Change", detail, [arn])

    def close(self) -> None:
        """Send what waits, then end."""
        self._events.close()


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
