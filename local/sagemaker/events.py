"""What SageMaker sends to EventBridge about its jobs, model packages and endpoints.

Shapes: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

import re
from datetime import UTC, datetime
from typing import Any

from local.announcer import Announcer
from local.service import Cloud


class SageMakerEvents:
    """Says what becomes of jobs, models, model packages and endpoints."""

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

    def endpoint_config(self, record: dict[str, Any]) -> None:
        """Say that an endpoint configuration was made or deleted."""
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        detail = milliseconds({key: record[key] for key in members})
        self._events.say("SageMaker Endpoint Config State Change", detail, [record["EndpointConfigArn"]])

    def endpoint(self, told: tuple[dict[str, Any], list[dict[str, str]]]) -> None:
        """Say that an endpoint is now as described, with its tags. Its status is written IN_SERVICE here."""
        self._events.say("SageMaker Endpoint State Change", _endpoint(*told), [told[0]["EndpointArn"]])

    def deployment(self, told: tuple[dict[str, Any], list[dict[str, str]]]) -> None:
        """Say how the deployment of an endpoint goes on."""
        self._events.say("SageMaker Endpoint Deployment State Change", _endpoint(*told), [told[0]["EndpointArn"]])

    def close(self) -> None:
        """Send what waits, then end."""
        self._events.close()


def _endpoint(described: dict[str, Any], tags: list[dict[str, str]]) -> dict[str, Any]:
    status = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", described["EndpointStatus"]).upper()
    detail: dict[str, Any] = milliseconds(described)
    return {**detail, "EndpointStatus": status, "Tags": {tag["Key"]: tag["Value"] for tag in tags}}


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
