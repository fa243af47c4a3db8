"""Instance counts that follow metrics, in virtual time: from zero and back, by target and by steps."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.sagemaker.endpoints.conftest import SUCCESS, VirtualEndpoints, variant
from tests.unit.sagemaker.endpoints.test_async import asynchronous

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/live/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
BACKLOG = {
    "CustomizedMetricSpecification": {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": "live"}],
        "Statistic": "Average",
    }
}


def track(live: VirtualEndpoints, metric: dict[str, Any], target: float = 5.0, **more: Any) -> dict[str, Any]:
    configuration = {"TargetValue": target, "ScaleInCooldown": 120, "ScaleOutCooldown": 120, **metric, **more}
    return live.scaling.put_scaling_policy(
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=configuration,
        **PLACE,
    )


def wake(live: VirtualEndpoints) -> None:
    """The step policy that wakes an endpoint from zero, and its alarm."""
    steps = [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]
    policy = live.scaling.put_scaling_policy(
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": steps,
            "Cooldown": 120,
            "MetricAggregationType": "Average",
        },
        **PLACE,
    )
    live.metrics.put_metric_alarm(
        AlarmName="has-backlog",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": "live"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy["PolicyARN"]],
    )


@pytest.fixture
def asleep(virtual: VirtualEndpoints, folder: str) -> VirtualEndpoints:
    """An asynchronous endpoint with no instance, that may have five; each takes three minutes to start."""
    model = virtual.model("m", work_seconds=20, provision_seconds=180)
    virtual.config("m", variant(model), AsyncInferenceConfig=asynchronous(folder))
    virtual.api.CreateEndpoint(EndpointName="live", EndpointConfigName="m")
    virtual.cloud.let_pass(181)
    virtual.scaling.register_scalable_target(MinCapacity=0, MaxCapacity=5, **PLACE)
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    virtual.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=wanted)
    return virtual


@pytest.fixture
def send(put, folder):
    location = put(f"{folder}/input/document", "text")

    def send_some(live: VirtualEndpoints, count: int) -> None:
        for _ in range(count):
            live.runtime.invoke_endpoint_async(EndpointName="live", InputLocation=location)

    return send_some


def count(live: VirtualEndpoints) -> tuple[int, int]:
    [told] = live.describe("live")["ProductionVariants"]
    return told["CurrentInstanceCount"], told["DesiredInstanceCount"]


def test_from_nothing_to_five_and_back_to_nothing_with_every_document_answered_once(asleep, send):
    track(asleep, BACKLOG)
    wake(asleep)
    send(asleep, 60)
    most = [0]

    def answered() -> bool:
        most[0] = max(most[0], count(asleep)[0])
        return len(asleep.cloud.messages(SUCCESS)) >= 60

    first = asleep.cloud.until(lambda: asleep.cloud.messages(SUCCESS), 900, 10)
    assert first < 480  # two minutes for the alarm, three for the instance
    asleep.cloud.until(answered, 3600, 10)
    assert most[0] == 5
    asleep.cloud.until(lambda: count(asleep) == (0, 0), 3600, 30)
    identifiers = [message["inferenceId"] for message in asleep.cloud.messages(SUCCESS)]
    assert len(identifiers) == len(set(identifiers)) == 60
    done = asleep.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert {each["StatusCode"] for each in done} == {"Successful"}
    assert done[0]["Description"] == "Setting desired instance count to 0."
    assert any(each["Cause"] == "monitor alarm has-backlog in state ALARM triggered policy wake" for each in done)
    assert done[-1]["EndTime"] - done[-1]["StartTime"] == timedelta(seconds=180)


def test_without_the_wake_policy_a_small_backlog_waits_for_ever(asleep, send):
    track(asleep, BACKLOG)
    send(asleep, 3)
    asleep.cloud.let_pass(3600)
    assert count(asleep) == (0, 0) and asleep.cloud.messages(SUCCESS) == []
    send(asleep, 3)  # six are more than the target
    asleep.cloud.until(lambda: len(asleep.cloud.messages(SUCCESS)) == 6, 900, 10)


def test_a_cooldown_keeps_a_scale_out_from_being_made_twice(asleep, send):
    wake(asleep)
    asleep.metrics.put_metric_alarm(**{**_alarm(asleep, "has-backlog"), "MetricName": "ApproximateBacklogSize"})
    send(asleep, 200)
    asleep.cloud.let_pass(180)
    assert count(asleep) == (0, 1)  # it still rings each minute, and the endpoint is Updating
    asleep.cloud.let_pass(230)  # the instance came after 300 s, and the cooldown counts from then
    assert count(asleep) == (1, 1)
    asleep.cloud.let_pass(71)
    assert count(asleep)[1] == 2


def _alarm(live: VirtualEndpoints, name: str) -> dict[str, Any]:
    [alarm] = live.metrics.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    fields = ("AlarmName", "Namespace", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "DatapointsToAlarm")
    fields += ("Threshold", "ComparisonOperator", "TreatMissingData", "AlarmActions")  # type: ignore[assignment]
    return {field: alarm[field] for field in fields}


def test_a_real_time_endpoint_follows_its_invocations(virtual):
    virtual.config(virtual.model("m"))
    virtual.create("live", "m")
    virtual.scaling.register_scalable_target(MinCapacity=1, MaxCapacity=4, **PLACE)
    predefined = {"PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}}
    made = track(virtual, predefined, 10.0)
    high, low = (alarm["AlarmName"] for alarm in made["Alarms"])
    assert high.startswith("TargetTracking-endpoint/live/variant/AllTraffic-AlarmHigh-")

    def ask() -> bool:
        for _ in range(25):
            virtual.ask("live")
        return count(virtual)[1] == 3

    assert virtual.cloud.until(ask, 600, 60) >= 180  # three minutes above the target
    virtual.cloud.let_pass(1800)
    assert count(virtual)[1] == 3  # as on AWS: without requests nothing is measured, so nothing scales in
    quiet = virtual.cloud.until(lambda: virtual.ask("live") and count(virtual)[1] == 1, 3600, 60)
    assert quiet >= 600
    described = virtual.metrics.describe_alarms(AlarmNames=[high, low])["MetricAlarms"]
    assert {each["AlarmName"]: each["Threshold"] for each in described} == {high: 10, low: 9}


def test_suspended_scaling_does_nothing(asleep, send):
    wake(asleep)
    suspended = {"DynamicScalingOutSuspended": True}
    asleep.scaling.register_scalable_target(SuspendedState=suspended, **PLACE)
    send(asleep, 10)
    asleep.cloud.let_pass(600)
    assert count(asleep) == (0, 0)
    asleep.scaling.register_scalable_target(SuspendedState={"DynamicScalingOutSuspended": False}, **PLACE)
    asleep.cloud.until(lambda: count(asleep)[1] == 1, 120, 10)


def test_what_the_endpoint_refuses_is_an_activity_that_failed(asleep, send):
    wake(asleep)
    asleep.service.set_limit("ml.m5.large for endpoint usage", 0)
    send(asleep, 1)
    asleep.cloud.let_pass(240)
    [last, *_] = asleep.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert last["StatusCode"] == "Failed"
    assert "Failed to set desired instance count to 1. Reason: ResourceLimitExceeded" in last["StatusMessage"]
    asleep.service.set_limit("ml.m5.large for endpoint usage", None)
    asleep.cloud.until(lambda: asleep.cloud.messages(SUCCESS), 600, 10)


def test_deregistering_takes_policies_and_their_alarms_along(asleep):
    made = track(asleep, BACKLOG)
    wake(asleep)
    told = asleep.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert {each["PolicyName"] for each in told} == {"track", "wake"}
    asleep.scaling.deregister_scalable_target(**PLACE)
    assert asleep.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert asleep.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    names = [alarm["AlarmName"] for alarm in made["Alarms"]]
    assert asleep.metrics.describe_alarms(AlarmNames=names)["MetricAlarms"] == []
    assert asleep.metrics.describe_alarms(AlarmNames=["has-backlog"])["MetricAlarms"]  # that one is the user's own
    with pytest.raises(ClientError, match=r"ObjectNotFoundException.*No scalable target found for service namespace"):
        asleep.scaling.deregister_scalable_target(**PLACE)


def test_a_policy_that_is_put_again_keeps_its_arn_and_gets_other_alarms(asleep):
    first, second = track(asleep, BACKLOG), track(asleep, BACKLOG, 8.0, DisableScaleIn=True)
    assert first["PolicyARN"] == second["PolicyARN"]
    assert len(second["Alarms"]) == 1
    alarms = asleep.metrics.describe_alarms(AlarmNamePrefix="TargetTracking-endpoint/live")["MetricAlarms"]
    assert [(alarm["AlarmName"], alarm["Threshold"]) for alarm in alarms] == [(second["Alarms"][0]["AlarmName"], 8)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"MinCapacity": 3}, "MinCapacity 3 must be from 0 to MaxCapacity 2"),
        ({"MinCapacity": 0}, "MinCapacity 0 is for asynchronous endpoints"),
        ({"ResourceId": "endpoint/none/variant/AllTraffic"}, "Could not find endpoint"),
        ({"ResourceId": "endpoint/live/variant/none"}, "no such variant"),
        ({"ResourceId": "live"}, "must be endpoint/<name>/variant/<name>"),
        ({"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}, "does not scale ecs"),
    ],
)
def test_targets_that_are_refused(virtual, change, words):
    virtual.config(virtual.model("m"))
    virtual.create("live", "m")
    with pytest.raises(ClientError, match=words):
        virtual.scaling.register_scalable_target(**{**PLACE, "MinCapacity": 1, "MaxCapacity": 2, **change})
