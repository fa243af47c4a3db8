"""What is measured never gets in the way of what is done."""

import logging
from typing import Any

import pytest

from local.measures import Measures


class Broken:
    """A CloudWatch whose files are closed."""

    @property
    def vended(self) -> Any:
        raise ValueError("closed")

    def put_log_events(self, body: bytes) -> None:
        raise ValueError("closed")


def measure_everything(measures: Measures) -> None:
    measures.event("aws.states", "Step Functions Execution Status Change", {})
    measures.invocation("plan", "/aws/lambda/plan", 0.1, False, False, "log")
    measures.delivery("arn:aws:events:us-east-1:000000000000:rule/x", "delivered")
    measures.queue("work", "NumberOfMessagesSent", 1)
    measures.log_events(b'{"logEvents": [{"message": "CloudWatchMetrics"}]}')


def test_a_cloud_without_cloudwatch_measures_nothing() -> None:
    measure_everything(Measures({}))


def test_a_cloudwatch_that_fails_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        measure_everything(Measures({"monitoring": Broken()}))  # type: ignore[dict-item]
    assert [record.message for record in caplog.records] == ["not measured: ValueError: closed"] * 6
