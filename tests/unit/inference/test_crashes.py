"""Killed at every call of the load path and started again, a load leaves the same tables."""

import boto3

from tests.unit.inference.crashes import crash_everywhere


def test_a_load_that_is_killed_at_any_call_leaves_the_same_tables(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="data")
    found = crash_everywhere(tmp_path, every=4)  # `make bench NAME=load_crash` leaves none out
    assert found.differences == []
    assert found.kills > 9, "the kill never came near the end of a load"
