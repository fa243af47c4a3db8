"""The actions of SageMaker's API on endpoints: create, update, scale, describe, list, delete."""

from typing import Any

from local.sagemaker.endpoints import deployments
from local.sagemaker.endpoints.configs import EndpointConfigs
from local.sagemaker.endpoints.endpoint import Endpoint
from local.sagemaker.endpoints.fleets import Fleet, Variant
from local.sagemaker.endpoints.instances import Hosting
from local.sagemaker.endpoints.lives import KIND, Lives
from local.sagemaker.listing import page
from local.sagemaker.requests import output_members
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.service import ApiError

AT_REST = ("InService", "Failed")  # in which an endpoint may be changed or deleted
SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
Record = dict[str, Any]


class Endpoints:
    """The actions on endpoints: each checks, reserves instances, and begins a part of a life."""

    def __init__(self, hosting: Hosting, store: Store, tags: Tags, configs: EndpointConfigs, lives: Lives) -> None:
        self._hosting = hosting
        self._store = store
        self._tags = tags
        self._configs = configs
        self._lives = lives

    def create(self, request: Record) -> Record:
        """CreateEndpoint."""
        name, arn = request["EndpointName"], self._lives.arn(request["EndpointName"])
        fleet = self._fleet(name, request["EndpointConfigName"])
        deployments.check(request.get("DeploymentConfig"), sum(each.desired for each in fleet.variants))
        now = self._hosting.cloud.clock.time()
        record = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            **_deployment(request.get("DeploymentConfig")),
        }
        with self._lives.lock:
            if self._store.get(KIND, name) is not None:
                raise ApiError("ValidationException", f'Cannot create already existing endpoint "{arn}".')
            fleet.reserve()
            self._tags.set(arn, request.get("Tags", []))
            self._lives.begin(record, fleet)
        return {"EndpointArn": arn}

    def update(self, request: Record) -> Record:
        """UpdateEndpoint: a blue/green deployment of another configuration."""
        name = request["EndpointName"]
        self._lives.found(name)
        fleet = self._fleet(name, request["EndpointConfigName"])
        with self._lives.lock:
            record = self._at_rest(name)
            endpoint = self._lives.find(name)
            config = _chosen(request, record)
            if request.get("RetainAllVariantProperties") and endpoint is not None:
                _retain(endpoint.blue, fleet, request.get("ExcludeRetainedVariantProperties", []))
            deployments.check(config, sum(each.desired for each in fleet.variants))
            fleet.reserve()
            if endpoint is None or record["EndpointStatus"] == "Failed":  # nothing serves that requests could leave
                self._lives.replace(name, fleet, **_deployment(config))
            else:
                self._lives.deploy(endpoint, fleet, config, **_deployment(config))
        return {"EndpointArn": record["EndpointArn"]}

    def scale(self, request: Record) -> Record:
        """UpdateEndpointWeightsAndCapacities."""
        name = request["EndpointName"]
        with self._lives.lock:
            record = self._at_rest(name)
            endpoint = self._lives.find(name)
            if endpoint is None or record["EndpointStatus"] == "Failed":
                raise ApiError("ValidationException", f'Cannot update failed endpoint "{record["EndpointArn"]}".')
            asked = request["DesiredWeightsAndCapacities"]
            wanted = [(_variant(endpoint, each["VariantName"]), each) for each in asked]
            counts = [
                (variant, each["DesiredInstanceCount"]) for variant, each in wanted if "DesiredInstanceCount" in each
            ]
            for variant, count in counts:
                if count == 0 and endpoint.asynchronous is None:
                    words = f"DesiredInstanceCount of variant {variant.name} must be 1 or more, as the endpoint is not"
                    raise ApiError("ValidationException", f"{words} asynchronous.")
            try:
                for variant, count in counts:
                    variant.reserve(max(count, variant.desired))
            except ApiError:
                for variant, _ in counts:
                    variant.reserve(variant.desired)
                raise
            for variant, each in wanted:
                variant.weight = float(each.get("DesiredWeight", variant.weight))
            self._lives.scale(endpoint, counts)
        return {"EndpointArn": record["EndpointArn"]}

    def describe(self, request: Record) -> Record:
        """DescribeEndpoint."""
        told = self._lives.whole(self._lives.found(request["EndpointName"]))
        return {key: told[key] for key in output_members("DescribeEndpoint") if key in told}

    def listed(self, request: Record) -> Record:
        """ListEndpoints."""
        found, token = page(
            self._store.all(KIND),
            request,
            name="EndpointName",
            status="EndpointStatus",
            order="Descending",
            summary=lambda record: {key: record[key] for key in SUMMARY},
        )
        return {"Endpoints": found, **({"NextToken": token} if token else {})}

    def delete(self, request: Record) -> Record:
        """DeleteEndpoint."""
        with self._lives.lock:
            self._at_rest(request["EndpointName"])
            self._lives.delete(request["EndpointName"])
        return {}

    def _fleet(self, name: str, config_name: str) -> Fleet:
        config = self._configs.found(config_name)
        return Fleet(self._hosting, name, config, self._configs.models(config))

    def _at_rest(self, name: str) -> Record:
        record = self._lives.found(name)
        if record["EndpointStatus"] not in AT_REST:
            raise ApiError("ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
        return record


def _variant(endpoint: Endpoint, name: str) -> Variant:
    found = next((each for each in endpoint.blue.all if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in endpoint.blue.all)
        raise ApiError("ValidationException", f'Could not find variant "{name}". The endpoint has: {known}.')
    return found


def _chosen(request: Record, record: Record) -> Record | None:
    """The DeploymentConfig of an update: its own, or the last one."""
    config: Record | None = request.get("DeploymentConfig")
    if not request.get("RetainDeploymentConfig"):
        return config
    if config is not None:
        raise ApiError("ValidationException", "RetainDeploymentConfig excludes DeploymentConfig.")
    return record.get("LastDeploymentConfig")


def _deployment(config: Record | None) -> Record:
    return {} if config is None else {"LastDeploymentConfig": config}


def _retain(old: Fleet, new: Fleet, excluded: list[dict[str, str]]) -> None:
    """RetainAllVariantProperties: variants of the same name keep their counts and weights."""
    left_out = {each["VariantPropertyType"] for each in excluded}
    for variant in new.variants:
        same = old.variant(variant.name)
        if same is not None and "DesiredInstanceCount" not in left_out:
            variant.desired = same.desired
        if same is not None and "DesiredWeight" not in left_out:
            variant.weight = same.weight
    if "DataCaptureConfig" not in left_out and "DataCaptureConfig" in old.config:
        new.config = {**new.config, "DataCaptureConfig": old.config["DataCaptureConfig"]}
