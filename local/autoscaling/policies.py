"""PutScalingPolicy, DescribeScalingPolicies, DeleteScalingPolicy; and the alarms of target tracking.

The alarms are those that AWS makes: three datapoints of a minute above the target, fifteen below 90 % of it. They
cannot be chosen, as people found: aws/copilot-cli issue 4233, aws-samples/amazon-aurora-labs-for-mysql issue 3.
"""

import uuid
from typing import Any

from local.autoscaling.targets import FIELDS, RESOURCE, Targets, invalid, key_of, matches, missing, page
from local.sagemaker.store import Store
from local.service import Cloud

KIND = "policy"
STEP, TRACKING = "StepScaling", "TargetTrackingScaling"
CONFIGURATIONS = {STEP: "StepScalingPolicyConfiguration", TRACKING: "TargetTrackingScalingPolicyConfiguration"}
INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
HIGH_PERIODS, LOW_PERIODS, LOW_SHARE = 3, 15, 0.9
PERIOD = 60
Record = dict[str, Any]


class Policies:
    """What is to be done when an alarm rings."""

    def __init__(self, cloud: Cloud, store: Store, targets: Targets) -> None:
        self._cloud = cloud
        self._store = store
        self._targets = targets

    def put(self, request: Record) -> Record:
        """PutScalingPolicy."""
        self._targets.found(request)
        key = f"{key_of(request)}|{request['PolicyName']}"
        known = self._store.get(KIND, key)
        kind = request.get("PolicyType") or (known or {}).get("PolicyType") or STEP
        if kind not in CONFIGURATIONS:
            raise invalid(f"PolicyType {kind}: the embedded cloud has {' and '.join(CONFIGURATIONS)}")
        if known is not None and known["PolicyType"] != kind:
            raise invalid(f"PolicyType of {request['PolicyName']} is {known['PolicyType']} and cannot become {kind}")
        field = CONFIGURATIONS[kind]
        if field not in request:
            raise invalid(f"{field} must be given for a policy of type {kind}")
        _check(kind, request[field])
        record = known or {
            **{name: request[name] for name in (*FIELDS, "PolicyName")},
            "PolicyType": kind,
            "PolicyARN": self._arn(request),
            "CreationTime": self._cloud.clock.time(),
            "Alarms": [],
        }
        record[field] = request[field]
        if kind == TRACKING:
            self._unwatch(record)
            record["Alarms"] = self._watch(record)
        self._store.put(KIND, key, record)
        return {"PolicyARN": record["PolicyARN"], "Alarms": record["Alarms"]}

    def describe(self, request: Record) -> Record:
        """DescribeScalingPolicies."""
        names = request.get("PolicyNames")
        found = [each for each in self._store.all(KIND) if matches(each, request)]
        return page("ScalingPolicies", [each for each in found if not names or each["PolicyName"] in names], request)

    def delete(self, request: Record) -> Record:
        """DeleteScalingPolicy, and the alarms that were made for it."""
        key = f"{key_of(request)}|{request['PolicyName']}"
        record = self._store.get(KIND, key)
        if record is None:
            raise missing("scaling policy", request, f", policy name: {request['PolicyName']}")
        self._unwatch(record)
        self._store.remove(KIND, key)
        return {}

    def of(self, target: Record) -> list[Record]:
        """The policies of a target."""
        return [policy for policy in self._store.all(KIND) if matches(policy, target)]

    def by_arn(self, arn: str) -> Record | None:
        """The policy that an alarm's action names."""
        return next((policy for policy in self._store.all(KIND) if policy["PolicyARN"] == arn), None)

    def _arn(self, request: Record) -> str:
        place = f"arn:aws:autoscaling:{self._cloud.region}:{self._cloud.account}:scalingPolicy:{uuid.uuid4()}"
        return (
            f"{place}:resource/{request['ServiceNamespace']}/{request['ResourceId']}:policyName/{request['PolicyName']}"
        )

    def _watch(self, policy: Record) -> list[Record]:
        configuration = policy[CONFIGURATIONS[TRACKING]]
        target = configuration["TargetValue"]
        wanted = [("AlarmHigh", "GreaterThanThreshold", target, HIGH_PERIODS)]
        if not configuration.get("DisableScaleIn"):
            wanted.append(("AlarmLow", "LessThanThreshold", target * LOW_SHARE, LOW_PERIODS))
        client = self._cloud.client("cloudwatch")
        made = []
        for label, operator, threshold, periods in wanted:
            name = f"TargetTracking-{policy['ResourceId']}-{label}-{uuid.uuid4()}"
            client.put_metric_alarm(
                AlarmName=name,
                AlarmDescription=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
                AlarmActions=[policy["PolicyARN"]],
                EvaluationPeriods=periods,
                Threshold=threshold,
                ComparisonOperator=operator,
                **_metric(policy),
            )
            arn = f"arn:aws:cloudwatch:{self._cloud.region}:{self._cloud.account}:alarm:{name}"
            made.append({"AlarmName": name, "AlarmARN": arn})
        return made

    def _unwatch(self, policy: Record) -> None:
        names = [alarm["AlarmName"] for alarm in policy["Alarms"]]
        client = self._cloud.client("cloudwatch")
        there = client.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
        if there:
            client.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in there])


def _check(kind: str, configuration: Record) -> None:
    if kind == STEP:
        for field in ("AdjustmentType", "StepAdjustments"):
            if not configuration.get(field):
                raise invalid(f"StepScalingPolicyConfiguration.{field} must be given")
        return
    metrics = [name for name in configuration if name.endswith("MetricSpecification")]
    if len(metrics) != 1:
        raise invalid("give either PredefinedMetricSpecification or CustomizedMetricSpecification")
    if configuration["TargetValue"] <= 0:
        raise invalid(f"TargetValue {configuration['TargetValue']} must be more than 0")
    predefined = configuration.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", INVOCATIONS)
    if predefined != INVOCATIONS:
        raise invalid(f"PredefinedMetricType {predefined}: the embedded cloud has {INVOCATIONS}")


def _metric(policy: Record) -> Record:
    """What a target tracking policy watches, as fields of an alarm."""
    custom = policy[CONFIGURATIONS[TRACKING]].get("CustomizedMetricSpecification")
    if custom is None:
        parts = RESOURCE.fullmatch(policy["ResourceId"])
        assert parts is not None
        dimensions = {"EndpointName": parts["endpoint"], "VariantName": parts["variant"]}
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": "InvocationsPerInstance",
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Statistic": "Sum",
            "Period": PERIOD,
        }
    if "Metrics" in custom:
        timed = [
            {**query, "MetricStat": {**query["MetricStat"], "Period": PERIOD}} if "MetricStat" in query else query
            for query in custom["Metrics"]
        ]
        return {"Metrics": timed}
    fields = ("Namespace", "MetricName", "Dimensions", "Statistic", "Unit")
    return {"Period": PERIOD, **{field: custom[field] for field in fields if field in custom}}
