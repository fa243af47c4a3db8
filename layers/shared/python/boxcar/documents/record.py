"""What became of each document: an item `document#<id>` in the jobs table.

A document is Sending while somebody asks the endpoint, Sent while the endpoint has it, then Answered or Failed. Events
come more than once, and an answer may come before whoever asked has noted that he did; so each change says what it
expects to find.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from boxcar.alarms import told
from boxcar.attributes import decode_all, encode_all
from boxcar.jobs.record import iso

LEASE_S = 90  # longer than the function that sends may run
KEPT_S = 30 * 86400
PARTITION = "Documents"  # of the index by_queue: those that are not answered
SENDING, SENT, ANSWERED, FAILED = "Sending", "Sent", "Answered", "Failed"


class StillBeingSentError(Exception):
    """Another invocation is asking the endpoint. The queue will bring the event back."""


@dataclass(frozen=True)
class Document:
    """One version of one object under async/input/."""

    id: str
    key: str
    sent: float  # seconds since the epoch
    status: str = SENDING
    answer: str = ""  # S3 address where SageMaker writes what the model answers
    failure: str = ""  # … or what it said when it failed


def document_id(key: str, sequencer: str) -> str:
    """The same for every event about one upload; another for the next upload to the same key."""
    return hashlib.sha256(f"{key}\n{sequencer}".encode()).hexdigest()[:40]


class Documents:
    """The items."""

    def __init__(self, dynamodb: Any, table: str, now: Callable[[], float] = time.time) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._now = now

    def claim(self, key: str, sequencer: str, overdue_s: float) -> Document | None:
        """Claim a document for sending; None when it was sent.

        Args:
            key: of the object.
            sequencer: S3's, of the event.
            overdue_s: seconds after which the sweep asks where the answer is.

        Raises:
            StillBeingSentError: somebody else has claimed it, and may yet be alive.
        """
        number, now = document_id(key, sequencer), self._now()
        try:
            self._update(
                number,
                "SET #status = :sending, lease = :until, document = :key, sent = :now, expires = :expires, "
                "#queue = :queue, due = :due",
                "attribute_not_exists(pk) OR (#status = :sending AND lease <= :now)",
                {
                    ":sending": SENDING,
                    ":until": now + LEASE_S,
                    ":key": key,
                    ":now": now,
                    ":expires": int(now + KEPT_S),
                    ":queue": PARTITION,
                    ":due": iso(now + overdue_s),
                },
                {"#queue": "queue"},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            known = self.find(number)
            if known is not None and known.status == SENDING:
                raise StillBeingSentError(f"document {key}: another invocation is sending it") from None
            return None
        return Document(number, key, now)

    def give_back(self, document: Document) -> None:
        """The endpoint did not take it: whoever gets the event again may try at once."""
        self._update(document.id, "SET lease = :over", "#status = :sending", {":over": 0, ":sending": SENDING})

    def note_sent(self, document: Document, answer: str, failure: str) -> None:
        """The endpoint has it, and will write to one of two S3 addresses. An answer that came sooner stays."""
        try:
            self._update(
                document.id,
                "SET #status = :sent, answer = :answer, failure = :failure REMOVE lease",
                "#status = :sending",
                {":sent": SENT, ":sending": SENDING, ":answer": answer, ":failure": failure},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def settle(self, number: str, status: str) -> bool:
        """It is Answered or Failed; False when that was known."""
        try:
            self._update(
                number,
                "SET #status = :status, ended = :now REMOVE lease, #queue, due",
                "#status IN (:sending, :sent)",
                {":status": status, ":now": self._now(), ":sending": SENDING, ":sent": SENT},
                {"#queue": "queue"},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def find(self, number: str) -> Document | None:
        """One document, as it is now."""
        item = self._dynamodb.get_item(
            TableName=self._table, Key={"pk": {"S": f"document#{number}"}}, ConsistentRead=True
        ).get("Item")
        return _read(item) if item else None

    def overdue(self) -> Iterator[Document]:
        """Those that the endpoint has, and whose answer should have come. One that was not sent is a dead letter."""
        for item in told.read(self._dynamodb, self._table, PARTITION, iso(self._now())):
            if (document := _read(item)).status == SENT:
                yield document

    def _update(
        self, number: str, change: str, condition: str, values: dict[str, Any], names: dict[str, str] | None = None
    ) -> None:
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"pk": {"S": f"document#{number}"}},
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#status": "status", **(names or {})},
            ExpressionAttributeValues=encode_all(values),
        )


def _read(item: dict[str, Any]) -> Document:
    found = decode_all(item)
    return Document(
        found["pk"].removeprefix("document#"),
        found["document"],
        float(found["sent"]),
        found["status"],
        found.get("answer", ""),
        found.get("failure", ""),
    )
