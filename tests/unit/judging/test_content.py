"""One digest for what lies at an address."""

from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.content import content_digest

BUCKET = "boxcar-data"


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def put(s3: Any, files: dict[str, bytes]) -> None:
    for key, body in files.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def test_the_same_files_in_another_folder_have_the_same_digest(s3):
    put(s3, {"runs/a/data/0000_part_00.parquet": b"rows", "runs/a/data/0001_part_00.parquet": b"more"})
    put(s3, {"runs/b/data/0001_part_00.parquet": b"more", "runs/b/data/0000_part_00.parquet": b"rows"})
    one, other = (content_digest(s3, f"s3://{BUCKET}/runs/{run}/data/") for run in "ab")
    assert one == other
    assert (one.files, one.bytes, len(one.digest)) == (2, 8, 64)
    assert content_digest(s3, f"s3://{BUCKET}/runs/a/data") == one, "with and without the slash at the end"


@pytest.mark.parametrize(
    "changed",
    [
        {"b/0": b"rowS"},  # other bytes, same size
        {"b/1": b"rows"},  # another name
        {"b/0": b"rows", "b/1": b""},  # one file more, even an empty one
        {"b/0": b"row", "b/00": b"s"},
    ],
)
def test_a_file_that_differs_in_anything_makes_another_digest(s3, changed):
    put(s3, {"a/0": b"rows", **changed})
    assert content_digest(s3, f"s3://{BUCKET}/a/").digest != content_digest(s3, f"s3://{BUCKET}/b/").digest


def test_neighbours_whose_names_begin_alike_do_not_count(s3):
    put(s3, {"m/model.tar.gz": b"model", "n/model.tar.gz": b"model", "n/model.tar.gz.old": b"old"})
    put(s3, {"m/data/0": b"rows", "n/data/0": b"rows", "n/data-2/0": b"rows"})
    for name in ("model.tar.gz", "data", "data/"):
        assert content_digest(s3, f"s3://{BUCKET}/m/{name}") == content_digest(s3, f"s3://{BUCKET}/n/{name}")
    assert content_digest(s3, f"s3://{BUCKET}/n/model.tar.gz").files == 1


def test_an_empty_folder_is_zero_files_and_no_error(s3):
    assert content_digest(s3, f"s3://{BUCKET}/runs/none/").files == 0


def test_every_page_of_a_long_listing_counts(s3):
    one_at_a_time = lambda params, **_: params.update(MaxKeys=1)  # noqa: E731
    s3.meta.events.register("before-parameter-build.s3.ListObjectsV2", one_at_a_time)
    put(s3, {"a/0": b"x", "a/1": b"x", "a/2": b"x"})
    before = content_digest(s3, f"s3://{BUCKET}/a/")
    put(s3, {"a/2": b"y"})
    assert before.files == 3
    assert content_digest(s3, f"s3://{BUCKET}/a/").digest != before.digest
