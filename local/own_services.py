"""The services that Boxcar brings to its embedded cloud, and how each is made."""

from collections.abc import Callable
from dataclasses import dataclass
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
    made: Service = module.SageMaker(cloud, faults=cloud.faults)
    return made


def _batch(module: Any, cloud: "EmbeddedCloud") -> Service:
    made: Service = module.Batch(cloud, lambda headers, action, resource: seam.denied(headers, action, resource, {}))
    return made


def _cloudwatch(module: Any, cloud: "EmbeddedCloud") -> Service:
    def may_publish(topic: str, alarm: str) -> bool:
        service = "cloudwatch.amazonaws.com"
        return seam.service_may(service, "sns:Publish", topic, alarm, cloud.account, cloud.region)

    made: Service = module.CloudWatch(cloud, seam.Queues(cloud.account, cloud.region).states, may_publish)
    return made


OWN_SERVICES = (
    Own("states", "AWSStepFunctions.", "local.stepfunctions.service", _step_functions),
    Own("sagemaker", "SageMaker.", "local.sagemaker.service", _sagemaker),
    Own("redshift-data", "RedshiftData.", "local.redshift.service", lambda module, cloud: module.RedshiftData(cloud)),
    Own("batch", "AWSBatch.", "local.batch.service", _batch),
    Own("monitoring", "GraniteServiceVersion20100801.", "local.cloudwatch.service", _cloudwatch),
    Own("glue", "AWSGlue.", "local.glue.service", lambda module, cloud: module.Glue(cloud)),
)
