"""From an upload under async/input/ to a request in the endpoint's queue, once."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from boxcar.documents.endings import Endings
from boxcar.documents.limits import check_size, content_type
from boxcar.documents.record import Document, Documents
from boxcar.errors import DocumentFailed, DocumentRefused

QUEUE_S = 21_600  # that a request may wait: SageMaker's default, since an endpoint may have to find instances first
INVOCATION_S = 3_600  # that a model may take for one document: the most SageMaker allows
OVERDUE_S = QUEUE_S + INVOCATION_S + 900  # then no answer will come any more


@dataclass(frozen=True)
class Endpoint:
    """Where documents go."""

    name: str
    bucket: str
    most_bytes: int


class Sending:
    """Sends documents to one endpoint."""

    def __init__(self, s3: Any, runtime: Any, documents: Documents, endings: Endings, endpoint: Endpoint) -> None:
        self._s3 = s3
        self._runtime = runtime
        self._documents = documents
        self._endings = endings
        self._endpoint = endpoint

    def send(self, key: str, sequencer: str) -> str:
        """Send one upload; answer "sent", "refused", "known" for an event that came again, or "folder" for none at all.

        Args:
            key: of the object.
            sequencer: of the event, which is the same whenever S3 tells of this upload.

        Raises:
            StillBeingSentError: another invocation is at it.
            ClientError: the endpoint cannot take it now; the event should come back.
        """
        if key.endswith("/"):  # what S3's console makes for a folder
            return "folder"
        document = self._documents.claim(key, sequencer, OVERDUE_S)
        if document is None:
            return "known"
        try:
            kind = self._looked_at(key)
        except DocumentRefused as refusal:
            self._endings.fail(document, refusal)
            return "refused"
        try:
            accepted = self._runtime.invoke_endpoint_async(
                EndpointName=self._endpoint.name,
                InputLocation=f"s3://{self._endpoint.bucket}/{key}",
                ContentType=kind,
                Accept="application/json",
                InferenceId=document.id,
                RequestTTLSeconds=QUEUE_S,
                InvocationTimeoutSeconds=INVOCATION_S,
            )
        except ClientError:
            self._documents.give_back(document)
            raise
        self._documents.note_sent(document, accepted["OutputLocation"], accepted.get("FailureLocation", ""))
        return "sent"

    def sweep(self) -> dict[str, int]:
        """See to documents of which nobody heard in time; answer how many were answered after all, and how many not."""
        found = {"answered": 0, "failed": 0}
        for document in self._documents.overdue():
            if self._endings.said(document.answer) is not None:  # the notice of it was lost
                self._endings.answer(document, document.answer)
                self._endings.tell_answered([document])
                found["answered"] += 1
            else:
                self._endings.fail(document, self._unanswered(document))
                found["failed"] += 1
        return found

    def _unanswered(self, document: Document) -> DocumentFailed:
        words = self._endings.said(document.failure) if document.failure else None
        told = f"the model said: {words}" if words else "the endpoint was deleted, or the notice of it was lost"
        return DocumentFailed(f"{document.key}: no answer within {OVERDUE_S} s; {told}")

    def _looked_at(self, key: str) -> str:
        if not key.isascii() or len(key) > 900:
            raise DocumentRefused(f"{key}: the name cannot stand in a request; use at most 900 ASCII characters")
        try:
            head = self._s3.head_object(Bucket=self._endpoint.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            raise DocumentRefused(f"{key}: was deleted before it was read; upload it again") from None
        check_size(key, head["ContentLength"], self._endpoint.most_bytes)
        return content_type(key, head.get("ContentType", ""))
