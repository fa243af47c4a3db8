"""How many instances a policy wants.

Sources: Application Auto Scaling user guide, "How step scaling works" and "How target tracking scaling works". AWS
gives no formula for target tracking; here capacity is in proportion to the metric, rounded up.
"""

import math
from dataclasses import dataclass
from typing import Any

DEFAULT_COOLDOWN = 300.0  # seconds, for SageMaker variants
UPWARDS = ("GreaterThanOrEqualToThreshold", "GreaterThanThreshold")


@dataclass(frozen=True)
class Breach:
    """Why a policy is asked: the metric's value, and the threshold of the alarm that it has crossed."""

    value: float
    threshold: float
    operator: str

    @property
    def upwards(self) -> bool:
        """Whether the metric is too high, not too low."""
        return self.operator in UPWARDS


def tracked(configuration: dict[str, Any], capacity: int, breach: Breach) -> int:
    """The capacity that brings a metric which falls as instances are added to its target; from none as from one."""
    return math.ceil(round(max(1, capacity) * breach.value / configuration["TargetValue"], 9))


def stepped(configuration: dict[str, Any], capacity: int, breach: Breach) -> int | None:
    """The capacity after the step whose interval holds the breach; None when no step does."""
    distance = breach.value - breach.threshold
    for step in configuration.get("StepAdjustments", []):
        low = step.get("MetricIntervalLowerBound", -math.inf)
        high = step.get("MetricIntervalUpperBound", math.inf)
        within = low <= distance < high if breach.upwards else low < distance <= high
        if within:
            return _adjusted(configuration, capacity, step["ScalingAdjustment"])
    return None


def _adjusted(configuration: dict[str, Any], capacity: int, adjustment: int) -> int:
    kind = configuration["AdjustmentType"]
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return capacity + adjustment
    share = capacity * adjustment / 100
    change = math.trunc(share) if abs(share) >= 1 else int(math.copysign(1, share)) if share else 0
    least = configuration.get("MinAdjustmentMagnitude", 0)
    if abs(change) < least:
        change = int(math.copysign(least, adjustment))
    return capacity + change


def cooldown(policy: dict[str, Any], out: bool) -> float:
    """Seconds that a policy waits after it has scaled out, or in."""
    if policy["PolicyType"] == "StepScaling":
        return float(policy["StepScalingPolicyConfiguration"].get("Cooldown", DEFAULT_COOLDOWN))
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    return float(tracking.get("ScaleOutCooldown" if out else "ScaleInCooldown", DEFAULT_COOLDOWN))
