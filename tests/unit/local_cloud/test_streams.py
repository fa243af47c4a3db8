"""What Lambda does with the records of a table's stream: batches, windows, retries, halves, dead letters, roles."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import stream_batches, streams
from local.streams import Streams

STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/jobs/stream/2026-01-01T00:00:00.000"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"
ROLE = "arn:aws:iam::000000000000:role/archive"


class Clock:
    now = 1000.0

    def time(self) -> float:
        return self.now


class Source:
    """One stream with one mapping."""

    def __init__(self, mapping: dict[str, Any]) -> None:
        self.mapping = mapping
        self.records: list[dict[str, Any]] = []
        self.forgotten = 0

    def add(self, *names: str, at: float = 1000.0) -> None:
        for name in names:
            self.records.append({"dynamodb": {"SequenceNumber": name, "ApproximateCreationDateTime": at}})

    def mappings(self) -> list[dict[str, Any]]:
        return [self.mapping]

    def begin(self, mapping: dict[str, Any]) -> int:
        return 0

    def range(self, stream_arn: str) -> tuple[int, int]:
        return 0, len(self.records)

    def read(self, stream_arn: str, position: int, limit: int) -> list[dict[str, Any]]:
        return self.records[position : position + limit]

    def forget(self, stream_arn: str, position: int) -> None:
        self.forgotten = position

    def passed(self, records: list[dict[str, Any]], mapping: dict[str, Any]) -> list[dict[str, Any]]:
        return [record for record in records if not record["dynamodb"]["SequenceNumber"].startswith("other")]

    def role(self, mapping: dict[str, Any]) -> str:
        return ROLE


class Cloud:
    """A function that answers as told; every call and every dead letter is kept."""

    endpoint, account, region = "http://127.0.0.1:1", "000000000000", "us-east-1"

    def __init__(self, function: Callable[[list[str]], Any]) -> None:
        self.clock = Clock()
        self.function = function
        self.batches: list[list[str]] = []
        self.dead: list[tuple[str | None, dict[str, Any]]] = []
        self.denied = ""

    def client(self, service: str, role_arn: str | None = None, session: str = "") -> Any:
        cloud = self

        class Client:
            def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
                names = [record["dynamodb"]["SequenceNumber"] for record in json.loads(Payload)["Records"]]
                cloud.batches.append(names)
                answer = cloud.function(names)
                error = {"FunctionError": "Unhandled"} if isinstance(answer, Exception) else {}
                return {**error, "Payload": io.BytesIO(json.dumps(None if error else answer).encode())}

            def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
                cloud.dead.append((role_arn, json.loads(MessageBody)))

            def __getattr__(self, action: str) -> Any:
                def call(**arguments: Any) -> dict[str, Any]:
                    if action == cloud.denied:
                        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, action)
                    return {"ShardIterator": "i"}

                return call

        return Client()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(stream_batches, "RETRY_SECONDS", 0.0)


class Scene:
    def __init__(self, function: Callable[[list[str]], Any], **settings: Any) -> None:
        mapping = {"UUID": "one", "EventSourceArn": STREAM, "FunctionName": "f", "FunctionArn": "f", "BatchSize": 100}
        self.cloud = Cloud(function)
        self.source = Source({**mapping, **settings})
        self.streams = Streams(self.cloud, self.source, lambda now, table: 0)  # type: ignore[arg-type]

    def run(self, polls: int = 1) -> list[list[str]]:
        """Poll, wait for what that began, and say which batches the function has had."""
        for _ in range(polls):
            self.streams.poll()
            reader = self.streams._readers["one"]
            while reader.busy:
                pass
        return self.cloud.batches

    def buried(self) -> list[tuple[str, str, int]]:
        told = [letter["DDBStreamBatchInfo"] for _, letter in self.cloud.dead]
        return [(info["startSequenceNumber"], info["endSequenceNumber"], info["batchSize"]) for info in told]


REPORTS = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
BURIES = {"DestinationConfig": {"OnFailure": {"Destination": DEAD}}}


def fails_with(*bad: str) -> Callable[[list[str]], Any]:
    return lambda names: ValueError("poison") if set(names) & set(bad) else None


def reports(*bad: str) -> Callable[[list[str]], Any]:
    return lambda names: {"batchItemFailures": [{"itemIdentifier": name} for name in names if name in bad]}


def test_what_the_filter_lets_through_is_handed_on_in_order() -> None:
    scene = Scene(lambda names: None, BatchSize=2)
    scene.source.add("1", "other", "2", "3")
    assert scene.run(polls=3) == [["1"], ["2", "3"]]


def test_a_window_gathers_until_it_is_over_or_the_batch_is_full() -> None:
    scene = Scene(lambda names: None, BatchSize=3, MaximumBatchingWindowInSeconds="60")
    scene.source.add("1")
    assert scene.run() == []
    scene.cloud.clock.now += 59
    scene.source.add("2")
    assert scene.run() == []
    scene.cloud.clock.now += 1
    assert scene.run() == [["1", "2"]]
    scene.source.add("3", "4", "5")
    assert scene.run()[1:] == [["3", "4", "5"]]


def test_a_batch_is_cut_where_lambdas_payload_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAYLOAD_BYTES", 250)
    scene = Scene(lambda names: None)
    scene.source.add("1", "2", "3", "4", "5")
    assert scene.run(polls=4) == [["1", "2", "3"], ["4", "5"]]


def test_a_batch_that_fails_comes_again_until_it_does_not() -> None:
    answers = iter([ValueError(), ValueError(), None])
    scene = Scene(lambda names: next(answers), MaximumRetryAttempts=5, **BURIES)
    scene.source.add("1", "2")
    assert scene.run() == [["1", "2"]] * 3
    assert scene.cloud.dead == []


def test_retries_that_are_used_up_end_in_the_dead_letters_and_what_follows_goes_on() -> None:
    scene = Scene(fails_with("2"), MaximumRetryAttempts=2, BatchSize=2, **BURIES)
    scene.source.add("1", "2", "3")
    assert scene.run(polls=2) == [["1", "2"]] * 3 + [["3"]]
    assert scene.buried() == [("1", "2", 2)]
    [(role, letter)] = scene.cloud.dead
    assert role == ROLE
    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert letter["requestContext"]["approximateInvokeCount"] == 3
    assert letter["DDBStreamBatchInfo"]["streamArn"] == STREAM


def test_halving_finds_the_one_record_and_uses_up_no_retries() -> None:
    scene = Scene(fails_with("3"), MaximumRetryAttempts=1, BisectBatchOnFunctionError="true", **BURIES)
    scene.source.add("1", "2", "3", "4", "5")
    done = scene.run()
    assert done == [["1", "2", "3", "4", "5"], ["1", "2", "3"], ["1", "2"], ["3"], ["3"], ["4", "5"]]
    assert scene.buried() == [("3", "3", 1)]


def test_a_reported_failure_is_where_it_goes_on() -> None:
    scene = Scene(reports("3", "4"), MaximumRetryAttempts=1, **REPORTS, **BURIES)
    scene.source.add("1", "2", "3", "4", "5")
    assert scene.run() == [["1", "2", "3", "4", "5"], ["3", "4", "5"]]
    assert scene.buried() == [("3", "5", 3)]


def test_a_report_counts_only_where_the_mapping_says_so() -> None:
    scene = Scene(reports("1"), MaximumRetryAttempts=1, **BURIES)
    scene.source.add("1")
    assert scene.run() == [["1"]]
    assert scene.cloud.dead == []


@pytest.mark.parametrize("identifier", ["", None, "of another batch"])
def test_a_report_that_names_nothing_known_fails_the_whole_batch(identifier: str | None) -> None:
    answers = iter([{"batchItemFailures": [{"itemIdentifier": identifier}]}, {}])
    scene = Scene(lambda names: next(answers), **REPORTS)
    scene.source.add("1", "2")
    assert scene.run() == [["1", "2"], ["1", "2"]]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_report_is_a_success(answer: Any) -> None:
    scene = Scene(lambda names: answer, **REPORTS)
    scene.source.add("1")
    assert scene.run(polls=2) == [["1"]]


def test_what_is_too_old_is_not_tried() -> None:
    scene = Scene(lambda names: None, MaximumRecordAgeInSeconds=60, **BURIES)
    scene.source.add("old", at=900.0)
    scene.source.add("new", at=950.0)
    assert scene.run() == [["new"]]
    assert scene.buried() == [("old", "old", 1)]


def test_a_role_that_may_not_read_the_stream_gets_nothing_until_it_may() -> None:
    scene = Scene(lambda names: None)
    scene.source.add("1")
    scene.cloud.denied = "get_records"
    assert scene.run() == []
    assert scene.source.mapping["LastProcessingResult"] == "PROBLEM: no"
    scene.cloud.denied = ""
    assert scene.run() == [["1"]]


def test_records_that_nobody_needs_are_let_go() -> None:
    scene = Scene(lambda names: None, BatchSize=2000)
    scene.source.add(*map(str, range(1500)))
    scene.run()
    assert scene.source.forgotten == 500
