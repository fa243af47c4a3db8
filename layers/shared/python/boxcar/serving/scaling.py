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


def scale(autoscaling: Any, sagemaker: Any, endpoint: str, serving: Serving) -> None:
    """Have an endpoint scaled by how many requests each instance gets; if it cannot grow, give it its instances."""
    if serving.invocations_per_instance is None or serving.most == serving.min:
        forget_scaling(autoscaling, endpoint)
        _resize(sagemaker, endpoint, serving.min)
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


def _resize(sagemaker: Any, endpoint: str, instances: int) -> None:
    """Give an endpoint so many instances. An update keeps those of before, whatever its configuration begins with."""
    seen = sagemaker.describe_endpoint(EndpointName=endpoint)
    count = sum(one["DesiredInstanceCount"] for one in seen["ProductionVariants"] if one["VariantName"] == VARIANT)
    if seen["EndpointStatus"] == "InService" and count != instances:
        wanted = {"VariantName": VARIANT, "DesiredInstanceCount": instances}
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=[wanted])


def forget_scaling(autoscaling: Any, endpoint: str) -> None:
    """Deregister an endpoint's scalable target, with its policies and their alarms. Without one nothing happens."""
    try:
        autoscaling.deregister_scalable_target(**_target(endpoint))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ObjectNotFoundException":
            raise
