"""Endpoints of simulated models: variants, shadows, capture, measures, refusals, statuses. In virtual time."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from local.service import ApiError
from tests.unit.sagemaker.endpoints.conftest import DATA, VirtualEndpoints, variant


def refusal(endpoints: VirtualEndpoints, name: str, **more) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        endpoints.ask(name, **more)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_weights_decide_which_variant_answers_and_can_be_changed(virtual):
    variants = [
        variant(virtual.model(name, message=name), name, InitialVariantWeight=w) for name, w in (("a", 3), ("b", 1))
    ]
    virtual.config("ab", *variants)
    virtual.create("live", "ab")
    seen = Counter(virtual.ask("live") for _ in range(200))
    assert 30 < seen["b"] < 70
    assert virtual.ask("live", TargetVariant="b") == "b"
    weights = [{"VariantName": "a", "DesiredWeight": 0}, {"VariantName": "b", "DesiredWeight": 1}]
    virtual.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=weights)
    virtual.reached("live", "IN_SERVICE")
    assert {virtual.ask("live") for _ in range(20)} == {"b"}
    assert [each["CurrentWeight"] for each in virtual.describe("live")["ProductionVariants"]] == [0, 1]
    code, message = refusal(virtual, "live", TargetVariant="c")
    assert (code, message) == ("ValidationError", "Variant c not found for endpoint live.")


def test_instances_take_the_clocks_time_to_start_and_to_answer(virtual):
    virtual.config(virtual.model("slow", provision_seconds=240, work_seconds=30))
    virtual.api.CreateEndpoint(EndpointName="live", EndpointConfigName="slow")
    assert refusal(virtual, "live")[1] == "Endpoint live of account 123456789012 not found."
    virtual.cloud.let_pass(239)
    assert virtual.describe("live")["EndpointStatus"] == "Creating"
    virtual.cloud.let_pass(2)
    virtual.reached("live", "IN_SERVICE")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(virtual.ask, "live", "echo")
        virtual.cloud.until(answer.done)
    assert answer.result() == "echo"
    assert virtual.total("ModelLatency", EndpointName="live", VariantName="AllTraffic") == 30e6


def test_invocations_are_measured_by_endpoint_and_variant(virtual):
    virtual.config(
        "mixed", variant(virtual.model("good"), "good", 2), variant(virtual.model("bad", outcome="ClientError"), "bad")
    )
    virtual.create("live", "mixed")
    for _ in range(3):
        virtual.ask("live", TargetVariant="good")
    assert refusal(virtual, "live", TargetVariant="bad")[0] == "ModelError"
    measured = {
        name: [virtual.total(name, EndpointName="live", VariantName=each) for each in ("good", "bad")]
        for name in ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationsPerInstance")
    }
    assert measured == {
        "Invocations": [3, 1],
        "Invocation4XXErrors": [0, 1],
        "Invocation5XXErrors": [0, 0],
        "InvocationsPerInstance": [1.5, 1],
    }
    assert virtual.total("OverheadLatency", "SampleCount", EndpointName="live", VariantName="good") == 3


def test_what_takes_longer_than_a_minute_is_a_model_error(virtual):
    virtual.config(virtual.model("hangs", outcome="hang"))
    virtual.create("live", "hangs")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(virtual.ask, "live")
        virtual.cloud.until(asked.done)
    with pytest.raises(
        ClientError, match="Your invocation timed out while waiting for a response from container primary"
    ):
        asked.result()
    assert virtual.total("Invocation5XXErrors", EndpointName="live", VariantName="AllTraffic") == 1
    assert virtual.total("ModelLatency", EndpointName="live", VariantName="AllTraffic") == 60e6


def test_a_shadow_gets_a_copy_and_its_answers_go_to_nobody(virtual):
    shadow = [variant(virtual.model("new", message="new"), "shadow")]
    virtual.config("both", variant(virtual.model("now", message="now")), ShadowProductionVariants=shadow)
    virtual.create("live", "both")
    assert {virtual.ask("live") for _ in range(10)} == {"now"}
    virtual.cloud.until(lambda: virtual.total("Invocations", EndpointName="live", VariantName="shadow") == 10)
    assert virtual.describe("live")["ShadowProductionVariants"][0]["CurrentInstanceCount"] == 1


def test_what_goes_in_and_out_is_captured(virtual, s3, folder):
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"{folder}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    virtual.config(virtual.model("m", message="0.5"), DataCaptureConfig=capture)
    virtual.create("live", "m")
    for number in range(3):
        virtual.ask("live", f"{number},x", InferenceId=f"id-{number}")
    virtual.cloud.let_pass(6)
    prefix = f"{folder}/captured/live/AllTraffic/2026/05/28/20/".removeprefix(f"{DATA}/")
    [file] = s3.list_objects_v2(Bucket="boxcar-data", Prefix=prefix)["Contents"]
    assert file["Key"].endswith(".jsonl")
    lines = s3.get_object(Bucket="boxcar-data", Key=file["Key"])["Body"].read().splitlines()
    first, *others = [json.loads(line) for line in lines]
    assert len(others) == 2
    assert first["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv", "mode": "INPUT", "data": "0,x", "encoding": "CSV",
    }  # fmt: skip
    assert first["captureData"]["endpointOutput"]["data"] == "0.5"
    assert first["eventMetadata"]["inferenceId"] == "id-0"
    assert virtual.describe("live")["DataCaptureConfig"]["CaptureStatus"] == "Started"

    virtual.config(virtual.model("n", message="0.6"), DataCaptureConfig={**capture, "DestinationS3Uri": f"{folder}/n"})
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    waiting = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 600}
    virtual.api.UpdateEndpoint(
        EndpointName="live", EndpointConfigName="n", DeploymentConfig={"BlueGreenUpdatePolicy": waiting}
    )
    virtual.cloud.until(lambda: virtual.ask("live", "1,x") == "0.6")
    assert virtual.describe("live")["EndpointStatus"] == "Updating"
    virtual.cloud.let_pass(6)
    prefix = f"{folder}/n/live/AllTraffic/".removeprefix(f"{DATA}/")
    [file] = s3.list_objects_v2(Bucket="boxcar-data", Prefix=prefix)["Contents"]
    line, *_ = s3.get_object(Bucket="boxcar-data", Key=file["Key"])["Body"].read().splitlines()
    assert json.loads(line)["captureData"]["endpointOutput"]["data"] == "0.6", (
        "it is captured as its own configuration says"
    )


def test_instances_count_against_a_quota_until_they_are_given_back(virtual):
    virtual.service.set_limit("ml.m5.large for endpoint usage", 3)
    virtual.config("two", variant(virtual.model("m"), count=2))
    virtual.create("live", "two")
    with pytest.raises(
        ApiError, match=r"'ml\.m5\.large for endpoint usage' is 3 Instances, with current utilization of 2"
    ):
        virtual.api.CreateEndpoint(EndpointName="other", EndpointConfigName="two")
    with pytest.raises(ApiError, match="ResourceLimitExceeded"):
        virtual.api.UpdateEndpoint(EndpointName="live", EndpointConfigName="two")
    assert virtual.describe("live")["EndpointStatus"] == "InService"
    virtual.api.DeleteEndpoint(EndpointName="live")
    virtual.cloud.until(lambda: not virtual.api.ListEndpoints()["Endpoints"])
    assert virtual.service.limits()["ml.m5.large for endpoint usage"]["used"] == 0
    virtual.create("other", "two")


def test_scaling_out_takes_as_long_as_instances_need_and_scaling_in_none(virtual):
    virtual.config(virtual.model("m", provision_seconds=120))
    virtual.api.CreateEndpoint(EndpointName="live", EndpointConfigName="m")
    virtual.cloud.let_pass(121)
    virtual.reached("live", "IN_SERVICE")
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
    virtual.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=wanted)
    told = virtual.describe("live")
    [now] = told["ProductionVariants"]
    assert (told["EndpointStatus"], now["CurrentInstanceCount"], now["DesiredInstanceCount"]) == ("Updating", 1, 3)
    assert now["VariantStatus"][0]["StatusMessage"] == "Scaling out desired instance count to 3."
    with pytest.raises(ApiError, match=r'Cannot update in-progress endpoint "arn:aws:sagemaker:.*:endpoint/live"'):
        virtual.api.DeleteEndpoint(EndpointName="live")
    assert virtual.ask("live") == "x"  # it serves meanwhile
    virtual.cloud.let_pass(121)
    assert virtual.reached("live", "IN_SERVICE")["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]
    virtual.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=wanted)
    assert virtual.reached("live", "IN_SERVICE")["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    with pytest.raises(ApiError, match="must be 1 or more, as the endpoint is not asynchronous"):
        virtual.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=wanted)


def test_a_scaling_that_one_variant_has_no_quota_for_takes_nothing(virtual):
    virtual.service.set_limit("ml.m5.large for endpoint usage", 5)
    virtual.config("ab", variant(virtual.model("a"), "a"), variant(virtual.model("b"), "b"))
    virtual.create("live", "ab")
    wanted = [{"VariantName": name, "DesiredInstanceCount": 3} for name in ("a", "b")]
    with pytest.raises(ApiError, match="ResourceLimitExceeded"):
        virtual.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=wanted)
    assert virtual.service.limits()["ml.m5.large for endpoint usage"]["used"] == 2
    assert virtual.describe("live")["EndpointStatus"] == "InService"


def test_names_that_are_taken_or_unknown(virtual):
    virtual.config(virtual.model("m"))
    with pytest.raises(ApiError, match='Cannot create already existing endpoint configuration "arn:'):
        virtual.config("m")
    with pytest.raises(ApiError, match='Could not find model "arn:aws:sagemaker:eu-west-1:123456789012:model/none"'):
        virtual.config("other", variant("none"))
    with pytest.raises(ApiError, match=r'Could not find endpoint configuration "arn:.*:endpoint-config/none"'):
        virtual.api.CreateEndpoint(EndpointName="live", EndpointConfigName="none")
    virtual.create("live", "m")
    with pytest.raises(ApiError, match=r'Cannot create already existing endpoint "arn:.*:endpoint/live"'):
        virtual.api.CreateEndpoint(EndpointName="live", EndpointConfigName="m")
    with pytest.raises(ApiError, match=r'Could not find endpoint "arn:.*:endpoint/none"'):
        virtual.describe("none")
    assert [each["EndpointName"] for each in virtual.api.ListEndpoints(StatusEquals="InService")["Endpoints"]] == [
        "live"
    ]
    assert virtual.api.DescribeEndpointConfig(EndpointConfigName="m")["ProductionVariants"] == [variant("m")]
    virtual.api.DeleteEndpointConfig(EndpointConfigName="m")
    virtual.api.DeleteModel(ModelName="m")
    assert virtual.ask("live") == "x"  # what is up needs neither
    assert virtual.api.ListEndpointConfigs()["EndpointConfigs"] == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}, "does not implement .*ServerlessConfig"),
        ({"RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE"}}, "write LEAST_OUTSTANDING_REQUESTS"),
    ],
)
def test_what_is_not_there_is_refused_by_name(virtual, config, words):
    with pytest.raises(ApiError, match=words):
        virtual.config("m", variant(virtual.model("m"), **config))


def test_requests_that_the_runtime_refuses(virtual):
    virtual.config(virtual.model("m"))
    virtual.create("live", "m")
    assert virtual.ask("live", "x" * (25 << 20))[:2] == "xx"
    code, message = refusal(virtual, "live", body="x" * ((25 << 20) + 1))
    assert code == "ValidationError" and "length less than or equal to 26214400" in message
    assert refusal(virtual, "live", InferenceId="x" * 65)[0] == "ValidationError"
    assert refusal(virtual, "live", TargetModel="m.tar.gz")[0] == "ValidationError"
    with pytest.raises(ClientError, match="Endpoint live is not asynchronous"):
        virtual.runtime.invoke_endpoint_async(EndpointName="live", InputLocation="s3://boxcar-data/x")
    with pytest.raises(ClientError, match="UnknownOperationException"):
        virtual.runtime.invoke_endpoint_with_response_stream(EndpointName="live", Body=b"x")


def test_an_endpoint_without_capacity_fails_with_the_words_of_aws(virtual):
    virtual.config(virtual.model("m", outcome="CapacityError", provision_seconds=600))
    virtual.api.CreateEndpoint(EndpointName="live", EndpointConfigName="m")
    virtual.cloud.let_pass(601)
    why = virtual.reached("live", "FAILED")["FailureReason"]
    assert why.startswith("Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity")
    assert virtual.service.limits() == {}  # nothing is in use
