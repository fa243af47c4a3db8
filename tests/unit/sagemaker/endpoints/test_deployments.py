"""Blue/green deployments in virtual time: who answers meanwhile, when the old one goes, what brings it back."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boxcar.serving.guards import alarms
from boxcar.serving.spec import Rollback, Serving
from boxcar.serving.targets import Target
from local.sagemaker.endpoints.deployments import Step, steps
from local.service import ApiError
from tests.unit.sagemaker.endpoints.conftest import ROLE, VirtualEndpoints, variant


def policy(kind: str, size: dict[str, Any] | None = None, wait: int = 300, **more: Any) -> dict[str, Any]:
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    if size:
        routing["CanarySize" if kind == "CANARY" else "LinearStepSize"] = size
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def alarmed(deployment: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names]}}


@pytest.fixture
def live(virtual: VirtualEndpoints) -> VirtualEndpoints:
    """An endpoint that answers `old`, and configurations `new` and `bad` for it."""
    for name, course in (("old", {}), ("new", {"provision_seconds": 120}), ("bad", {"outcome": "AlgorithmError"})):
        virtual.config(name, variant(virtual.model(name, message=name, **course), count=2))
    virtual.create("live", "old")
    return virtual


@pytest.fixture
def alarm(live: VirtualEndpoints) -> str:
    """An alarm on the errors of the endpoint."""
    live.metrics.put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": "live"}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=3,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    return "errors"


def update(live: VirtualEndpoints, config: str, deployment: dict[str, Any] | None = None, **more: Any) -> None:
    chosen = {} if deployment is None else {"DeploymentConfig": deployment}
    live.api.UpdateEndpoint(EndpointName="live", EndpointConfigName=config, **chosen, **more)


def answers(live: VirtualEndpoints, count: int = 100) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(count):
        try:
            found[live.ask("live")] += 1
        except ClientError as error:
            found[error.response["Error"]["Code"]] += 1
    return found


def pending(live: VirtualEndpoints) -> str:
    told = live.describe("live")["PendingDeploymentSummary"]
    return told["ProductionVariants"][0]["VariantStatus"][0]["StatusMessage"]


def test_all_at_once_the_old_fleet_serves_until_the_new_one_is_there(live):
    update(live, "new")
    live.cloud.let_pass(119)
    assert live.describe("live")["EndpointStatus"] == "Updating"
    assert pending(live) == "Launching 2 instance(s)."
    assert answers(live, 20) == {"old": 20}
    live.cloud.let_pass(2)
    live.reached("live", "IN_SERVICE")
    assert answers(live, 20) == {"new": 20}
    assert live.describe("live")["EndpointConfigName"] == "new"
    assert live.service.limits()["ml.m5.large for endpoint usage"]["used"] == 2


def test_a_canary_takes_its_share_bakes_and_then_takes_all(live):
    update(live, "new", policy("CANARY", {"Type": "INSTANCE_COUNT", "Value": 1}, TerminationWaitInSeconds=60))
    live.cloud.let_pass(121)
    assert pending(live) == (
        "Baking for 300 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert 35 < answers(live)["new"] < 65
    live.cloud.let_pass(300)
    assert pending(live) == (
        "Baking for 60 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 2 instance(s)."
    )
    assert answers(live, 20) == {"new": 20}
    live.cloud.let_pass(60)
    told = [e["detail"] for e in live.cloud.events if e["detail-type"] == "SageMaker Endpoint Deployment State Change"]
    live.reached("live", "IN_SERVICE")
    said = [each["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0]["Status"] for each in told]
    assert said == ["Creating", "ActivatingTraffic", "Baking", "ActivatingTraffic", "Baking"]
    assert {each["EndpointStatus"] for each in told} == {"UPDATING"}
    assert "PendingDeploymentSummary" not in live.describe("live")


def test_linear_steps_take_one_share_more_each_time(live):
    update(live, "new", policy("LINEAR", percent(50), wait=100))
    live.cloud.let_pass(121)
    assert 35 < answers(live)["new"] < 65
    live.cloud.let_pass(100)
    live.reached("live", "IN_SERVICE")
    assert answers(live, 20) == {"new": 20}
    assert [step.share for step in steps(policy("LINEAR", percent(30)), 10)] == [0.3, 0.6, pytest.approx(0.9), 1.0]
    assert steps(None, 1) == [Step(1.0, 0.0, "TerminationWaitInSeconds", "full")]


def test_an_alarm_while_it_bakes_brings_the_old_fleet_back(live, alarm):
    update(live, "bad", alarmed(policy("CANARY", percent(50), wait=600), alarm))
    seen: Counter[str] = Counter()

    def ask() -> bool:
        seen.update(answers(live, 1))
        return any(e["detail"].get("EndpointStatus") == "ROLLING_BACK" for e in live.cloud.events)

    took = live.cloud.until(ask, 600)
    assert took < 130  # the alarm looks at whole minutes
    live.reached("live", "ROLLING_BACK")
    told = live.reached("live", "IN_SERVICE")
    assert told["FailureReason"] == "The alarms errors are in ALARM."
    assert told["EndpointConfigName"] == "old"
    assert seen["ModelError"] >= 3 and set(seen) == {"old", "ModelError"}
    assert answers(live, 50) == {"old": 50}
    assert live.service.limits()["ml.m5.large for endpoint usage"]["used"] == 2
    update(live, "new")
    live.cloud.let_pass(121)
    assert "FailureReason" not in live.reached("live", "IN_SERVICE")


def test_a_quiet_alarm_lets_the_deployment_through(live, alarm):
    update(live, "new", alarmed(policy("CANARY", percent(50), wait=180), alarm))
    live.cloud.until(lambda: answers(live, 2) and live.describe("live")["EndpointStatus"] == "InService", 400)
    assert live.describe("live")["EndpointConfigName"] == "new"


def test_a_fleet_that_is_slow_gives_the_requests_back(live):
    """By the alarm on latency that a release makes."""
    serving = Serving(rollback=Rollback(max_error_percent=None, max_latency_ms=500))
    target = Target("live", "packaging", "box", "1.0.0", {}, serving, ROLE, "data")
    [request] = alarms("boxcar", target)
    live.metrics.put_metric_alarm(**request)
    live.config("slow", variant(live.model("slow", message="slow", work_seconds=2), count=2))
    update(live, "slow", alarmed(policy("CANARY", percent(50), wait=3600), request["AlarmName"]))
    seen: set[str] = set()
    with ThreadPoolExecutor(1) as pool:

        def ask() -> bool:
            answer = pool.submit(live.ask, "live")
            live.cloud.until(answer.done)
            seen.add(answer.result())
            return any(e["detail"].get("EndpointStatus") == "ROLLING_BACK" for e in live.cloud.events)

        live.cloud.until(ask, 3600)
    live.reached("live", "ROLLING_BACK")
    assert live.reached("live", "IN_SERVICE")["FailureReason"] == "The alarms boxcar/live/latency are in ALARM."
    assert seen == {"old", "slow"} and answers(live, 20) == {"old": 20}


@pytest.mark.parametrize(
    ("break_it", "words"),
    [("missing", "The alarms nobody do not exist."), ("denied", "could not be looked at with the role")],
)
def test_alarms_that_cannot_be_looked_at_bring_the_old_fleet_back(live, break_it, words):
    if break_it == "denied":
        denial = {"Error": {"Code": "AccessDenied", "Message": "not authorized to perform: cloudwatch:DescribeAlarms"}}

        def deny(**_: Any) -> None:
            raise ClientError(denial, "DescribeAlarms")

        live.metrics.meta.events.register("before-call.cloudwatch.DescribeAlarms", deny)
    update(live, "bad", alarmed(policy("ALL_AT_ONCE"), "nobody"))
    live.cloud.let_pass(1)
    assert words in live.reached("live", "IN_SERVICE")["FailureReason"]
    assert answers(live, 10) == {"old": 10}


def test_a_fleet_that_cannot_start_leaves_the_old_one(live):
    live.config("sick", variant(live.model("sick", outcome="InternalServerError")))
    update(live, "sick")
    live.cloud.let_pass(1)
    live.reached("live", "ROLLING_BACK")
    why = live.reached("live", "IN_SERVICE")["FailureReason"]
    assert why.startswith("The primary container for production variant AllTraffic did not pass the ping health check.")
    assert answers(live, 10) == {"old": 10}


def test_a_deployment_that_takes_too_long_is_rolled_back(live):
    live.config("late", variant(live.model("late", provision_seconds=5000)))
    update(live, "late", policy("ALL_AT_ONCE", MaximumExecutionTimeoutInSeconds=600))
    live.cloud.let_pass(601)
    why = live.reached("live", "IN_SERVICE")["FailureReason"]
    assert why == "The deployment took longer than MaximumExecutionTimeoutInSeconds = 600."
    live.cloud.let_pass(5000)  # when the instance comes after all, nobody wants it
    assert live.describe("live")["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_two_updates_at_once_are_refused(live):
    update(live, "new")
    with pytest.raises(ApiError, match="Cannot update in-progress endpoint"):
        update(live, "bad")


def test_counts_and_weights_may_be_retained_and_the_deployment_config_too(live):
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 4, "DesiredWeight": 2}]
    live.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=wanted)
    live.reached("live", "IN_SERVICE")
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    canary = policy("CANARY", percent(25), wait=30)
    update(live, "new", canary, RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=excluded)
    live.cloud.let_pass(151)
    [told] = live.reached("live", "IN_SERVICE")["ProductionVariants"]
    assert (told["CurrentInstanceCount"], told["CurrentWeight"]) == (4, 1)
    update(live, "old", RetainDeploymentConfig=True)
    live.cloud.let_pass(1)
    assert pending(live).startswith("Baking for 30 seconds (WaitIntervalInSeconds)")
    assert live.describe("live")["LastDeploymentConfig"] == canary


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        (policy("CANARY"), "CanarySize must be given for CANARY"),
        (policy("CANARY", {"Type": "INSTANCE_COUNT", "Value": 2}), "CanarySize is 100% of 2 instance"),
        (policy("LINEAR", percent(5)), "must be from 10 to 50 percent"),
        (policy("CANARY", percent(50), wait=600, MaximumExecutionTimeoutInSeconds=600), "larger than the 600 s"),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 1}},
            "BlueGreenUpdatePolicy",
        ),
    ],
)
def test_deployments_that_cannot_be(live, deployment, words):
    with pytest.raises(ApiError, match=words):
        update(live, "new", deployment)
    assert live.describe("live")["EndpointStatus"] == "InService"
    assert live.service.limits()["ml.m5.large for endpoint usage"]["used"] == 2
