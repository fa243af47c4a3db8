"""Expired jobs on their way into Parquet files: repeated, in other portions, unreadable, while S3 does not answer."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from samtranslator.yaml_helper import yaml_parse

from boxcar.archive import COLUMNS, SCHEMA, Archive, UnreadableRecord, read_record
from tests.unit.archive.conftest import DAY, Bucket, Queue, item, record

ROOT = Path(__file__).resolve().parents[3]


def rows(bucket: Bucket, key: str, tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / key.replace("/", "_")
    file.write_bytes(bucket.objects[key])
    return pq.ParquetFile(file).read().to_pylist()


def test_a_job_becomes_a_row_with_everything_that_it_was(archive: Archive, bucket: Bucket, tmp_path: Path) -> None:
    image = item()
    assert archive.take_in([record("100", image)]) == []
    [key] = bucket.files()
    assert key.startswith(f"history/jobs/day={DAY}/100-100-")
    [row] = rows(bucket, key, tmp_path)
    assert (row["job"], row["status"], row["units"], row["seconds"]) == ("one", "Failed", 2, 3600.5)
    assert (f"{row['created']}", f"{row['ended']}") == ("2026-01-31 22:30:00.250000", "2026-01-31 23:31:00.750000")
    assert row["model"] is None
    assert json.loads(row["tags"]) == {"team": "größe", "week": "5"}
    assert [attempt["number"] for attempt in json.loads(row["attempts"])] == [1, 2]
    assert json.loads(row["item"]) == image


def test_a_file_holds_the_jobs_of_one_day(archive: Archive, bucket: Bucket) -> None:
    later = item("two", created_at=1_769_904_000.0)  # 2026-02-01T00:00:00Z
    archive.take_in([record("1", item()), record("2", later), record("3", item("three"))])
    assert [key.rpartition("-")[0] for key in bucket.files()] == [
        "history/jobs/day=2026-01-31/1-3",
        "history/jobs/day=2026-02-01/2-2",
    ]


def test_a_batch_that_comes_again_overwrites_its_file(archive: Archive, bucket: Bucket) -> None:
    batch = [record("1", item()), record("2", item("two"))]
    archive.take_in(batch)
    before = dict(bucket.objects)
    archive.take_in(batch)
    assert bucket.puts == 2
    assert bucket.objects == before


def test_other_jobs_between_the_same_numbers_are_another_file(archive: Archive, bucket: Bucket) -> None:
    archive.take_in([record("1", item()), record("3", item("three"))])
    archive.take_in([record("1", item()), record("2", item("two")), record("3", item("three"))])
    assert len(bucket.files()) == 2


def test_what_cannot_be_read_is_kept_and_told_and_holds_nobody_up(
    archive: Archive, bucket: Bucket, queue: Queue, tmp_path: Path
) -> None:
    poison = record("2", item("two", created_at="yesterday"))
    assert archive.take_in([record("1", item()), poison, record("3", item("three"))]) == []
    [key] = bucket.files()
    assert [row["job"] for row in rows(bucket, key, tmp_path)] == ["one", "three"]
    assert json.loads(bucket.objects["history/unreadable/2.json"]) == poison
    [letter] = map(json.loads, queue.letters)
    assert letter["unreadable"] == "s3://data/history/unreadable/2.json"
    assert letter["reason"] == "job#two: created_at is 'yesterday'; it must be seconds since 1970"


def test_what_cannot_be_read_comes_again_while_it_cannot_be_kept(
    archive: Archive, bucket: Bucket, queue: Queue, tmp_path: Path
) -> None:
    batch = [record("1", item()), record("2", item("two", status=None)), record("3", item("three"))]
    bucket.broken = "unreadable"
    assert archive.take_in(batch) == ["2"]
    bucket.broken, queue.is_broken = "", True
    assert archive.take_in(batch) == ["2"]
    assert [row["job"] for row in rows(bucket, bucket.files()[0], tmp_path)] == ["one", "three"]
    queue.is_broken = False
    assert archive.take_in(batch) == []
    assert len(queue.letters) == 1


def test_a_day_that_cannot_be_written_comes_again_and_the_others_are_kept(archive: Archive, bucket: Bucket) -> None:
    other_day = item("two", created_at=1_769_904_000.0)
    bucket.broken = "day=2026-02-01"
    batch = [record("1", item()), record("2", other_day), record("3", item("three"))]
    assert archive.take_in(batch) == ["2"]
    assert len(bucket.files()) == 1
    bucket.broken = ""
    assert archive.take_in(batch[1:]) == []  # Lambda goes on at the first that failed
    assert len(bucket.files(day="2026-02-01")) == 1


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"job": None}, "job is missing"),
        ({"job": 5}, "job is 5; it must be text"),
        ({"created_at": None}, "created_at is missing"),
        ({"created_at": 1e20}, "created_at is .* seconds since 1970"),
        ({"priority": "high"}, "priority is 'high'; it must be a whole number"),
        ({"priority": 1.5}, "priority is 1.5"),
        ({"units": 2**70}, "units is"),
        ({"attempt": True}, "attempt is True"),
        ({"seconds": "long"}, "seconds is 'long'; it must be a number"),
    ],
)
def test_the_attribute_that_is_wrong_is_named(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableRecord, match=f"^job#.*: {message}"):
        read_record(record("1", item(**attributes)))


@pytest.mark.parametrize("image", [None, {}])
def test_a_record_without_the_item_says_what_is_set_wrong(image: dict[str, Any] | None) -> None:
    with pytest.raises(UnreadableRecord, match="StreamViewType to OLD_IMAGE"):
        read_record({"dynamodb": {"SequenceNumber": "1", **({} if image is None else {"OldImage": image})}})


def test_a_value_that_dynamodb_does_not_have() -> None:
    broken = {**item(), "owner": {"X": "ann"}}
    read_record(record("1", broken))  # unknown types are read as they are
    with pytest.raises(UnreadableRecord, match="owner is"):
        read_record(record("1", {**item(), "owner": "ann"}))


def test_attributes_that_a_later_version_adds_are_in_the_item(archive: Archive, bucket: Bucket, tmp_path: Path) -> None:
    archive.take_in([record("1", item(mood="good"))])
    [row] = rows(bucket, bucket.files()[0], tmp_path)
    assert json.loads(row["item"])["mood"] == {"S": "good"}


def test_athena_has_the_columns_of_the_files() -> None:
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    table = resources["HistoryTable"]["Properties"]["TableInput"]
    told = [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]
    types = {"VARCHAR": "string", "BIGINT": "bigint", "DOUBLE": "double", "TIMESTAMP": "timestamp"}
    assert told == [(column.name, types[column.type]) for column in COLUMNS]


def test_the_first_columns_are_those_of_the_first_files() -> None:
    """Fails when a column is renamed, moved or taken away: files of years hold these."""
    assert [source.column for source in SCHEMA] == [
        *("job", "run", "model", "step", "kind", "family", "owner", "sweep", "tags", "status", "failure", "reason"),
        *("priority", "instance_type", "units", "created", "started", "ended", "seconds", "billable_seconds"),
        *("attempt", "attempts", "inputs", "outputs", "document", "version"),
    ]
