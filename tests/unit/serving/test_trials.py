"""What a trial has left: the outcomes of both versions are those of the same hours, however many requests there were."""

import json
from typing import Any

import pytest

from boxcar.serving.spec import Serving, Split
from boxcar.serving.trials import Looker
from tests.unit.serving.conftest import NAME
from tests.unit.serving.fakes import FakeCloudWatch
from tests.unit.serving.test_captures import line

SERVING = Serving(split=Split(metric="outcome"))


def ask(s3: Any, variant: str, seconds: range) -> None:
    """A request each second, whose outcome is the second; a file for every ten."""
    for begin in range(seconds.start, seconds.stop, 10):
        some = [each for each in seconds if begin <= each < begin + 10]
        times = [f"2026-11-26T10:00:{each:02}Z" for each in some]
        lines = [
            line("1", "0.5", inferenceId=f"{variant}-{each}", inferenceTime=at)
            for each, at in zip(some, times, strict=True)
        ]
        key = f"capture/trial/{NAME}/{variant}/2026/11/26/10/00-{begin:02}.jsonl"
        s3.put_object(Bucket="data", Key=key, Body="\n".join(lines).encode())
    told = [json.dumps({"inference_id": f"{variant}-{each}", "outcome": each}) for each in seconds]
    s3.put_object(Bucket="data", Key=f"outcomes/{NAME}/{variant}-{seconds.start}", Body="\n".join(told).encode())


def look(s3: Any) -> tuple[list[tuple[int, float]], str]:
    seen = Looker(s3, FakeCloudWatch(), "data", most=25).look(NAME, SERVING, "trial", 0.0, 60.0, (0.5, 0.5))
    return [(one.count, one.mean) for one in seen.outcomes], seen.until


def test_requests_after_the_last_that_is_read_of_one_version_are_left_out_of_both(s3: Any) -> None:
    ask(s3, "AllTraffic", range(20))
    ask(s3, "Challenger", range(5, 20))
    assert look(s3) == ([(20, pytest.approx(9.5)), (15, pytest.approx(12))], "")
    ask(s3, "AllTraffic", range(20, 40))
    ask(s3, "Challenger", range(20, 30))
    found = [(24, pytest.approx(11.5)), (19, pytest.approx(14))], "2026-11-26T10:00:24Z"
    assert look(s3) == found
    ask(s3, "AllTraffic", range(40, 60))
    ask(s3, "Challenger", range(30, 60))
    assert look(s3) == found, "what has been compared once is compared at every look"
