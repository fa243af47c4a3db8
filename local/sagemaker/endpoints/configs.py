"""CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

from typing import Any

from local.sagemaker.endpoints.instances import course_of
from local.sagemaker.events import SageMakerEvents
from local.sagemaker.listing import page
from local.sagemaker.models import Models
from local.sagemaker.requests import output_members, refuse
from local.sagemaker.simulated import INTERRUPT, is_simulated
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.service import ApiError, Cloud

KIND = "endpoint-config"
NOT_HERE = (
    "ServerlessConfig", "InstancePools", "AcceleratorType", "CoreDumpConfig", "ManagedInstanceScaling",
    "CapacityReservationConfig",
)  # fmt: skip
Record = dict[str, Any]


class EndpointConfigs:
    """What an endpoint is to be made of."""

    def __init__(self, cloud: Cloud, store: Store, tags: Tags, events: SageMakerEvents, models: Models) -> None:
        self._cloud = cloud
        self._store = store
        self._tags = tags
        self._events = events
        self._models = models

    def create(self, request: Record) -> Record:
        """CreateEndpointConfig: its models must be there now."""
        name = request["EndpointConfigName"]
        arn = self.arn(name)
        self._check(request)
        record = {key: value for key, value in request.items() if key != "Tags"}
        record |= {"EndpointConfigArn": arn, "CreationTime": self._cloud.clock.time()}
        if not self._store.add(KIND, name, record):
            words = f'Cannot create already existing endpoint configuration "{arn}".'
            raise ApiError("ValidationException", words)
        self._tags.set(arn, request.get("Tags", []))
        self._events.endpoint_config(record)
        return {"EndpointConfigArn": arn}

    def found(self, name: str) -> Record:
        """The record of an endpoint configuration.

        Raises:
            ApiError: ValidationException when there is none.
        """
        return self._store.found(KIND, name, f'Could not find endpoint configuration "{self.arn(name)}".')

    def models(self, config: Record) -> dict[str, Record]:
        """The records of the models that a configuration names.

        Raises:
            ApiError: ValidationException when one is gone.
        """
        variants = [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]
        return {variant["ModelName"]: self._models.found(variant["ModelName"]) for variant in variants}

    def describe(self, request: Record) -> Record:
        """DescribeEndpointConfig."""
        record = self.found(request["EndpointConfigName"])
        return {key: record[key] for key in output_members("DescribeEndpointConfig") if key in record}

    def list(self, request: Record) -> Record:
        """ListEndpointConfigs."""
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        configs, token = page(
            self._store.all(KIND),
            request,
            name="EndpointConfigName",
            order="Descending",
            summary=lambda record: {key: record[key] for key in members},
        )
        return {"EndpointConfigs": configs, **({"NextToken": token} if token else {})}

    def delete(self, request: Record) -> Record:
        """DeleteEndpointConfig; an endpoint that was made with it goes on, as on AWS."""
        record = self.found(request["EndpointConfigName"])
        self._store.remove(KIND, request["EndpointConfigName"])
        self._tags.forget(record["EndpointConfigArn"])
        self._events.endpoint_config(record)
        return {}

    def _check(self, request: Record) -> None:
        production, shadows = request["ProductionVariants"], request.get("ShadowProductionVariants", [])
        names = [variant["VariantName"] for variant in [*production, *shadows]]
        if len(set(names)) < len(names):
            raise ApiError("ValidationException", f"VariantName must be unique, but the names are {', '.join(names)}.")
        if shadows and (len(production), len(shadows)) != (1, 1):
            words = "ShadowProductionVariants needs exactly one production variant and one shadow variant, not "
            raise ApiError("ValidationException", f"{words}{len(production)} and {len(shadows)}.")
        if "ExplainerConfig" in request:
            raise refuse("ExplainerConfig", request["ExplainerConfig"], "nothing")
        for variant in [*production, *shadows]:
            self._check_variant(variant)
        asynchronous = request.get("AsyncInferenceConfig")
        if asynchronous is None:
            return
        if shadows:
            raise ApiError("ValidationException", "AsyncInferenceConfig excludes ShadowProductionVariants.")
        if "DataCaptureConfig" in request:
            raise refuse("DataCaptureConfig of an asynchronous endpoint", "DataCaptureConfig", "nothing")
        if "S3OutputPath" not in asynchronous["OutputConfig"]:
            # without one, AWS keeps results in SNS messages only
            raise refuse("AsyncInferenceConfig.OutputConfig without S3OutputPath", None, "S3OutputPath")

    def _check_variant(self, variant: Record) -> None:
        field = f"ProductionVariants.{variant['VariantName']}"
        for name in NOT_HERE:
            if name in variant:
                raise refuse(f"{field}.{name}", variant[name], "InstanceType and InitialInstanceCount")
        for name in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if name not in variant:
                raise ApiError("ValidationException", f"{field}.{name} must be given.")
        if variant.get("RoutingConfig", {}).get("RoutingStrategy") == "PREFIX_AWARE":
            raise refuse(f"{field}.RoutingConfig.RoutingStrategy", "PREFIX_AWARE", "LEAST_OUTSTANDING_REQUESTS")
        model = self._models.found(variant["ModelName"])
        if is_simulated(model["PrimaryContainer"]["Image"]) and course_of(model).outcome == INTERRUPT:
            raise refuse(f"{field}: outcome of a simulated model", INTERRUPT, "hang")

    def arn(self, name: str) -> str:
        """The ARN of an endpoint configuration."""
        return f"arn:aws:sagemaker:{self._cloud.region}:{self._cloud.account}:endpoint-config/{name.lower()}"
