"""Jobs that expire, on a deployed stack: from the table by way of its stream into files, and read again from there."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from boxcar.attributes import encode
from cli.job_history import read_archived
from cli.session import Session
from local.client import CloudClient, wait_for
from tests.e2e.deployed import Deployed, copy_of

FUNCTION = "boxcar-archive-jobs"
ROLE = "boxcar-ArchiveJobsRole*"
SUBMITTED = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
DAY = date(2026, 3, 1)
DOCS = Path(__file__).resolve().parents[2] / "docs/job-history.md"


@pytest.fixture(scope="module")
def stack(deployed_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with copy_of(deployed_once, tmp_path_factory.mktemp("cloud")) as deployed:
        yield deployed


@pytest.fixture
def cloud(stack: Deployed) -> Iterator[CloudClient]:
    yield stack.cloud
    stack.cloud.forget_faults()


@pytest.fixture
def session(stack: Deployed) -> Session:
    return stack.session


def put(session: Session, pk: str, **attributes: Any) -> None:
    """Store an item whose time was over a minute ago."""
    values = {"expires": int(time.time()) - 60, **attributes}
    item = {"pk": {"S": pk}, **{name: encode(value) for name, value in values.items()}}
    session.client("dynamodb").put_item(TableName=session.outputs["JobsTableName"], Item=item)


def put_job(session: Session, name: str, **changes: Any) -> None:
    told = {"job": name, "kind": "training", "status": "Completed", "owner": "ann", "tags": {"team": "a"}}
    put(session, f"job#{name}", **{**told, "created_at": SUBMITTED, "seconds": 90.5, "version": 3, **changes})


def expire(session: Session) -> int:
    return session.cloud.expire(session.outputs["JobsTableName"])


def archived(session: Session, *names: str, seconds: float = 30) -> list[dict[str, Any]]:
    """Wait until the jobs of these names are among the archived ones of the day, and return them in that order."""

    def look() -> list[dict[str, Any]] | None:
        found = {job["job"]: job for job in read_archived(session, DAY, DAY)}
        return [found[name] for name in names] if found.keys() >= set(names) else None

    return wait_for(look, seconds, every=0.2, why=f"{names} are not archived")


def dead_letters(session: Session, seconds: float = 30) -> list[dict[str, Any]]:
    """Wait for dead letters, and take them."""
    sqs = session.client("sqs")
    url = sqs.get_queue_url(QueueName="boxcar-archive-dead-letters")["QueueUrl"]
    found = wait_for(
        lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"), seconds, every=0.2
    )
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found]


def run_documented(session: Session, word: str, folder: Path, job: str = "") -> str:
    """Run the program of docs/job-history.md in which a word stands, and return what it prints."""
    [program] = [text for text in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if word in text]
    program = program.replace("<stack>", session.stack).replace("<job>", job)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=session.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_job_that_expires_is_found_in_the_archive(session: Session) -> None:
    put_job(session, "expired")
    put_job(session, "kept", expires=int(time.time()) + 3600)
    assert expire(session) == 1
    [job] = archived(session, "expired")
    assert (job["owner"], job["tags"], job["seconds"]) == ("ann", {"team": "a"}, 90.5)
    assert job["created_at"] == "2026-03-01T12:00:00.000Z"
    assert [job["job"] for job in read_archived(session, DAY, DAY)] == ["expired"]


def test_only_jobs_that_expired_are_archived(session: Session) -> None:
    put_job(session, "deleted")
    session.client("dynamodb").delete_item(TableName=session.outputs["JobsTableName"], Key={"pk": {"S": "job#deleted"}})
    put(session, "trigger#one")
    put_job(session, "behind")
    assert expire(session) == 2
    archived(session, "behind")
    assert "deleted" not in {job["job"] for job in read_archived(session, DAY, DAY)}
    listed = session.client("s3").list_objects_v2(Bucket=session.outputs["BucketName"], Prefix="history/unreadable/")
    assert listed["KeyCount"] == 0


def test_jobs_that_expire_together_are_one_file(session: Session) -> None:
    day = date(2026, 3, 2)
    for number in range(5):
        put_job(session, f"together-{number}", created_at=SUBMITTED + 86400)
    assert expire(session) == 5
    wait_for(lambda: len(read_archived(session, day, day)) == 5, every=0.2)
    prefix = f"history/jobs/day={day}/"
    listed = session.client("s3").list_objects_v2(Bucket=session.outputs["BucketName"], Prefix=prefix)
    assert listed["KeyCount"] == 1


def test_a_poisoned_record_is_kept_and_told_and_the_others_go_on(session: Session) -> None:
    put_job(session, "before")
    put_job(session, "poisoned", created_at="yesterday")
    put_job(session, "after")
    expire(session)
    archived(session, "before", "after")
    [letter] = dead_letters(session)
    assert letter["reason"] == "job#poisoned: created_at is 'yesterday'; it must be seconds since 1970"
    bucket, _, key = letter["unreadable"].removeprefix("s3://").partition("/")
    kept = json.loads(session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert kept["dynamodb"]["OldImage"]["job"] == {"S": "poisoned"}
    assert kept["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def test_a_record_that_was_put_aside_can_be_archived_when_it_is_mended(session: Session) -> None:
    put_job(session, "mended", created_at="yesterday")
    expire(session)
    [letter] = dead_letters(session)
    bucket, _, key = letter["unreadable"].removeprefix("s3://").partition("/")
    record = json.loads(session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    record["dynamodb"]["OldImage"]["created_at"] = {"N": str(SUBMITTED)}
    told = session.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps({"Records": [record]}))
    assert json.loads(told["Payload"].read()) == {"batchItemFailures": []}
    archived(session, "mended", seconds=2)


def test_while_s3_does_not_answer_records_come_again(session: Session, cloud: CloudClient) -> None:
    cloud.add_fault(service="s3", action="PutObject", caller=ROLE, error="InvalidRequest", count=3)
    put_job(session, "patient")
    expire(session)
    archived(session, "patient")
    assert len(cloud.faults()["fired"]) == 3


def test_records_that_are_given_up_end_in_the_dead_letters_and_can_be_read_again(
    session: Session, cloud: CloudClient, tmp_path: Path
) -> None:
    client = session.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=FUNCTION)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=1)
    try:
        cloud.add_fault(service="s3", action="PutObject", caller=ROLE, deny=True)
        put_job(session, "given-up")
        expire(session)
        [letter] = dead_letters(session)
        assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert letter["requestContext"]["approximateInvokeCount"] == 2
        assert letter["DDBStreamBatchInfo"]["batchSize"] == 1
        cloud.forget_faults()
        put_job(session, "next")
        expire(session)
        archived(session, "next")
        (tmp_path / "letter.json").write_text(json.dumps(letter))
        assert run_documented(session, "dynamodbstreams", tmp_path) == "1 b'{\"batchItemFailures\": []}'\n"
        archived(session, "given-up", seconds=2)
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=50)


def test_a_job_goes_back_into_the_table_as_it_was(session: Session, tmp_path: Path) -> None:
    put_job(session, "restored", attempts=[{"number": 1, "billable_seconds": 1.5}])
    dynamodb, table = session.client("dynamodb"), session.outputs["JobsTableName"]
    key = {"pk": {"S": "job#restored"}}
    before = dynamodb.get_item(TableName=table, Key=key)["Item"]
    expire(session)
    archived(session, "restored")
    s3, bucket = session.client("s3"), session.outputs["BucketName"]
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix="history/jobs/")["Contents"]:
        file = tmp_path / "history-jobs" / entry["Key"].removeprefix("history/jobs/")
        file.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, entry["Key"], str(file))
    run_documented(session, "put_item", tmp_path, job="restored")
    after = dynamodb.get_item(TableName=table, Key=key)["Item"]
    assert int(after.pop("expires")["N"]) > time.time() > int(before.pop("expires")["N"])
    assert after == before


def test_athena_finds_the_files_where_they_are(session: Session) -> None:
    told = session.client("glue").get_table(DatabaseName=session.outputs["HistoryDatabaseName"], Name="jobs")["Table"]
    place = f"s3://{session.outputs['BucketName']}/history/jobs/"
    assert told["StorageDescriptor"]["Location"] == place
    assert told["Parameters"]["storage.location.template"] == place + "day=${day}/"
    assert told["Parameters"]["projection.enabled"] == "true"
