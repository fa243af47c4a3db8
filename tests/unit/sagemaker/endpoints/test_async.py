"""Asynchronous endpoints in virtual time: the queue, results, notices, measures; and one with a real container."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.client import wait_for
from local.service import ApiError
from tests.unit.sagemaker.conftest import DENIED, archive
from tests.unit.sagemaker.endpoints.conftest import (
    FAILURE,
    SUCCESS,
    Endpoints,
    VirtualEndpoints,
    container_model,
    variant,
)
from tests.unit.sagemaker.endpoints.test_containers import SERVE


def asynchronous(folder: str, concurrent: int = 1, **notify: Any) -> dict[str, Any]:
    output = {
        "S3OutputPath": f"{folder}/output",
        "S3FailurePath": f"{folder}/failed",
        "NotificationConfig": {"SuccessTopic": SUCCESS, "ErrorTopic": FAILURE, **notify},
    }
    return {"OutputConfig": output, "ClientConfig": {"MaxConcurrentInvocationsPerInstance": concurrent}}


@pytest.fixture
def made(virtual: VirtualEndpoints, folder: str):
    """Make an asynchronous endpoint of a simulated model and name it `live`."""

    def make(
        count: int = 1, concurrent: int = 1, notify: dict[str, Any] | None = None, **course: Any
    ) -> VirtualEndpoints:
        config = asynchronous(folder, concurrent, **(notify or {}))
        virtual.config("c", variant(virtual.model("c", **course)), AsyncInferenceConfig=config)
        virtual.create("live", "c")
        scale(virtual, count)
        return virtual

    return make


def scale(endpoints: Endpoints, count: int) -> None:
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]
    endpoints.api.UpdateEndpointWeightsAndCapacities(EndpointName="live", DesiredWeightsAndCapacities=wanted)


@pytest.fixture
def send(put, folder: str):
    def send_one(endpoints: Endpoints, name: str, text: str = "", **more: Any) -> dict[str, Any]:
        location = put(f"{folder}/input/{name}", text or name)
        return endpoints.runtime.invoke_endpoint_async(
            EndpointName="live", InputLocation=location, ContentType="text/plain", **more
        )

    return send_one


def test_a_result_lies_where_the_answer_said_and_the_topic_is_told(made, send, get, folder):
    live = made(work_seconds=30)
    answer = send(live, "a", "text of a", InferenceId="mine", CustomAttributes="page=1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "mine"
    assert answer["OutputLocation"].startswith(f"{folder}/output/") and answer["OutputLocation"].endswith(".out")
    assert answer["FailureLocation"] == answer["OutputLocation"].replace("/output/", "/failed/").replace(
        ".out", "-error.out"
    )
    live.cloud.until(lambda: live.cloud.messages(SUCCESS))
    assert get(answer["OutputLocation"]) == b"text of a"
    [message] = live.cloud.messages(SUCCESS)
    assert message.pop("eventTime").endswith("Z") and message.pop("receivedTime") == "2026-05-28T20:27:00.000Z"
    assert message == {
        "awsRegion": "eu-west-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/plain",
            "customAttributes": "page=1",
            "endpointName": "live",
            "inputLocation": f"{folder}/input/a",
        },
        "responseParameters": {"contentType": "text/plain", "outputLocation": answer["OutputLocation"]},
        "inferenceId": "mine",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    assert live.total("InvocationsProcessed", EndpointName="live", VariantName="AllTraffic") == 1
    assert live.total("TimeInProgress", EndpointName="live", VariantName="AllTraffic") == 30_000


def test_an_instance_works_on_as_many_as_it_may_and_the_others_wait(made, send):
    live = made(count=2, concurrent=2, work_seconds=60)
    for number in range(10):
        send(live, str(number))
    live.cloud.let_pass(59)
    assert live.cloud.messages(SUCCESS) == []
    assert live.cloud.until(lambda: len(live.cloud.messages(SUCCESS)) == 4) <= 2
    assert live.cloud.until(lambda: len(live.cloud.messages(SUCCESS)) == 10) == pytest.approx(120, abs=3)
    inputs = [message["requestParameters"]["inputLocation"] for message in live.cloud.messages(SUCCESS)]
    assert len(set(inputs)) == 10
    waited = live.total("TimeInBacklog", "Maximum", EndpointName="live", VariantName="AllTraffic")
    assert waited == pytest.approx(120_000, abs=2000)


def test_nothing_is_lost_while_there_is_no_instance_and_the_measures_say_so(made, send):
    live = made(count=0, work_seconds=10)
    for number in range(6):
        send(live, str(number))
    live.cloud.let_pass(61)
    gauges = ("ApproximateBacklogSize", "ApproximateBacklogSizePerInstance", "HasBacklogWithoutCapacity")
    assert [live.total(name, "Maximum", EndpointName="live") for name in gauges] == [6, 6, 1]
    assert 55 <= live.total("ApproximateAgeOfOldestRequest", "Maximum", EndpointName="live") <= 60
    scale(live, 3)
    live.cloud.until(lambda: len(live.cloud.messages(SUCCESS)) == 6, 30)
    live.cloud.let_pass(60)
    now = {name: value for _, name, _, value, _ in live.service.gauges()}
    assert now["ApproximateBacklogSize"] == now["HasBacklogWithoutCapacity"] == 0


def test_an_instance_that_is_scaled_in_finishes_what_it_has(made, send):
    live = made(count=1, work_seconds=100)
    send(live, "a")
    live.cloud.let_pass(10)
    scale(live, 0)
    send(live, "b")
    live.cloud.until(lambda: len(live.cloud.messages(SUCCESS)) == 1, 95)
    live.cloud.let_pass(200)
    assert len(live.cloud.messages(SUCCESS)) == 1
    scale(live, 1)
    live.cloud.until(lambda: len(live.cloud.messages(SUCCESS)) == 2, 110)


def test_a_model_that_fails_leaves_its_words_under_the_failure_path(made, send, get):
    live = made(
        outcome="ClientError", message="too long", notify={"IncludeInferenceResponseIn": ["ERROR_NOTIFICATION_TOPIC"]}
    )
    answer = send(live, "a")
    live.cloud.until(lambda: live.cloud.messages(FAILURE))
    [message] = live.cloud.messages(FAILURE)
    assert message["invocationStatus"] == "Failed"
    assert message["failureReason"] == (
        "ClientError: Received client error (400) from model. See the SageMaker Endpoint logs in your account for more "
        "information."
    )
    assert "responseParameters" not in message
    assert base64.b64decode(message["responseBody"]["content"]) == b"too long"
    assert get(answer["FailureLocation"]) == b"too long"
    assert live.total("InvocationFailures", EndpointName="live", VariantName="AllTraffic") == 1
    assert live.total("Invocation4XXErrors", EndpointName="live", VariantName="AllTraffic") == 1


def test_an_input_that_cannot_be_read_fails_by_itself(made, send, folder):
    live = made()
    live.runtime.invoke_endpoint_async(EndpointName="live", InputLocation=f"{folder}/input/nowhere")
    send(live, "there")
    live.cloud.until(lambda: live.cloud.messages(FAILURE) and live.cloud.messages(SUCCESS))
    assert f"Unable to download object {folder}/input/nowhere" in live.cloud.messages(FAILURE)[0]["failureReason"]
    assert live.total("RequestDownloadFailures", EndpointName="live", VariantName="AllTraffic") == 1


def test_a_model_that_is_too_slow_and_a_request_that_is_too_old(made, send):
    live = made(work_seconds=3000)
    send(live, "slow", InvocationTimeoutSeconds=600)
    send(live, "old", RequestTTLSeconds=300)
    assert live.cloud.until(lambda: live.cloud.messages(FAILURE)) == pytest.approx(300, abs=2)
    assert "in the queue for longer than RequestTTLSeconds = 300" in live.cloud.messages(FAILURE)[0]["failureReason"]
    assert live.total("ExpiredRequests", EndpointName="live", VariantName="AllTraffic") == 1
    assert live.cloud.until(lambda: len(live.cloud.messages(FAILURE)) == 2) == pytest.approx(300, abs=2)
    assert "timed out while waiting for a response" in live.cloud.messages(FAILURE)[1]["failureReason"]


def test_a_topic_that_does_not_answer_loses_no_result(made, send, s3, folder):
    live = made()
    live.cloud.topics.down = True
    answer = send(live, "a")
    live.cloud.until(lambda: live.total("NotificationFailures", EndpointName="live", VariantName="AllTraffic") == 1)
    assert s3.head_object(Bucket="boxcar-data", Key=answer["OutputLocation"].split("/", 3)[3])
    live.cloud.topics.down = False
    send(live, "b")
    live.cloud.until(lambda: live.cloud.messages(SUCCESS))


def test_a_result_that_cannot_be_stored_is_a_failure(virtual, send, folder):
    container = {"Image": virtual.api.DescribeModel(ModelName=virtual.model("x"))["PrimaryContainer"]["Image"]}
    virtual.api.CreateModel(ModelName="denied", ExecutionRoleArn=DENIED, PrimaryContainer=container)
    virtual.config("c", variant("denied"), AsyncInferenceConfig=asynchronous(folder))
    virtual.create("live", "c")
    send(virtual, "a")
    virtual.cloud.until(lambda: virtual.cloud.messages(FAILURE))
    assert "AccessDenied" in virtual.cloud.messages(FAILURE)[0]["failureReason"]


def test_an_update_serves_the_queue_with_the_new_model(made, send, get, folder):
    live = made(count=0)
    answer = send(live, "a")
    live.config("next", variant(live.model("next", message="new")), AsyncInferenceConfig=asynchronous(folder))
    live.cloud.let_pass(1)
    live.api.UpdateEndpoint(EndpointName="live", EndpointConfigName="next")
    live.cloud.until(lambda: live.cloud.messages(SUCCESS))
    assert get(answer["OutputLocation"]) == b"new"


def test_a_deleted_endpoint_takes_its_queue_with_it(made, send):
    live = made(count=0)
    send(live, "a")
    live.cloud.let_pass(1)
    live.api.DeleteEndpoint(EndpointName="live")
    live.cloud.let_pass(1)
    live.create("live", "c")
    live.cloud.let_pass(30)
    assert live.cloud.messages(SUCCESS) == []
    with pytest.raises(ClientError, match="asynchronous; invoke it with InvokeEndpoint"):
        live.ask("live")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"OutputConfig": {}}, "S3OutputPath"),
        ({"ClientConfig": {"MaxConcurrentInvocationsPerInstance": 0}}, "greater than or equal to 1"),
    ],
)
def test_configurations_that_are_refused(virtual, folder, change, words):
    with pytest.raises(ApiError, match=words):
        virtual.config("c", variant(virtual.model("c")), AsyncInferenceConfig={**asynchronous(folder), **change})


def test_requests_that_are_refused(made, send, folder):
    live = made()
    with pytest.raises(ClientError, match="Member must have value less than or equal to 21600"):
        send(live, "a", RequestTTLSeconds=30_000)
    with pytest.raises(ClientError, match="InputLocation must be given"):
        live.runtime.invoke_endpoint_async(EndpointName="live", Body=b"", ContentType="text/plain")
    with pytest.raises(ClientError, match="Endpoint other of account 123456789012 not found"):
        live.runtime.invoke_endpoint_async(EndpointName="other", InputLocation=f"{folder}/input/a")


def container_endpoint(real: Endpoints, put: Any, folder: str, serve: str) -> None:
    """An asynchronous endpoint, `live`, of a real container that doubles what it is sent."""
    data = put(f"{folder}/model.tar.gz", archive(factor="2"))
    model = container_model(real, "m", data, put(f"{folder}/code.tar.gz", archive(serve__py=serve)))
    config = asynchronous(folder)
    del config["OutputConfig"]["NotificationConfig"]
    real.config("c", variant(model), AsyncInferenceConfig=config)
    real.create("live", "c")


def test_a_container_is_asked_and_what_was_accepted_survives_a_restart(real, put, get, send, folder):
    container_endpoint(real, put, folder, SERVE)
    first = send(real, "a", "1,2")
    wait_for(lambda: _there(get, first["OutputLocation"]))
    assert get(first["OutputLocation"]).startswith(b"6.0 ")
    scale(real, 0)
    real.reached("live", "IN_SERVICE")
    second = send(real, "b", "3")
    real.service.close()
    again = Endpoints(real.cloud)
    again.service.warm()
    try:
        wait_for(lambda: again.api.DescribeEndpoint(EndpointName="live")["EndpointStatus"] == "InService")
        wait_for(lambda: [v for _, n, _, v, _ in again.service.gauges() if n == "ApproximateBacklogSize"] == [1.0])
        scale(again, 1)
        wait_for(lambda: _there(get, second["OutputLocation"]))
        assert get(second["OutputLocation"]).startswith(b"6.0 ")
    finally:
        again.service.close()


def test_a_request_that_kills_its_instance_fails_after_three(real, put, get, send, folder, tmp_path: Path):
    kills = SERVE.replace(
        '    return f"', f"    open({str(tmp_path / 'deaths')!r}, 'a').write('x'); os._exit(1)\n    return f\""
    )
    container_endpoint(real, put, folder, kills)
    send(real, "a", "1,2")
    wait_for(lambda: [v for _, n, _, v, _ in real.service.gauges() if n == "ApproximateBacklogSize"] == [0.0])
    assert (tmp_path / "deaths").read_text() == "xxx"


def _there(get: Any, location: str) -> bool:
    try:
        return bool(get(location))
    except ClientError:
        return False


def test_messages_are_one_line_of_json(made, send):
    live = made()
    send(live, "a")
    live.cloud.until(lambda: live.cloud.topics.published)
    text = live.cloud.topics.published[0]["Message"]
    assert "\n" not in text and json.loads(text)["eventName"] == "InferenceResult"
