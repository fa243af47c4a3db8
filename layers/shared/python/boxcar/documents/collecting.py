"""From SageMaker's notices to answers that their senders find.

Shape of a notice: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html
"""

from typing import Any

from boxcar.documents.endings import Endings
from boxcar.documents.record import ANSWERED, FAILED, Document, Documents
from boxcar.errors import DocumentFailed


class NoticeError(ValueError):
    """A message that is not a notice of SageMaker's: it ends among the dead letters, where somebody looks at it."""


class Collecting:
    """Ends documents as SageMaker says that they ended. What was answered is told of once for all, by `flush`."""

    def __init__(self, documents: Documents, endings: Endings) -> None:
        self._documents = documents
        self._endings = endings
        self._answered: dict[str, Document] = {}

    def take(self, notice: Any) -> str:
        """Take note of one notice; answer "answered", "failed", "known", or "foreign" for a request that is not ours.

        Raises:
            NoticeError: it is none.
        """
        status = notice.get("invocationStatus") if isinstance(notice, dict) else None
        if status not in ("Completed", "Failed") or not notice.get("inferenceId"):
            raise NoticeError(f"invocationStatus: is {status!r}; a notice has Completed or Failed, and an inferenceId")
        document = self._documents.find(notice["inferenceId"])
        if document is None:  # somebody invoked the endpoint by hand
            return "foreign"
        if document.status in (ANSWERED, FAILED) or document.id in self._answered:
            return "known"
        if status == "Completed":
            self._endings.answer(document, notice["responseParameters"]["outputLocation"])
            self._answered[document.id] = document
            return "answered"
        reason = str(notice.get("failureReason") or "no reason was given")
        words = self._endings.said(document.failure) if document.failure else None
        self._endings.fail(document, DocumentFailed(f"{document.key}: {words or reason}"))
        return "failed"

    def flush(self) -> None:
        """Tell of the answers to all notices that were taken."""
        self._endings.tell_answered(list(self._answered.values()))
        self._answered.clear()
