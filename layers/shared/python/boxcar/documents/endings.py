"""How a document ends: its answer under async/output/, or a copy of it under async/failed/ with the reason; and told.

Everything here may be done again: objects are written over, a mail goes out once by its id, and the record is settled
last, so that whoever is killed in between is followed by somebody who ends it.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from boxcar.documents.places import failed_key, output_key, reason_key
from boxcar.documents.record import ANSWERED, FAILED, Document, Documents
from boxcar.errors import BoxcarError

SHOWN = 3  # documents that are named where many are told of
MOST_WORDS = 2000  # bytes of what a model said
_GONE = {"404", "NoSuchKey", "NotFound"}


class Endings:
    """Ends documents of one bucket."""

    def __init__(self, s3: Any, sqs: Any, documents: Documents, bucket: str, alarm_queue_url: str) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._documents = documents
        self._bucket = bucket
        self._alarm_queue_url = alarm_queue_url

    def fail(self, document: Document, why: BoxcarError) -> None:
        """Put a copy of a document and the reason under async/failed/, and tell."""
        source = {"Bucket": self._bucket, "Key": document.key}
        try:
            self._s3.copy_object(Bucket=self._bucket, Key=failed_key(document.key), CopySource=source)
        except ClientError as error:  # gone, or above the 5 GB that one call copies: the reason is what matters
            if error.response["Error"]["Code"] not in _GONE | {"InvalidRequest"}:
                raise
        told = {"document": document.key, "error": type(why).__name__, "reason": str(why)}
        self._s3.put_object(
            Bucket=self._bucket,
            Key=reason_key(document.key),
            Body=json.dumps(told, ensure_ascii=False, indent=2).encode(),
            ContentType="application/json",
        )
        place = f"s3://{self._bucket}/{failed_key(document.key)}"
        self._tell({"kind": "document_failed", "id": document.id, "copy": place, **told})
        self._documents.settle(document.id, FAILED)

    def answer(self, document: Document, address: str) -> None:
        """Put what the endpoint wrote to an S3 address where the sender of a document looks."""
        self._s3.copy_object(
            Bucket=self._bucket,
            Key=output_key(document.key),
            CopySource=_source(address),
            MetadataDirective="REPLACE",
            ContentType="application/json",
        )

    def tell_answered(self, documents: Sequence[Document]) -> None:
        """Tell of documents whose answers are in place, of all of them at once, and settle them."""
        if not documents:
            return
        ids = "\n".join(sorted(document.id for document in documents))
        number = hashlib.sha256(ids.encode()).hexdigest()[:32]
        first = sorted(document.key for document in documents)[:SHOWN]
        message = {"kind": "documents_answered", "id": number, "count": len(documents), "documents": first}
        self._tell({**message, "bucket": self._bucket})
        for document in documents:
            self._documents.settle(document.id, ANSWERED)

    def said(self, address: str) -> str | None:
        """The beginning of what lies at an S3 address; None when nothing does."""
        source = _source(address)
        try:
            body: bytes = self._s3.get_object(**source, Range=f"bytes=0-{MOST_WORDS - 1}")["Body"].read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "InvalidRange":  # an empty object
                return ""
            if code in _GONE:
                return None
            raise
        return body.decode(errors="replace").strip()

    def _tell(self, message: dict[str, Any]) -> None:
        self._sqs.send_message(QueueUrl=self._alarm_queue_url, MessageBody=json.dumps(message))


def _source(address: str) -> dict[str, str]:
    parts = urlsplit(address)
    return {"Bucket": parts.netloc, "Key": parts.path.lstrip("/")}
