"""Mails that SNS would send: one .eml file each in `<state>/mailbox/<address>/`, oldest first by name."""

import email
import email.policy
import itertools
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

DEFAULT_SUBJECT = "AWS Notification Message"  # what SNS writes when a message has no subject
SENDER = "AWS Notifications <no-reply@sns.amazonaws.com>"


@dataclass(frozen=True)
class Mail:
    """One mail as it was delivered."""

    to: str
    subject: str
    text: str
    topic_arn: str
    date: str
    path: Path


class Mailbox:
    """A folder of mails. Safe to write from several threads; reading needs no server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = itertools.count(1)
        self._lock = threading.Lock()

    def write(self, to: str, topic_arn: str, subject: str | None, text: str, as_json: bool, when: float) -> Path:
        """Keep one mail and return its file. `when` is in seconds since the epoch."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"] = SENDER
        mail["To"] = to
        mail["Subject"] = " ".join((subject or DEFAULT_SUBJECT).split())
        mail["Date"] = formatdate(when)
        mail["Message-ID"] = f"<{uuid.uuid4()}@sns.local>"
        mail["X-Topic-Arn"] = topic_arn
        if as_json:
            text = json.dumps({"Type": "Notification", "TopicArn": topic_arn, "Subject": subject, "Message": text})
        mail.set_content(text, cte="8bit")  # so that a person can read the file
        folder = self._folder / _folder_name(to)
        with self._lock:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{time.time_ns():020d}-{next(self._count):06d}.eml"
            making = path.with_suffix(".making")  # a reader never sees half a mail
            making.write_bytes(mail.as_bytes())
            making.rename(path)
        return path

    def addresses(self) -> list[str]:
        """Who has mail."""
        return sorted(folder.name for folder in self._folder.glob("*") if folder.is_dir())

    def read(self, address: str | None = None) -> list[Mail]:
        """The mails of one address, or of all, oldest first."""
        pattern = f"{_folder_name(address)}/*.eml" if address else "*/*.eml"
        return [_read(path) for path in sorted(self._folder.glob(pattern), key=lambda path: path.name)]


def _folder_name(address: str) -> str:
    return re.sub(r"[^A-Za-z0-9@._+-]", "_", address)


def _read(path: Path) -> Mail:
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    return Mail(
        to=str(mail["To"]),
        subject=str(mail["Subject"]),
        text=str(mail.get_content()).replace("\r\n", "\n").rstrip("\n"),
        topic_arn=str(mail["X-Topic-Arn"]),
        date=str(mail["Date"]),
        path=path,
    )
