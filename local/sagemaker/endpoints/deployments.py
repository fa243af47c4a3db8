"""Blue/green deployments: the green fleet takes the requests step by step, and gives them back when an alarm rings.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from local.sagemaker.data import SESSION, reason
from local.sagemaker.endpoints.endpoint import Endpoint
from local.sagemaker.endpoints.fleets import Fleet
from local.sagemaker.endpoints.instances import Hosting
from local.sagemaker.requests import refuse
from local.sagemaker.timers import Timer
from local.service import ApiError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0  # between two looks at the alarms while the green fleet bakes
CANARY, LINEAR = "CANARY", "LINEAR"
LARGEST = 50  # percent of the capacity that a canary or a linear step may be
SMALLEST_LINEAR = 10


@dataclass(frozen=True)
class Step:
    """The green fleet takes a share of the requests, then bakes."""

    share: float
    seconds: float
    setting: str  # what the seconds come from
    capacity: str  # which part of the fleet has traffic: canary, linear or full


def check(deployment: dict[str, Any] | None, instances: int) -> None:
    """Refuse a DeploymentConfig that says what cannot be done with so many instances.

    Raises:
        ApiError: ValidationException.
    """
    if deployment is None:
        return
    if "RollingUpdatePolicy" in deployment:
        raise refuse("DeploymentConfig.RollingUpdatePolicy", deployment["RollingUpdatePolicy"], "BlueGreenUpdatePolicy")
    policy = deployment.get("BlueGreenUpdatePolicy")
    if policy is None:
        return
    steps(deployment, instances)
    longest = policy.get("MaximumExecutionTimeoutInSeconds")
    baking = sum(step.seconds for step in steps(deployment, instances))
    if longest is not None and longest <= baking:
        words = f"MaximumExecutionTimeoutInSeconds = {longest} must be larger than the {baking:.0f} s of waiting"
        raise ApiError("ValidationException", words)


def steps(deployment: dict[str, Any] | None, instances: int) -> list[Step]:
    """The steps of a deployment whose green fleet has so many instances; without a configuration, all at once.

    Raises:
        ApiError: ValidationException for a step of the wrong size.
    """
    policy = (deployment or {}).get("BlueGreenUpdatePolicy", {})
    routing = policy.get("TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE"})
    wait = float(routing.get("WaitIntervalInSeconds", 0))
    last = Step(1.0, float(policy.get("TerminationWaitInSeconds", 0)), "TerminationWaitInSeconds", "full")
    if routing["Type"] == CANARY:
        size = _size(routing, "CanarySize", instances, 1)
        return [Step(size, wait, "WaitIntervalInSeconds", "canary"), last]
    if routing["Type"] == LINEAR:
        size = _size(routing, "LinearStepSize", instances, SMALLEST_LINEAR)
        count = math.ceil(round(1 / size, 6))
        parts = [Step(number * size, wait, "WaitIntervalInSeconds", "linear") for number in range(1, count)]
        return [*parts, last]
    return [last]


def _size(routing: dict[str, Any], field: str, instances: int, least: int) -> float:
    size = routing.get(field)
    if size is None:
        raise ApiError(
            "ValidationException", f"TrafficRoutingConfiguration.{field} must be given for {routing['Type']}"
        )
    share = size["Value"] / 100 if size["Type"] == "CAPACITY_PERCENT" else size["Value"] / max(1, instances)
    if not least / 100 <= share <= LARGEST / 100:
        words = (
            f"TrafficRoutingConfiguration.{field} is {share:.0%} of {instances} instance(s); it must be from {least}"
        )
        raise ApiError("ValidationException", f"{words} to {LARGEST} percent of the capacity")
    return float(share)


class Deployment:
    """One deployment of one endpoint. `changed` is called with the status at each step, `over` once, at its end.

    `over(why)`: the green fleet has taken over (None), or the blue one serves again, and why.
    """

    def __init__(
        self,
        hosting: Hosting,
        endpoint: Endpoint,
        green: Fleet,
        config: dict[str, Any] | None,
        changed: Callable[[str], None],
        over: Callable[[str | None], None],
    ) -> None:
        self._hosting = hosting
        self._endpoint = endpoint
        self._green = green
        self._config = config or {}
        self._changed = changed
        self._over = over
        self._count = sum(variant.desired for variant in green.variants)
        self._steps = steps(config, self._count)
        self._lock = threading.RLock()
        self._ended = False
        self._limit = Timer()

    def begin(self) -> None:
        """Launch the green fleet."""
        endpoint, now = self._endpoint, self._hosting.cloud.clock.time()
        endpoint.begin(self._green, now)
        longest = self._config.get("BlueGreenUpdatePolicy", {}).get("MaximumExecutionTimeoutInSeconds")
        if longest is not None:
            words = f"The deployment took longer than MaximumExecutionTimeoutInSeconds = {longest}."
            self._limit = self._hosting.timers.after(longest, partial(self._roll_back, words))
        self._say("Creating", f"Launching {self._count} instance(s).")
        self._green.launch(self._launched)

    def abandon(self) -> None:
        """The endpoint is closed: nothing happens any more."""
        with self._lock:
            self._ended = True
        self._limit.cancel()

    def _launched(self, why: str | None) -> None:
        if why:
            self._roll_back(why)
        else:
            self._next()

    def _next(self) -> None:
        with self._lock:
            if self._ended:
                return
            if not self._steps:
                self._ended = True
                self._limit.cancel()
        if self._ended:
            old = self._endpoint.finish(take=True)
            assert old is not None
            old.close()
            self._over(None)
            return
        step = self._steps.pop(0)
        capacity = f"{step.capacity} capacity of {math.ceil(round(step.share * self._count, 6))} instance(s)."
        self._say("ActivatingTraffic", f"Activating traffic on {capacity}")
        self._endpoint.shift(step.share)
        self._say(
            "Baking", f"Baking for {step.seconds:.0f} seconds ({step.setting}) with traffic enabled on {capacity}"
        )
        self._bake(self._hosting.cloud.clock.time() + step.seconds)

    def _bake(self, until: float) -> None:
        if self._ended:
            return
        ringing = self._ringing()
        if ringing:
            self._roll_back(ringing)
            return
        left = until - self._hosting.cloud.clock.time()
        if left <= 0:
            self._next()
        else:
            self._hosting.timers.after(min(left, LOOK_SECONDS), partial(self._bake, until))

    def _ringing(self) -> str | None:
        """Why the deployment must not go on: an alarm rings, or cannot be looked at by the model's role."""
        names = [each["AlarmName"] for each in self._config.get("AutoRollbackConfiguration", {}).get("Alarms", [])]
        if not names:
            return None
        role = self._green.variants[0].model["ExecutionRoleArn"]
        try:
            client = self._hosting.cloud.client("cloudwatch", role, SESSION)
            alarms = client.describe_alarms(AlarmNames=names)["MetricAlarms"]
        except Exception as error:
            return f"The alarms {', '.join(names)} could not be looked at with the role {role}: {reason(error)}"
        missing = sorted(set(names) - {alarm["AlarmName"] for alarm in alarms})
        if missing:
            return f"The alarms {', '.join(missing)} do not exist."
        ringing = [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]
        return f"The alarms {', '.join(ringing)} are in ALARM." if ringing else None

    def _roll_back(self, why: str) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._limit.cancel()
        logger.info("endpoint %s rolls back: %s", self._endpoint.name, why)
        self._endpoint.shift(0.0)
        self._changed("RollingBack")

        def finish() -> None:
            failed = self._endpoint.finish(take=False)
            if failed is not None:
                failed.close()
            self._over(why)

        self._hosting.timers.after(0.0, finish)

    def _say(self, status: str, message: str) -> None:
        now = self._hosting.cloud.clock.time()
        self._endpoint.statuses = [{"Status": status, "StatusMessage": message, "StartTime": now}]
        self._changed("Updating")
