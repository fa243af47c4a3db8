"""The wire: requests of three protocols mean the same, and answers can be read by botocore's own parsers."""

import datetime
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from local.cloudwatch import cbor
from tests.unit.cloudwatch.conftest import START, World

MODEL = botocore.session.get_session().get_service_model("cloudwatch")
PROTOCOLS = ("smithy-rpc-v2-cbor", "json", "query")


def ask(world: World, protocol: str, action: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    operation = MODEL.operation_model(action)
    sent = create_serializer(protocol).serialize_to_request(request, operation)
    body = urlencode(sent["body"]).encode() if isinstance(sent["body"], dict) else sent["body"]
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    status, told, answer = world.service.http("POST", sent["url_path"], headers, body, {})
    response = {"status_code": status, "headers": {name.lower(): value for name, value in told.items()}, "body": answer}
    return status, create_parser(protocol).parse(response, operation.output_shape)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_in_every_protocol(world: World, protocol: str) -> None:
    at = datetime.datetime.fromtimestamp(START, datetime.UTC)
    dimensions = [{"Name": "Queue", "Value": "a & <b>"}]
    datum = {
        "MetricName": "Lost",
        "Dimensions": dimensions,
        "Timestamp": at,
        "Values": [1.0, 2.5],
        "Counts": [2.0, 1.0],
    }
    assert ask(world, protocol, "PutMetricData", {"Namespace": "Test", "MetricData": [datum]})[0] == 200
    request = {
        "Namespace": "Test",
        "MetricName": "Lost",
        "Dimensions": dimensions,
        "StartTime": at,
        "EndTime": at + datetime.timedelta(minutes=1),
        "Period": 60,
        "Statistics": ["Sum", "SampleCount"],
    }
    _, told = ask(world, protocol, "GetMetricStatistics", request)
    [point] = told["Datapoints"]
    assert (point["Sum"], point["SampleCount"], point["Timestamp"]) == (4.5, 3.0, at)
    alarm = {
        "AlarmName": "lost",
        "Namespace": "Test",
        "MetricName": "Lost",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "ActionsEnabled": False,
    }
    assert ask(world, protocol, "PutMetricAlarm", alarm)[0] == 200
    _, told = ask(world, protocol, "DescribeAlarms", {})
    [found] = told["MetricAlarms"]
    assert (found["Threshold"], found["ActionsEnabled"], found["OKActions"]) == (1.0, False, [])
    assert isinstance(found["Threshold"], float)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_errors_have_the_names_that_clients_catch(world: World, protocol: str) -> None:
    status, told = ask(world, protocol, "DeleteAlarms", {"AlarmNames": ["none"]})
    assert (status, told["Error"]["Code"]) == (404, "ResourceNotFound")
    status, told = ask(world, protocol, "PutAnomalyDetector", {})
    assert (status, told["Error"]["Code"]) == (400, "InvalidAction")
    assert "write an alarm with a Threshold" in told["Error"]["Message"]


def test_an_action_that_cloudwatch_does_not_have(world: World) -> None:
    status, _, answer = world.service.http("POST", "/", {}, b"Action=PutMetric", {})
    assert (status, b"Could not find operation PutMetric" in answer) == (400, True)


@pytest.mark.parametrize("body", [b"\xff\xff", b"\x19", b"\xa1\x61"])
def test_a_body_that_is_no_cbor(world: World, body: bytes) -> None:
    path = "/service/GraniteServiceVersion20100801/operation/ListMetrics"
    status, _, answer = world.service.http("POST", path, {}, body, {})
    assert (status, cbor.loads(answer)["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("value", "data"),
    [
        # from RFC 8949, appendix A
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (1000000000000, "1b000000e8d4a51000"),
        (-1, "20"),
        (-1000, "3903e7"),
        (1.1, "fb3ff199999999999a"),
        (False, "f4"),
        (None, "f6"),
        ("ü", "62c3bc"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ([1, [2, 3], [4, 5]], "8301820203820405"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    ],
)
def test_cbor_is_that_of_the_rfc(value: object, data: str) -> None:
    assert cbor.loads(bytes.fromhex(data)) == value
    assert cbor.dumps(value).hex() == data


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("f93e00", 1.5),
        ("fa47c35000", 100000.0),
        ("c11a514b67b0", 1363896240),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("7f657374726561646d696e67ff", "streaming"),
    ],
)
def test_cbor_that_others_write(data: str, value: object) -> None:
    assert cbor.loads(bytes.fromhex(data)) == value
