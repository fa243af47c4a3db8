"""Archived jobs, read again: once each, over years of schemas, beside files that are broken."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from boxcar import archive as archives
from boxcar.archive import BIGINT, STRING, TIMESTAMP, Archive, Column, parquet
from boxcar.jobs.documents import summary
from boxcar.jobs.items import to_item
from boxcar.jobs.record import Attempt, Job
from cli.job_history import read_archived
from tests.unit.archive.conftest import CREATED, Bucket, Session, item, record

FIRST = date(2026, 1, 31)
DOCS = Path(__file__).resolve().parents[3] / "docs/job-history.md"


def read(session: Session, first: date = FIRST, last: date = FIRST) -> list[dict[str, Any]]:
    warnings: list[str] = []
    found = read_archived(session, first, last, warnings.append)  # type: ignore[arg-type]
    assert warnings == []
    return found


def test_a_summary_is_that_of_the_jobs_api(archive: Archive, session: Session) -> None:
    archive.take_in([record("1", item(reason="r" * 500, model=None))])
    assert read(session) == [
        {
            "job": "one",
            "run": "ann-one",
            "model": "",
            "step": "train",
            "kind": "training",
            "family": "",
            "owner": "ann",
            "sweep": "depths",
            "tags": {"team": "größe", "week": "5"},
            "status": "Failed",
            "failure": "AlgorithmError",
            "reason": "r" * 199 + "…",
            "priority": 50,
            "instance_type": "ml.m5.large",
            "units": 2,
            "created_at": "2026-01-31T22:30:00.250Z",
            "started": "2026-01-31T22:31:00.250Z",
            "ended": "2026-01-31T23:31:00.750Z",
            "seconds": 3600.5,
            "billable_seconds": 7201.0,
            "attempt": 2,
            "waiting_for": "",
        }
    ]


def test_a_job_that_was_archived_in_several_portions_is_one(archive: Archive, session: Session, bucket: Bucket) -> None:
    batch = [record("1", item()), record("2", item("two"))]
    archive.take_in(batch)
    archive.take_in(batch[1:])
    archive.take_in([record("9", item("two", version=8, status="Completed"))])
    assert len(bucket.files()) == 3
    assert [(job["job"], job["status"]) for job in read(session)] == [("one", "Failed"), ("two", "Completed")]


def test_a_name_that_was_used_again_is_another_job(archive: Archive, session: Session) -> None:
    archive.take_in([record("1", item()), record("2", item(created_at=CREATED + 5, version=1))])
    assert len(read(session)) == 2


def test_only_the_days_that_were_asked_for_are_fetched(
    archive: Archive, session: Session, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(5):
        archive.take_in([record(str(day), item(f"day-{day}", created_at=CREATED + day * 86400))])
    fetched = []
    download = bucket.download_file
    monkeypatch.setattr(bucket, "download_file", lambda *where: fetched.append(where[1]) or download(*where))
    found = read(session, date(2026, 2, 1), date(2026, 2, 3))
    assert [job["job"] for job in found] == ["day-1", "day-2", "day-3"]
    assert len(fetched) == 3


def test_days_without_files_are_days_without_jobs(archive: Archive, session: Session) -> None:
    assert read(session) == []
    archive.take_in([record("1", item())])
    assert len(read(session, date(2020, 1, 1), date(2030, 1, 1))) == 1


@pytest.mark.parametrize("kept", [0, 10, 200, -1, -6])
def test_a_file_that_is_half_there_is_named_and_the_rest_is_read(
    archive: Archive, session: Session, bucket: Bucket, kept: int, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.take_in([record("1", item("broken"))])
    [broken] = bucket.files()
    bucket.objects[broken] = bucket.objects[broken][:kept]
    archive.take_in([record("2", item("whole"))])
    assert [job["job"] for job in read_archived(session, FIRST, FIRST)] == ["whole"]  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert f"s3://data/{broken} cannot be read, its jobs are left out: " in told
    assert told.count("\n") == 1


def test_a_file_that_is_broken_in_its_middle_is_named(archive: Archive, session: Session, bucket: Bucket) -> None:
    archive.take_in([record("1", item("broken"))])
    [broken] = bucket.files()
    content = bytearray(bucket.objects[broken])
    content[4:60] = b"\xff" * 56  # the first column's page
    bucket.objects[broken] = bytes(content)
    warnings: list[str] = []
    assert read_archived(session, FIRST, FIRST, warnings.append) == []  # type: ignore[arg-type]
    assert broken in warnings[0]


def test_files_of_older_and_newer_schemas_are_one_table(
    archive: Archive, session: Session, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = datetime.fromtimestamp(CREATED - 60, UTC)
    old = parquet(
        [Column("job", STRING), Column("created", TIMESTAMP), Column("version", BIGINT)],
        [{"job": "old", "created": created, "version": 1}],
    )
    bucket.objects["history/jobs/day=2026-01-31/old.parquet"] = old
    archive.take_in([record("1", item("now"))])
    monkeypatch.setattr(archives, "COLUMNS", (*archives.COLUMNS, Column("mood", STRING)))
    archive.take_in([record("2", item("new", created_at=CREATED + 60))])
    monkeypatch.undo()
    found = read(session)
    assert [(job["job"], job["status"], job["units"]) for job in found] == [
        ("old", "", 1),
        ("now", "Failed", 2),
        ("new", "Failed", 2),
    ]


def test_files_of_an_old_schema_alone_can_be_read(session: Session, bucket: Bucket) -> None:
    created = datetime.fromtimestamp(CREATED, UTC)
    file = parquet([Column("job", STRING), Column("created", TIMESTAMP)], [{"job": "old", "created": created}])
    bucket.objects["history/jobs/day=2026-01-31/old.parquet"] = file
    [job] = read(session)
    assert (job["job"], job["created_at"], job["tags"]) == ("old", "2026-01-31T22:30:00.250Z", {})


def test_an_archived_job_is_summed_up_as_it_was_in_the_table(archive: Archive, session: Session) -> None:
    """Between the two, `stats` must see no difference."""
    first = Attempt(number=1, name="b-ann-1-1", pool="spot/ml.m5.large", launched=CREATED + 1, units=2)
    job = Job(
        id="b-ann-1",
        run="ann-1",
        model="",
        step="train",
        kind="training",
        family="",
        owner="ann",
        priority=50,
        document='{"kind": "training"}',
        pools=("spot/ml.m5.large", "training/ml.m5.large"),
        units=2,
        inputs={"train": "s3://data/train/"},
        max_runtime_s=3600,
        max_attempts=3,
        max_wait_s=86400,
        created=CREATED,
        not_before=CREATED,
        waiting_since=CREATED,
        sweep="depths",
        tags={"team": "a"},
        status="Failed",
        version=9,
        attempt=1,
        attempts=(replace(first, arn="arn:aws:sagemaker:x", started=CREATED + 60, ended=CREATED + 90.25),),
        failure="AlgorithmError",
        reason="r" * 300,
        started=CREATED + 60,
        ended=CREATED + 90.25,
        seconds=30.25,
        billable_seconds=31.0,
        expires=CREATED + 90 * 86400,
    )
    stored = to_item(job)
    archive.take_in([record("1", stored)])
    assert read(session) == [summary(stored).model_dump()]


def test_the_questions_of_the_docs_have_answers(archive: Archive, bucket: Bucket, tmp_path: Path) -> None:
    """DuckDB runs both; Athena's SQL is near enough for that but for its name of one function."""
    later = item("two", created_at=CREATED + 7 * 86400, status="Completed", version=2)
    archive.take_in([record("1", item()), record("2", later)])
    archive.take_in([record("2", later)])
    for key in bucket.files():
        file = tmp_path / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bucket.objects[key])
    files = f"{tmp_path}/history/jobs/*/*.parquet"
    connection = duckdb.connect()
    connection.execute(
        "CREATE SCHEMA boxcar_history; CREATE MACRO json_extract_scalar(j, p) AS json_extract_string(j, p)"
    )
    connection.execute(
        f"CREATE VIEW boxcar_history.jobs AS FROM read_parquet('{files}', union_by_name = true, hive_partitioning = true)"
    )
    own, athena = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
    answered = connection.execute(own.replace("history-jobs/*/*.parquet", files)).fetchall()
    assert [row[1:5] for row in answered] == [("ann", 1, 0, 4.0), ("ann", 1, 1, 4.0)]
    assert connection.execute(athena).fetchall() == [(FIRST, "ann", "AlgorithmError", 1, "größe")]
