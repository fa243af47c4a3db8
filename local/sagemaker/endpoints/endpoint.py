"""One endpoint that is up: which fleets take its requests, in which shares, and how it describes itself."""

import threading
from collections.abc import Callable
from random import Random
from typing import Any

from local.sagemaker.endpoints.fleets import Fleet, Variant
from local.sagemaker.endpoints.instances import Instance

Choice = Callable[[Variant], Instance | None]


class Endpoint:
    """The fleets of one endpoint: the one that serves (blue), and the one that is to take its place (green)."""

    def __init__(self, name: str, blue: Fleet) -> None:
        self.name = name
        self.blue = blue
        self.green: Fleet | None = None
        self.share = 0.0  # of requests that go to the green fleet
        self.pending: dict[str, Any] = {}  # PendingDeploymentSummary, but for its variants
        self.statuses: list[dict[str, Any]] = []  # VariantStatus of what changes
        self.random = Random(name)  # noqa: S311 (which instance answers is no secret)
        self._lock = threading.RLock()

    @property
    def fleets(self) -> list[Fleet]:
        """The fleets that are up."""
        return [self.blue] if self.green is None else [self.blue, self.green]

    @property
    def asynchronous(self) -> dict[str, Any] | None:
        """AsyncInferenceConfig, for an endpoint that has one."""
        config: dict[str, Any] | None = self.blue.config.get("AsyncInferenceConfig")
        return config

    def take(self, target: str | None, choice: Choice) -> tuple[Fleet, Variant, Instance] | None:
        """Take a place for one request: an instance of a variant of a fleet; None when nothing can take it now.

        `target` names a variant, else weights decide; `choice` picks an instance of a variant.
        """
        while True:
            with self._lock:
                place = self._choose(target, choice)
            if place is None or place[2].take():  # an instance may be retired in this moment: once more
                return place

    def _choose(self, target: str | None, choice: Choice) -> tuple[Fleet, Variant, Instance] | None:
        fleets = self.fleets
        if self.random.random() < self.share:
            fleets.reverse()
        elif not self.share:
            fleets = [self.blue]  # a green fleet without traffic takes none, even when the blue one has no instance
        for fleet in fleets:
            picked: dict[str, Instance] = {}

            def usable(variant: Variant, picked: dict[str, Instance] = picked) -> bool:
                instance = choice(variant)
                if instance is not None:
                    picked[variant.name] = instance
                return instance is not None

            named = fleet.variant(target) if target else None
            variant = (named if named and usable(named) else None) if target else fleet.choose(self.random, usable)
            if variant is not None:
                return fleet, variant, picked[variant.name]
        return None

    def begin(self, green: Fleet, started: float) -> None:
        """A deployment begins."""
        with self._lock:
            self.green, self.share = green, 0.0
            self.pending = {"EndpointConfigName": green.config["EndpointConfigName"], "StartTime": started}

    def shift(self, share: float) -> None:
        """Send so large a share of the requests to the green fleet."""
        with self._lock:
            self.share = share

    def finish(self, take: bool) -> Fleet | None:
        """The deployment ends: with the green fleet in the place of the blue one, or without it. Return the other."""
        with self._lock:
            old = self.blue if take else self.green
            if take and self.green is not None:
                self.blue = self.green
            self.green, self.share, self.pending, self.statuses = None, 0.0, {}, []
            return old

    def described(self) -> dict[str, Any]:
        """The fields of DescribeEndpoint that say what is up."""
        with self._lock:
            told: dict[str, Any] = {"ProductionVariants": [self._variant(each) for each in self.blue.variants]}
            if self.blue.shadows:
                told["ShadowProductionVariants"] = [self._variant(each) for each in self.blue.shadows]
            if self.green is not None:
                variants = [
                    {**self._variant(each), "VariantStatus": list(self.statuses)} for each in self.green.variants
                ]
                told["PendingDeploymentSummary"] = {**self.pending, "ProductionVariants": variants}
            elif self.statuses:
                for each in told["ProductionVariants"]:
                    each["VariantStatus"] = list(self.statuses)
            return told

    @staticmethod
    def _variant(variant: Variant) -> dict[str, Any]:
        image = variant.model["PrimaryContainer"]["Image"]
        deployed = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": variant.resolved}
        return {
            "VariantName": variant.name,
            "DeployedImages": [deployed],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.current,
            "DesiredInstanceCount": variant.desired,
        }
