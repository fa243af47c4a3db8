"""What becomes of one batch of a stream's records: it is tried, tried again in part or in halves, and given up.

Sources: Lambda developer guide, "Configuring partial batch response with DynamoDB and Lambda" and "Retain discarded
records for a DynamoDB event source"; splitting a batch does not count towards the retry quota. How long AWS waits
before a retry is not documented.
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from local.service import Cloud

logger = logging.getLogger("boxcar.streams")

RETRY_SECONDS = 1.0
SHARD = "shardId-00000000000000000000-00000000"  # MiniStack's only one

Record = dict[str, Any]
Mapping = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A batch, or what is left of it, and how often it was retried."""

    records: list[Record]
    retries: int = 0


class Batches:
    """Hands batches to functions."""

    def __init__(self, cloud: Cloud, role: Callable[[Mapping], str], stop: threading.Event) -> None:
        self._cloud = cloud
        self._role = role
        self._stop = stop

    def deliver(self, mapping: Mapping, batch: list[Record]) -> None:
        """Hand one batch to the function of a mapping until nothing is left of it."""
        parts = [Part(batch)]
        while parts and not self._stop.is_set():
            parts = self._attempt(mapping, parts[0]) + parts[1:]

    def _attempt(self, mapping: Mapping, part: Part) -> list[Part]:
        """Try one part once; return what is still to be done of it."""
        records = self._without_old(mapping, part)
        if not records:
            return []
        error, answer = self._invoke(mapping, records)
        if error is None and "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []):
            left = records[_first_failure(records, answer) :]
        else:
            left = records if error is not None else []
        mapping["LastProcessingResult"] = "OK" if not left else "PROBLEM: Function call failed"
        if not left:
            return []
        if error is not None and len(left) > 1 and _is_on(mapping.get("BisectBatchOnFunctionError")):
            half = (len(left) + 1) // 2
            return [Part(left[:half], part.retries), Part(left[half:], part.retries)]
        most = int(mapping.get("MaximumRetryAttempts", -1))
        if 0 <= most <= part.retries:
            self._bury(mapping, left, "RetryAttemptsExhausted", part.retries + 1, error)
            return []
        self._stop.wait(RETRY_SECONDS)
        return [Part(left, part.retries + 1)]

    def _invoke(self, mapping: Mapping, records: list[Record]) -> tuple[str | None, Any]:
        """Return the function's error, if any, and its answer."""
        try:
            told = self._cloud.client("lambda").invoke(
                FunctionName=mapping["FunctionArn"], Payload=json.dumps({"Records": records}).encode()
            )
        except ClientError as error:
            return error.response["Error"].get("Code", "Unknown"), None
        answer = json.loads(told["Payload"].read() or b"null")
        return (told["FunctionError"], None) if told.get("FunctionError") else (None, answer)

    def _without_old(self, mapping: Mapping, part: Part) -> list[Record]:
        most = float(mapping.get("MaximumRecordAgeInSeconds", -1))
        if most < 0:
            return part.records
        now = self._cloud.clock.time()
        old = [record for record in part.records if now - record["dynamodb"]["ApproximateCreationDateTime"] > most]
        if old:
            self._bury(mapping, old, "MaxRecordAgeExceeded", part.retries, None)
        return [record for record in part.records if record not in old]

    def _bury(
        self, mapping: Mapping, records: list[Record], condition: str, invocations: int, error: str | None
    ) -> None:
        """Tell the on-failure destination where the records were: it does not get the records themselves."""
        queue = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
        logger.error("function %s: %d records given up: %s", mapping["FunctionName"], len(records), condition)
        if queue.split(":")[2:3] != ["sqs"]:
            return
        first, last = records[0]["dynamodb"], records[-1]["dynamodb"]
        told = {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": mapping["FunctionArn"],
                "condition": condition,
                "approximateInvokeCount": invocations,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": error},
            "version": "1.0",
            "timestamp": _iso(self._cloud.clock.time()),
            "DDBStreamBatchInfo": {
                "shardId": SHARD,
                "startSequenceNumber": first["SequenceNumber"],
                "endSequenceNumber": last["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _iso(first["ApproximateCreationDateTime"]),
                "approximateArrivalOfLastRecord": _iso(last["ApproximateCreationDateTime"]),
                "batchSize": len(records),
                "streamArn": mapping["EventSourceArn"],
            },
        }
        account, name = queue.split(":")[4:6]
        try:
            client = self._cloud.client("sqs", self._role(mapping), "stream-reader")
            client.send_message(QueueUrl=f"{self._cloud.endpoint}/{account}/{name}", MessageBody=json.dumps(told))
        except ClientError as failure:
            logger.error("function %s: its dead-letter queue did not take them: %s", mapping["FunctionName"], failure)


def _first_failure(records: list[Record], answer: Any) -> int:
    """Where to go on: behind the last record after a success, at 0 when the answer is not one that Lambda knows."""
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return len(records)
    places = {record["dynamodb"]["SequenceNumber"]: place for place, record in enumerate(records)}
    return min(places.get(str((failure or {}).get("itemIdentifier")), 0) for failure in failures)


def _is_on(value: Any) -> bool:
    """CloudFormation hands booleans on as text."""
    return str(value).lower() == "true"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
