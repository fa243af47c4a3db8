"""The instances behind an endpoint: a fleet for each endpoint configuration that is up, of variants with instances."""

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from local.sagemaker.endpoints.instances import ContainerInstance, Hosting, Instance, Ready, SimulatedInstance
from local.sagemaker.simulated import is_simulated

logger = logging.getLogger(__name__)

QUOTA = "endpoint"
RELAUNCH_SECONDS = 30.0  # of the cloud's clock, before an instance that could not be replaced is tried again
LEAST_OUTSTANDING = "LEAST_OUTSTANDING_REQUESTS"


class Variant:
    """The instances of one production or shadow variant."""

    def __init__(self, hosting: Hosting, endpoint: str, config: dict[str, Any], model: dict[str, Any]) -> None:
        """`config` is a ProductionVariant of the endpoint configuration, `model` the record of its model."""
        self.name: str = config["VariantName"]
        self.weight = float(config.get("InitialVariantWeight", 1.0))
        self.desired = int(config.get("InitialInstanceCount", 1))
        self.model = model
        self.instance_type: str = config["InstanceType"]
        self._hosting = hosting
        self._endpoint = endpoint
        self._routing = config.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM")
        self._lock = threading.RLock()
        self._instances: list[Instance] = []
        self._reserved = 0
        self._closed = False
        self.resolved = hosting.cloud.clock.time()

    @property
    def current(self) -> int:
        """How many instances serve."""
        return len(self._instances)

    def reserve(self, count: int) -> None:
        """Count so many instances against the account's quota from now on.

        Raises:
            ApiError: ResourceLimitExceeded.
        """
        with self._lock:
            if count > self._reserved:
                self._hosting.quotas.take(self.instance_type, count - self._reserved, QUOTA)
            else:
                self._hosting.quotas.give(self.instance_type, self._reserved - count, QUOTA)
            self._reserved = count

    def scale(self, count: int, done: Ready) -> None:
        """Have so many instances. `done` is called once those that are new serve, or with why one of them does not."""
        with self._lock:
            self.desired = count
            surplus, self._instances = self._instances[count:], self._instances[:count]
            missing = count - len(self._instances)
        for instance in surplus:
            instance.retire()
        if missing <= 0:
            done(None)
            return
        reports: list[str | None] = []

        def reported(why: str | None) -> None:
            with self._lock:
                reports.append(why)
                last = len(reports) == missing
            if last:
                done(next((each for each in reports if each), None))

        for _ in range(missing):
            self._launch(reported)

    def candidates(self, most: int | None = None) -> list[Instance]:
        """The instances that serve, those with fewer than `most` requests outstanding if given."""
        with self._lock:
            return [each for each in self._instances if most is None or each.outstanding < most]

    def pick(self, random: Random) -> Instance | None:
        """An instance for one request, by the variant's routing strategy; None when there is none."""
        found = self.candidates()
        if not found:
            return None
        if self._routing == LEAST_OUTSTANDING:
            return min(found, key=lambda each: each.outstanding)
        return random.choice(found)

    def close(self, at_once: bool = False) -> None:
        """Take no more requests and end; at once, or when those that were taken are answered."""
        with self._lock:
            self._closed = True
            instances, self._instances = self._instances, []
        self.reserve(0)
        for instance in instances:
            instance.retire()
            if at_once:
                instance.stop()

    def _launch(self, reported: Ready) -> None:
        instance = self._make()

        def ready(why: str | None) -> None:
            with self._lock:
                wanted = not self._closed and len(self._instances) < self.desired
                if why is None and wanted:
                    self._instances.append(instance)
            if why is None and not wanted:
                instance.retire()
            reported(why)
            if why is None and wanted:
                self._hosting.grown(self._endpoint)

        instance.start(ready)

    def _make(self) -> Instance:
        if is_simulated(self.model["PrimaryContainer"]["Image"]):
            return SimulatedInstance(self._hosting, self.name, self.model, self._replace)
        return ContainerInstance(self._hosting, self._endpoint, self.name, self.model, self._replace)

    def _replace(self, instance: Instance) -> None:
        """An instance has stopped serving by itself: start another in its place."""
        with self._lock:
            if instance not in self._instances:
                return  # it was retired, and nobody misses it
            self._instances.remove(instance)
        logger.warning("endpoint %s: instance %s of %s ended, another starts", self._endpoint, instance.id, self.name)
        self._relaunch()

    def _relaunch(self) -> None:
        if not self._closed and self.current < self.desired:
            self._launch(self._relaunched)

    def _relaunched(self, why: str | None) -> None:
        if why:
            logger.warning("endpoint %s: no instance of %s: %s", self._endpoint, self.name, why)
            self._hosting.timers.after(RELAUNCH_SECONDS, self._relaunch)


class Fleet:
    """Every variant of one endpoint configuration."""

    def __init__(self, hosting: Hosting, endpoint: str, config: dict[str, Any], models: dict[str, Any]) -> None:
        """`config` is the record of an endpoint configuration, `models` the records of its models by name."""
        self.config = config
        make = partial(self._variant, hosting, endpoint, models)
        self.variants = [make(each) for each in config["ProductionVariants"]]
        self.shadows = [make(each) for each in config.get("ShadowProductionVariants", [])]

    @staticmethod
    def _variant(hosting: Hosting, endpoint: str, models: dict[str, Any], config: dict[str, Any]) -> Variant:
        return Variant(hosting, endpoint, config, models[config["ModelName"]])

    @property
    def all(self) -> list[Variant]:
        """Production variants, then shadow variants."""
        return [*self.variants, *self.shadows]

    @property
    def current(self) -> int:
        """How many instances of production variants serve."""
        return sum(variant.current for variant in self.variants)

    def reserve(self) -> None:
        """Count every variant's instances against the account's quotas, or none.

        Raises:
            ApiError: ResourceLimitExceeded.
        """
        taken: list[Variant] = []
        try:
            for variant in self.all:
                variant.reserve(variant.desired)
                taken.append(variant)
        except Exception:
            for variant in taken:
                variant.reserve(0)
            raise

    def launch(self, done: Ready) -> None:
        """Start every instance; `done` as in `Variant.scale`."""
        scale_all([(variant, variant.desired) for variant in self.all], done)

    def variant(self, name: str) -> Variant | None:
        """A production variant by its name."""
        return next((each for each in self.variants if each.name == name), None)

    def choose(self, random: Random, usable: Callable[[Variant], bool]) -> Variant | None:
        """A production variant, as often as its weight says, of those that are usable."""
        found = [each for each in self.variants if each.weight > 0 and usable(each)]
        return random.choices(found, [each.weight for each in found])[0] if found else None

    def close(self, at_once: bool = False) -> None:
        """End every variant."""
        for variant in self.all:
            variant.close(at_once)


def scale_all(wanted: Sequence[tuple[Variant, int]], done: Ready) -> None:
    """Scale several variants; `done` is called once, when all are as wanted, or with the first reason why not."""
    lock, reports = threading.Lock(), itertools.count(1)
    whys: list[str] = []

    def reported(why: str | None) -> None:
        with lock:
            if why:
                whys.append(why)
            last = next(reports) == len(wanted)
        if last:
            done(whys[0] if whys else None)

    for variant, count in wanted:
        variant.scale(count, reported)
    if not wanted:
        done(None)
