"""The Application Auto Scaling service: which action goes where."""

from collections.abc import Callable
from typing import Any

from local.autoscaling.policies import Policies
from local.autoscaling.scaling import Scaling
from local.autoscaling.targets import Targets, invalid
from local.programs.checks import faults
from local.sagemaker.store import Store
from local.service import ApiError, Cloud

NAME = "application-autoscaling"


class ApplicationAutoScaling:
    """Scalable targets, policies and activities. State lies in `autoscaling/` of the cloud's state folder."""

    def __init__(self, cloud: Cloud) -> None:
        self._clock = cloud.clock
        self._store = Store(cloud.state / "autoscaling" / "autoscaling.sqlite")
        self._targets = targets = Targets(cloud, self._store)
        self._policies = policies = Policies(cloud, self._store, targets)
        self._scaling = scaling = Scaling(cloud, self._store, targets, policies)
        self.triggered = scaling.triggered
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "RegisterScalableTarget": targets.register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": targets.describe,
            "PutScalingPolicy": policies.put,
            "DeleteScalingPolicy": policies.delete,
            "DescribeScalingPolicies": policies.describe,
            "DescribeScalingActivities": scaling.describe,
        }

    def handle(self, action: str, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse, and what this cloud does not implement.
        """
        if action not in self._actions:
            words = f"{action} is not implemented by the embedded cloud; it has: {', '.join(sorted(self._actions))}"
            raise ApiError("UnknownOperationException", words, 404)
        if found := faults(NAME, action, request):
            raise invalid("; ".join(found))
        with self._clock.hold():
            return self._actions[action](request)

    def close(self) -> None:
        """Save."""
        self._store.close()

    def _deregister(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeregisterScalableTarget, with its policies and their alarms."""
        target = self._targets.found(request)
        for policy in self._policies.of(target):
            self._policies.delete(policy)
        self._targets.remove(request)
        return {}
