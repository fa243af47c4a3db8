"""What a version looks like on an endpoint: names and requests of SageMaker, made from the registry and the family.

Names stand for contents, so a repeat finds what it made before, and an endpoint whose configuration has the name that a
release would give it needs no change.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from boxcar.registry.packages import sagemaker_name
from boxcar.serving.captures import ROOT as CAPTURES
from boxcar.serving.spec import Serving

VARIANT = "AllTraffic"
SHADOW = "Shadow"  # variants of a version that is tried beside the one that is live
CHALLENGER = "Challenger"
_NAME_LENGTH = 40  # of 63: version and digest follow


def endpoint_name(stack: str, family: str, model: str) -> str:
    """`<stack>-<family>-<model>`, in the letters that SageMaker allows."""
    return sagemaker_name(f"{stack}-{family}-{model}", _NAME_LENGTH)


def tried_variant(serving: Serving) -> str:
    """The variant that a new version is while it is tried."""
    return SHADOW if serving.shadow else CHALLENGER


def update_request(endpoint: str, config: str) -> dict[str, Any]:
    """UpdateEndpoint: as many instances go on serving as autoscaling has found to be right."""
    return {
        "EndpointName": endpoint,
        "EndpointConfigName": config,
        "RetainAllVariantProperties": True,
        "ExcludeRetainedVariantProperties": [
            {"VariantPropertyType": "DesiredWeight"},
            {"VariantPropertyType": "DataCaptureConfig"},
        ],
    }


@dataclass(frozen=True)
class Target:
    """One version on its endpoint.

    Attributes:
        container: Image, ModelDataUrl and Environment, as the registry has them.
        role: ARN that the endpoint runs with.
        bucket: of the stack: capture/ lies there.
    """

    endpoint: str
    family: str
    model: str
    version: str
    container: dict[str, Any]
    serving: Serving
    role: str
    bucket: str

    @property
    def model_name(self) -> str:
        """Of SageMaker's model."""
        return self._named(self.container, self.role)

    @property
    def config_name(self) -> str:
        """Of the endpoint's configuration."""
        return self._named(self.container, self.role, self.bucket, self.serving.of_the_configuration)

    @property
    def tags(self) -> list[dict[str, str]]:
        """Of everything that is made."""
        told = {"family": self.family, "model": self.model, "version": self.version}
        return [{"Key": f"boxcar:{key}", "Value": value} for key, value in told.items()]

    def model_request(self) -> dict[str, Any]:
        """CreateModel."""
        return {
            "ModelName": self.model_name,
            "ExecutionRoleArn": self.role,
            "PrimaryContainer": self.container,
            "Tags": self.tags,
        }

    def config_request(self) -> dict[str, Any]:
        """CreateEndpointConfig."""
        variant = {
            "VariantName": VARIANT,
            "ModelName": self.model_name,
            "InstanceType": self.serving.instance,
            "InitialInstanceCount": self.serving.min,
            "InitialVariantWeight": 1.0,
        }
        request: dict[str, Any] = {
            "EndpointConfigName": self.config_name,
            "ProductionVariants": [variant],
            "Tags": self.tags,
        }
        if self.serving.capture_percent:
            request["DataCaptureConfig"] = self._capture(self.config_name, self.serving.capture_percent)
        return request

    def trial_request(self, live: dict[str, Any], instances: int) -> dict[str, Any]:
        """CreateEndpointConfig, for this version to be tried beside the one that is live.

        Args:
            live: what DescribeEndpointConfig says of the configuration that serves.
            instances: that serve now; the version that is tried gets its share of as many.
        """
        trial, name = self.serving.trial, self.trial_name(live["EndpointConfigName"])
        assert trial  # the caller has looked
        before = live["ProductionVariants"][0]
        tried = {
            "VariantName": tried_variant(self.serving),
            "ModelName": self.model_name,
            "InstanceType": self.serving.instance,
            "InitialInstanceCount": max(1, math.ceil(instances * trial.percent / 100)),
        }
        request = {"EndpointConfigName": name, "Tags": self.tags, "DataCaptureConfig": self._capture(name, 100)}
        if self.serving.shadow:
            # A shadow gets as many copies as its weight is of the production variant's.
            shadow = {**tried, "InitialVariantWeight": trial.percent / 100}
            live_variant = {**before, "InitialVariantWeight": 1.0}
            return {**request, "ProductionVariants": [live_variant], "ShadowProductionVariants": [shadow]}
        live_variant = {**before, "InitialVariantWeight": 1 - trial.percent / 100}
        challenger = {**tried, "InitialVariantWeight": trial.percent / 100}
        return {**request, "ProductionVariants": [live_variant, challenger]}

    def trial_name(self, live: str) -> str:
        """Of the configuration in which this version is tried beside the one of the configuration `live`."""
        trial = self.serving.trial.model_dump(mode="json") if self.serving.trial else None
        return self._named(self.container, self.role, self.bucket, self.serving.of_the_configuration, trial, live)

    def _capture(self, config: str, percent: int) -> dict[str, Any]:
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": percent,
            "DestinationS3Uri": f"s3://{self.bucket}/{CAPTURES}/{config}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        }

    def deployment(self, instances: int, alarms: list[str]) -> dict[str, Any]:
        """DeploymentConfig of UpdateEndpoint: blue/green, a canary first, back when an alarm rings.

        A canary is half of the capacity at most, so one instance hands over all at once; it is watched all the same.

        Args:
            instances: that serve now.
            alarms: names.
        """
        canary = self.serving.canary
        routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        if instances > 1 and canary.wait_s:
            routing = {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": canary.percent},
                "WaitIntervalInSeconds": canary.wait_s,
            }
        policy = {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": canary.wait_s,
            "MaximumExecutionTimeoutInSeconds": self.serving.timeout_s,
        }
        rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}
        return {"BlueGreenUpdatePolicy": policy, **rollback}

    def _named(self, *contents: Any) -> str:
        text = json.dumps(contents, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.endpoint}-{self.version.replace('.', '-')}-{digest}"
