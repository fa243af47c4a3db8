"""Mails by SNS: what a subject and a text may hold, and how one is published."""

import json
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

# SNS Publish: a subject is ASCII, begins with a letter, number or punctuation mark, has no line breaks or control
# characters and is less than 100 characters long; a message is at most 256 KiB.
SUBJECT_LENGTH = 99
TEXT_BYTES = 256 * 1024 - 4096  # the rest is for attributes
WIDTH = 78
_PLAIN = str.maketrans(
    {
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    }
)


@dataclass(frozen=True)
class Mail:
    """One message to the audiences that should read it."""

    id: str  # the same thing told twice has the same id, and is sent once
    audiences: tuple[str, ...]
    subject: str
    text: str
    attributes: dict[str, str] = field(default_factory=dict)  # for filter policies: kind, severity
    cause: str = ""  # alarms of the same cause within an hour are counted; "": each is mailed
    place: str = ""  # where it happened, in one line
    actions: tuple[dict[str, Any], ...] = ()  # blocks of Slack that follow the text there
    routine: bool = False  # nothing that anybody must know today: it waits for the digest


def subject(text: str) -> str:
    """Text as SNS takes it for a subject: ASCII, one line, less than 100 characters, not empty."""
    ascii_text = text.translate(_PLAIN).encode("ascii", "replace").decode()
    one_line = re.sub(r"[\x00-\x20\x7f]+", " ", ascii_text).strip()
    if len(one_line) > SUBJECT_LENGTH:
        one_line = one_line[: SUBJECT_LENGTH - 3].rstrip() + "..."
    return one_line or "(no subject)"


def section(title: str, lines: list[str]) -> str:
    """A titled part of a mail; long lines are folded at words, lines that are laid out in columns are not."""
    folded = []
    for line in lines:
        for part in line.splitlines() or [""]:
            folded += textwrap.wrap(
                part, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            ) or [""]
    return "\n".join([title, *folded])


def named(values: dict[str, Any]) -> list[str]:
    """A line for each name and its value, for a section; what is empty is left out."""
    return [f"{name + ':':9} {value}" for name, value in values.items() if value]


def columns(rows: list[list[str]]) -> list[str]:
    """Rows of a table as lines of equal columns, the first row underlined."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def cut(text: str) -> str:
    """Text as SNS takes it for a message: at most 256 KiB in UTF-8, and not empty."""
    body = text.encode()
    if len(body) > TEXT_BYTES:
        text = body[:TEXT_BYTES].decode(errors="ignore") + "\n… cut: the mail was too long"
    return text or "(empty)"


def publish(sns: Any, topic_arn: str, mail: Mail) -> None:
    """Hand a mail to the topic, once for all its audiences: an address of two of them gets one."""
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in mail.attributes.items()}
    audience = {"DataType": "String.Array", "StringValue": json.dumps(mail.audiences)}
    sns.publish(
        TopicArn=topic_arn,
        Subject=subject(mail.subject),
        Message=cut(mail.text),
        MessageAttributes={**attributes, "audience": audience},
    )
