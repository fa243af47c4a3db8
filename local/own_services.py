"""The services that Boxcar brings to its embedded cloud, and how each is made."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from local import ministack_seam as seam
from local.service import Service

if TYPE_CHECKING:
    from local.cloud import EmbeddedCloud


@dataclass(frozen=True)
class Own:
    """A service that Boxcar brings: its name to the router, its API's target prefix, where it is, how it is made."""

    name: str
    target_prefix: str
    module: str
    make: Callable[[Any, "EmbeddedCloud"], Service]


def _step_functions(module: Any, cloud: "EmbeddedCloud") -> Service:
    folder = cloud.state / "stepfunctions"
    made: Service = module.StepFunctions(cloud.region, cloud.account, cloud.clock, cloud.client, cloud.emit, folder)
    return made


def _sagemaker(module: Any, cloud: "EmbeddedCloud") -> Service:
    made: Service = module.SageMaker(cloud, faults=cloud.faults, measure=cloud.measures.values)
    return made


def _batch(module: Any, cloud: "EmbeddedCloud") -> Service:
    made: Service = module.Batch(cloud, lambda headers, action, resource: seam.denied(headers, action, resource, {}))
    return made


def _cloudwatch(module: Any, cloud: "EmbeddedCloud") -> Service:
    def may_publish(topic: str, alarm: str) -> bool:
        service = "cloudwatch.amazonaws.com"
        return seam.service_may(service, "sns:Publish", topic, alarm, cloud.account, cloud.region)

    def gauges() -> Iterable[Any]:
        """What services have to say of themselves each minute."""
        return chain.from_iterable(each.gauges() for each in cloud.services.values() if hasattr(each, "gauges"))

    def scale(policy: str, alarm: dict[str, Any], value: float | None) -> None:
        scaler: Any = cloud.services.get("application-autoscaling")
        if scaler is not None:
            scaler.triggered(policy, alarm, value)

    queues = seam.Queues(cloud.account, cloud.region).states
    made: Service = module.CloudWatch(cloud, queues, may_publish, gauges, scale)
    return made


OWN_SERVICES = (
    Own("states", "AWSStepFunctions.", "local.stepfunctions.service", _step_functions),
    Own("sagemaker", "SageMaker.", "local.sagemaker.service", _sagemaker),
    Own("redshift-data", "RedshiftData.", "local.redshift.service", lambda module, cloud: module.RedshiftData(cloud)),
    Own("batch", "AWSBatch.", "local.batch.service", _batch),
    Own("monitoring", "GraniteServiceVersion20100801.", "local.cloudwatch.service", _cloudwatch),
    Own(
        "application-autoscaling",
        "AnyScaleFrontendService.",
        "local.autoscaling.service",
        lambda module, cloud: module.ApplicationAutoScaling(cloud),
    ),
    Own("glue", "AWSGlue.", "local.glue.service", lambda module, cloud: module.Glue(cloud)),
)
