"""Autoscaling of an endpoint, as its family says: how many instances, and what adds one."""

from typing import Any

from botocore.exceptions import ClientError

from boxcar.serving.spec import Serving
from boxcar.serving.targets import VARIANT

_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def _target(endpoint: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": _DIMENSION,
    }


def scale(autoscaling: Any, endpoint: str, serving: Serving) -> None:
    """Have a real-time endpoint scaled by how many requests each instance gets; not at all if it cannot grow."""
    if serving.invocations_per_instance is None or serving.most == serving.min:
        forget_scaling(autoscaling, endpoint)
        return
    target = _target(endpoint)
    autoscaling.register_scalable_target(**target, MinCapacity=serving.min, MaxCapacity=serving.most)
    autoscaling.put_scaling_policy(
        **target,
        PolicyName=f"{endpoint}-invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": serving.invocations_per_instance,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    )


def forget_scaling(autoscaling: Any, endpoint: str) -> None:
    """Deregister an endpoint's scalable target, with its policies and their alarms. Without one nothing happens."""
    try:
        autoscaling.deregister_scalable_target(**_target(endpoint))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ObjectNotFoundException":
            raise
