"""Mails as files: what a mail program and a test read of them."""

import email
import email.policy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.mailbox import Mailbox

TOPIC = "arn:aws:sns:us-east-1:000000000000:boxcar-science"


def test_a_mail_is_an_eml_file_with_its_headers(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    path = box.write(
        "science@example.com", TOPIC, "[Boxcar alarm] größer\n than ever", "Zeile 1\nline 2 — end", False, 0
    )
    assert path.parent == tmp_path / "science@example.com"
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert mail["To"] == "science@example.com"
    assert mail["Subject"] == "[Boxcar alarm] größer than ever"
    assert mail["Date"] == "Thu, 01 Jan 1970 00:00:00 -0000"
    assert mail["X-Topic-Arn"] == TOPIC
    assert mail.get_content().replace("\r\n", "\n") == "Zeile 1\nline 2 — end\n"
    assert "Zeile 1" in path.read_text()  # a person can read the file


def test_mails_are_read_in_the_order_they_were_written(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    for number in range(12):
        box.write(f"{'ab'[number % 2]}@example.com", TOPIC, f"mail {number}", "", False, 0)
    assert [mail.subject for mail in box.read()] == [f"mail {number}" for number in range(12)]
    assert [mail.subject for mail in box.read("b@example.com")] == [f"mail {number}" for number in range(1, 12, 2)]
    assert box.addresses() == ["a@example.com", "b@example.com"]


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: box.write("a@example.com", TOPIC, str(number), "x", False, 0), range(100)))
    assert sorted(int(mail.subject) for mail in box.read("a@example.com")) == list(range(100))


def test_an_address_cannot_leave_the_mailbox(tmp_path: Path) -> None:
    box = Mailbox(tmp_path / "mailbox")
    path = box.write("../../etc/passwd", TOPIC, None, "x", False, 0)
    assert path.parent.parent == tmp_path / "mailbox"
    assert box.read()[0].subject == "AWS Notification Message"


def test_email_json_carries_the_envelope(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    box.write("a@example.com", TOPIC, "subject", "text", True, 0)
    assert '"TopicArn": "arn:aws:sns:us-east-1:000000000000:boxcar-science"' in box.read()[0].text
