"""What follows when an alarm rings: another instance count, unless a cooldown or another policy is against it."""

import logging
import threading
import uuid
from typing import Any

from local.autoscaling.capacity import Breach, cooldown, stepped, tracked
from local.autoscaling.policies import CONFIGURATIONS, STEP, TRACKING, Policies
from local.autoscaling.targets import FIELDS, KIND, RESOURCE, Targets, key_of, matches, page
from local.sagemaker.data import reason
from local.sagemaker.store import Store
from local.service import ApiError, Cloud

logger = logging.getLogger(__name__)

ACTIVITY = "activity"
KEPT = 500  # activities
Record = dict[str, Any]


class Scaling:
    """Scales targets, and remembers it: DescribeScalingActivities."""

    def __init__(self, cloud: Cloud, store: Store, targets: Targets, policies: Policies) -> None:
        self._cloud = cloud
        self._clock = cloud.clock
        self._store = store
        self._targets = targets
        self._policies = policies
        self._lock = threading.RLock()

    def triggered(self, policy_arn: str, alarm: Record, value: float | None) -> None:
        """An alarm is in the state for which it names a policy; `value` is its metric's in the last period, if any."""
        policy = self._policies.by_arn(policy_arn)
        if policy is None:
            logger.warning("alarm %s: there is no policy %s", alarm["AlarmName"], policy_arn)
            return
        if value is None:
            return  # an alarm may ring on old data; how far the metric is from its target now, nobody knows
        with self._lock:
            target = self._targets.found(policy)
            try:
                told = self._targets.endpoint(target)
            except ApiError as error:
                logger.warning("policy %s: %s", policy["PolicyName"], error.message)
                return
            self._settle(target, told)
            if told["EndpointStatus"] == "InService":  # else at the next minute, if the alarm still rings
                breach = Breach(value, float(alarm["Threshold"]), alarm["ComparisonOperator"])
                self._scale(target, policy, _desired(target, told), breach, alarm["AlarmName"])

    def describe(self, request: Record) -> Record:
        """DescribeScalingActivities, newest first."""
        for target in self._store.all(KIND):
            with self._lock:
                try:
                    self._settle(target, self._targets.endpoint(target))
                except ApiError:  # its endpoint is gone
                    continue
        found = [each for each in self._store.all(ACTIVITY) if matches(each, request)]
        return page("ScalingActivities", list(reversed(found)), request)

    def _scale(self, target: Record, policy: Record, current: int, breach: Breach, alarm: str) -> None:
        now = self._clock.time()
        last = target.get("_out", {})
        cooling = bool(last) and now < last["at"] + last["seconds"]
        wanted = self._wanted(target, policy, current, breach)
        if wanted is None or wanted == current:
            return
        if wanted > current and cooling:
            # what the last scale-out added counts as part of this one
            again = self._wanted(target, policy, last["from"], breach)
            if again is None or again <= current:
                return
            wanted = again
        out = wanted > current
        suspended = target["SuspendedState"]["DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended"]
        if suspended or (not out and not self._may_scale_in(target, policy, now)):
            return
        self._set(target, policy, current, wanted, alarm)

    def _wanted(self, target: Record, policy: Record, capacity: int, breach: Breach) -> int | None:
        configuration = policy[CONFIGURATIONS[policy["PolicyType"]]]
        compute = stepped if policy["PolicyType"] == STEP else tracked
        found = compute(configuration, capacity, breach)
        if found is None:
            return None
        if policy["PolicyType"] == TRACKING and (found > capacity) != breach.upwards:
            return None  # the metric has come back while the alarm still rings
        return int(min(max(found, target["MinCapacity"]), target["MaxCapacity"]))

    def _may_scale_in(self, target: Record, policy: Record, now: float) -> bool:
        last = target.get("_in", {})
        if last and now < last["at"] + last["seconds"]:
            return False
        others = [
            alarm["AlarmName"]
            for each in self._policies.of(target)
            if each["PolicyType"] == TRACKING and each["PolicyName"] != policy["PolicyName"]
            for alarm in each["Alarms"]
            if "-AlarmLow-" in alarm["AlarmName"]
        ]
        if policy["PolicyType"] != TRACKING or not others:
            return True
        told = self._cloud.client("cloudwatch").describe_alarms(AlarmNames=others)["MetricAlarms"]
        return all(alarm["StateValue"] == "ALARM" for alarm in told)  # every tracking policy must be ready to scale in

    def _set(self, target: Record, policy: Record, current: int, wanted: int, alarm: str) -> None:
        now, out = self._clock.time(), wanted > current
        activity = {
            "ActivityId": str(uuid.uuid4()),
            **{field: target[field] for field in FIELDS},
            "Description": f"Setting desired instance count to {wanted}.",
            "Cause": f"monitor alarm {alarm} in state ALARM triggered policy {policy['PolicyName']}",
            "StartTime": now,
            "StatusCode": "InProgress",
            "StatusMessage": f"Successfully set desired instance count to {wanted}. Waiting for change to be fulfilled "
            "by sagemaker.",
        }
        parts = RESOURCE.fullmatch(target["ResourceId"])
        assert parts is not None
        counts = [{"VariantName": parts["variant"], "DesiredInstanceCount": wanted}]
        try:
            self._cloud.client("sagemaker").update_endpoint_weights_and_capacities(
                EndpointName=parts["endpoint"], DesiredWeightsAndCapacities=counts
            )
        except Exception as error:
            why = f"Failed to set desired instance count to {wanted}. Reason: {reason(error)}"
            self._keep({**activity, "StatusCode": "Failed", "StatusMessage": why, "EndTime": now})
            return
        self._keep(activity)
        logger.info("%s: %s → %s instances (%s)", target["ResourceId"], current, wanted, alarm)
        fields: Record = {"_activity": activity["ActivityId"]}
        if out:
            fields |= {"_out": {"at": now, "seconds": cooldown(policy, True), "from": current}, "_in": {}}
        else:
            fields |= {"_in": {"at": now, "seconds": cooldown(policy, False)}}
        self._store.change(KIND, key_of(target), fields)

    def _settle(self, target: Record, told: Record) -> None:
        """Note that the last activity is over, if it is: from then on its cooldown counts."""
        number = target.get("_activity")
        activity = self._store.get(ACTIVITY, number) if number else None
        if activity is None or activity["StatusCode"] != "InProgress" or told["EndpointStatus"] != "InService":
            return
        ended = told["LastModifiedTime"].timestamp()
        count = activity["Description"].removesuffix(".").rpartition(" ")[2]
        words = f"Successfully set desired instance count to {count}. Change successfully fulfilled by sagemaker."
        over = {"StatusCode": "Successful", "StatusMessage": words, "EndTime": ended}
        if "FailureReason" in told:
            over |= {"StatusCode": "Failed", "StatusMessage": told["FailureReason"]}
        self._store.change(ACTIVITY, activity["ActivityId"], over)
        for name in ("_out", "_in"):
            if target.get(name, {}).get("at") == activity["StartTime"]:
                target[name]["at"] = ended
        self._store.put(KIND, key_of(target), target)

    def _keep(self, activity: Record) -> None:
        self._store.put(ACTIVITY, activity["ActivityId"], activity)
        old = [each["ActivityId"] for each in self._store.all(ACTIVITY)][:-KEPT]
        for number in old:
            self._store.remove(ACTIVITY, number)


def _desired(target: Record, told: Record) -> int:
    name = target["ResourceId"].rpartition("/")[2]
    return next(int(each["DesiredInstanceCount"]) for each in told["ProductionVariants"] if each["VariantName"] == name)
