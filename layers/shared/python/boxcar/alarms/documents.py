"""What is told of documents for the asynchronous endpoint: each that failed, and how many were answered."""

from typing import Any

from boxcar.alarms.advice import advice_for
from boxcar.alarms.alarm_mail import alarm_mail
from boxcar.alarms.causes import Cause, same_cause
from boxcar.alarms.links import Links
from boxcar.documents.places import output_key
from boxcar.mails import Mail, section

AUDIENCES = ("science",)


def document_failed_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """A document that has no answer: `{"id", "document", "error", "reason", "copy"}`."""
    document, error, reason = (str(message[name]) for name in ("document", "error", "reason"))
    copy = str(message.get("copy", ""))
    return alarm_mail(
        f"document:{message['id']}",
        f"document {document} failed",
        advice_for(error),
        f"Document {document} has no answer.",
        Cause(reason),
        {"Document": document, "Copy": copy, "Link": links.file(copy)},
        since,
        "Other documents go on.",
        same=same_cause(["document", error], reason, [document]),
    )


def documents_answered_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Documents that were answered, for the digest: `{"id", "count", "documents": [the first], "bucket"}`."""
    count, first = int(message["count"]), [str(key) for key in message.get("documents", [])]
    lines = [f"s3://{message['bucket']}/{output_key(key)}" for key in first]
    if count > len(first):
        lines.append(f"and {count - len(first)} more beside them")
    subject = f"{count} document{'' if count == 1 else 's'} answered"
    return Mail(
        f"documents:{message['id']}",
        AUDIENCES,
        f"[Boxcar report] {subject}",
        "\n\n".join([section("What happened", [f"{subject}."]), section("Answers", lines)]) + "\n",
        {"kind": "report", "severity": "info"},
        routine=True,
    )
