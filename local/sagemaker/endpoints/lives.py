"""The lives of endpoints: what is up, what becomes of it, and what is said about that.

Statuses: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from local.sagemaker.endpoints.deployments import Deployment
from local.sagemaker.endpoints.endpoint import Endpoint
from local.sagemaker.endpoints.fleets import Fleet, Variant, scale_all
from local.sagemaker.endpoints.instances import Hosting
from local.sagemaker.events import SageMakerEvents, visible
from local.sagemaker.failures import REASON_LIMIT
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.service import ApiError

KIND = "endpoint"
NOT_SERVING = ("Creating", "Failed", "Deleting")
INTERRUPTED = "The update was interrupted: the embedded cloud was stopped."
Record = dict[str, Any]


class Lives:
    """Every endpoint there is. What is in `when_deleted` is called with the name of one that is gone."""

    def __init__(self, hosting: Hosting, store: Store, tags: Tags, events: SageMakerEvents) -> None:
        self._hosting = hosting
        self._store = store
        self._tags = tags
        self._events = events
        self._up: dict[str, Endpoint] = {}
        self._deployments: dict[str, Deployment] = {}
        self.lock = threading.RLock()  # held from the look at a status until it is another
        self._closing = False
        self.when_deleted: list[Callable[[str], None]] = []

    # -- what there is --

    def found(self, name: str) -> Record:
        """The record of an endpoint.

        Raises:
            ApiError: ValidationException when there is none.
        """
        return self._store.found(KIND, name, f'Could not find endpoint "{self.arn(name)}".')

    def find(self, name: str) -> Endpoint | None:
        """The fleets of an endpoint, whether it takes requests or not."""
        return self._up.get(name)

    def up(self) -> list[Endpoint]:
        """Every endpoint that is up."""
        return list(self._up.values())

    def serving(self, name: str) -> tuple[Record, Endpoint] | None:
        """The record and the fleets of an endpoint that takes requests."""
        record, endpoint = self._store.get(KIND, name), self._up.get(name)
        if record is None or endpoint is None or record["EndpointStatus"] in NOT_SERVING:
            return None
        return record, endpoint

    def whole(self, record: Record) -> Record:
        """A record with what is up now, as DescribeEndpoint and events tell it."""
        told, config = visible(record), record["_config"]
        endpoint = self._up.get(record["EndpointName"])
        if "AsyncInferenceConfig" in config:
            told["AsyncInferenceConfig"] = config["AsyncInferenceConfig"]
        if capture := config.get("DataCaptureConfig"):
            told["DataCaptureConfig"] = _capture(capture)
        return {**told, **(endpoint.described() if endpoint is not None else {})}

    def arn(self, name: str) -> str:
        """The ARN of an endpoint."""
        return f"arn:aws:sagemaker:{self._hosting.cloud.region}:{self._hosting.cloud.account}:endpoint/{name.lower()}"

    # -- what becomes of it --

    def begin(self, record: Record, fleet: Fleet) -> None:
        """A new endpoint: it is Creating, then InService or Failed."""
        name = record["EndpointName"]
        self._store.put(KIND, name, {**record, **_settled(fleet)})
        self._up[name] = Endpoint(name, fleet)
        self._announce(name)
        fleet.launch(partial(self._created, name))

    def replace(self, name: str, fleet: Fleet, **fields: Any) -> None:
        """An endpoint that serves nothing gets a fleet."""
        self._up[name] = Endpoint(name, fleet)
        config = fleet.config["EndpointConfigName"]
        self._update(name, EndpointConfigName=config, **fields, **_settled(fleet))
        fleet.launch(partial(self._created, name))

    def deploy(self, endpoint: Endpoint, fleet: Fleet, config: Record | None, **fields: Any) -> None:
        """An endpoint that serves gets another fleet, step by step."""
        name = endpoint.name
        changed, over = partial(self._deploying, name), partial(self._deployed, name)
        deployment = self._deployments[name] = Deployment(self._hosting, endpoint, fleet, config, changed, over)
        self._update(name, **fields)
        deployment.begin()

    def scale(self, endpoint: Endpoint, wanted: list[tuple[Variant, int]]) -> None:
        """Variants of an endpoint get other counts of instances, which are reserved for them."""
        before = [(variant, variant.desired) for variant, _ in wanted]
        now = self._hosting.cloud.clock.time()
        endpoint.statuses = [
            {"Status": "Updating", "StatusMessage": _scaling(variant.desired, count), "StartTime": now}
            for variant, count in wanted
            if count != variant.desired
        ]
        for variant, count in wanted:
            variant.desired = count
        self._update(endpoint.name)
        scale_all(wanted, partial(self._scaled, endpoint.name, before))

    def delete(self, name: str) -> None:
        """An endpoint is Deleting, then gone; what it was asked before is answered."""
        self._enter(name, "Deleting")
        endpoint = self._up.pop(name, None)
        if endpoint is not None:
            for fleet in endpoint.fleets:
                fleet.close()
        self._hosting.timers.after(0.0, partial(self._deleted, name))

    def recover(self) -> None:
        """Start again what was up when the process ended, and finish what was under way."""
        for record in self._store.all(KIND):
            name, status = record["EndpointName"], record["EndpointStatus"]
            if status == "Failed" or name in self._up:
                continue
            if status == "Deleting":
                self._deleted(name)
                continue
            fleet = Fleet(self._hosting, name, record["_config"], record["_models"])
            for variant in fleet.all:
                known = record["_capacity"].get(variant.name, (variant.weight, variant.desired))
                variant.weight, variant.desired = known
            self._up[name] = Endpoint(name, fleet)
            try:
                fleet.reserve()
            except ApiError as error:  # a limit is lower than it was
                self._created(name, str(error))
                continue
            why = INTERRUPTED if status in ("Updating", "RollingBack") else None
            fleet.launch(partial(self._recovered, name, status, why))

    def close(self) -> None:
        """End every instance; the records stay, and the next start brings the endpoints back."""
        self._closing = True
        for deployment in list(self._deployments.values()):
            deployment.abandon()
        for endpoint in self.up():
            for fleet in endpoint.fleets:
                fleet.close(at_once=True)

    def _created(self, name: str, why: str | None) -> None:
        if why is None:
            self._enter(name, "InService")
            return
        endpoint = self._up.get(name)
        if endpoint is not None and not self._closing:
            endpoint.blue.close()
        self._enter(name, "Failed", FailureReason=why[:REASON_LIMIT])

    def _recovered(self, name: str, status: str, interrupted: str | None, why: str | None) -> None:
        if status == "Creating" or why is not None:
            self._created(name, why)
        elif interrupted is not None:
            self._enter(name, "InService", FailureReason=interrupted)

    def _deploying(self, name: str, status: str) -> None:
        record = self._store.get(KIND, name)
        if record is None or self._closing:
            return
        if status != record["EndpointStatus"]:
            self._enter(name, status)
        self._events.deployment(self._told(name))
        self._hosting.grown(name)  # for a share of the requests, if not for all

    def _deployed(self, name: str, why: str | None) -> None:
        self._deployments.pop(name, None)
        endpoint = self._up.get(name)
        if endpoint is None or self._closing:
            return
        if why is not None:
            self._enter(name, "InService", FailureReason=why[:REASON_LIMIT])
            return
        config = endpoint.blue.config["EndpointConfigName"]
        self._enter(name, "InService", EndpointConfigName=config, **_settled(endpoint.blue))
        self._hosting.grown(name)

    def _scaled(self, name: str, before: list[tuple[Variant, int]], why: str | None) -> None:
        endpoint = self._up.get(name)
        if endpoint is None or self._closing:
            return
        if why is not None:
            self._enter(name, "RollingBack")
            scale_all(before, lambda _: None)
        for variant in endpoint.blue.all:
            variant.reserve(variant.desired)
        endpoint.statuses = []
        failed = {"FailureReason": why[:REASON_LIMIT]} if why else {}
        self._enter(name, "InService", **_settled(endpoint.blue), **failed)

    def _deleted(self, name: str) -> None:
        record = self._store.get(KIND, name)
        if record is None or self._closing:
            return
        self._store.remove(KIND, name)
        self._tags.forget(record["EndpointArn"])
        for tell in self.when_deleted:
            tell(name)

    # -- what is said --

    def _update(self, name: str, **fields: Any) -> None:
        """Something new begins, and why the last one failed does not matter any more."""
        record = self.found(name)
        self._store.put(KIND, name, {key: value for key, value in record.items() if key != "FailureReason"})
        self._enter(name, "Updating", **fields)

    def _enter(self, name: str, status: str, **fields: Any) -> None:
        if self._closing or self._store.get(KIND, name) is None:
            return
        now = self._hosting.cloud.clock.time()
        self._store.change(KIND, name, {**fields, "EndpointStatus": status, "LastModifiedTime": now})
        self._announce(name)

    def _announce(self, name: str) -> None:
        self._events.endpoint(self._told(name))

    def _told(self, name: str) -> tuple[Record, list[dict[str, str]]]:
        record = self.found(name)
        return self.whole(record), self._tags.get(record["EndpointArn"])


def _settled(fleet: Fleet) -> Record:
    """What a restart needs to bring a fleet back, as the configuration and its models may be deleted meanwhile."""
    models = {variant.model["ModelName"]: variant.model for variant in fleet.all}
    capacity = {variant.name: (variant.weight, variant.desired) for variant in fleet.all}
    return {"_config": fleet.config, "_models": models, "_capacity": capacity}


def _scaling(was: int, desired: int) -> str:
    return f"Scaling {'out' if desired > was else 'in'} desired instance count to {desired}."


def _capture(config: Record) -> Record:
    enabled = bool(config.get("EnableCapture", True))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
