"""Records of a batch transform: split, filtered, joined, assembled.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from local.service import ApiError

Path = list["list[str] | list[int] | slice"]

# The part of JSONPath that AWS documents for filters: names, indexes, lists of them, slices.
STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_]\w*)|\[\s*(?:(?P<names>'[^']*'(?:\s*,\s*'[^']*')*)"""
    r"""|(?P<numbers>-?\d+(?:\s*,\s*-?\d+)*)|(?P<from>-?\d*)\s*:\s*(?P<to>-?\d*))\s*\]"""
)


class RecordError(Exception):
    """Data that cannot be filtered or joined."""


def parse_filter(field: str, text: str) -> Path:
    """Read a JSONPath filter.

    Raises:
        ApiError: ValidationException for what is not one, or is not implemented.
    """
    path: Path = []
    rest = text[1:] if text.startswith("$") else None
    while rest:
        step = STEP.match(rest)
        if not step:
            rest = None
            break
        if step["name"]:
            path.append([step["name"]])
        elif step["names"]:
            path.append(re.findall(r"'([^']*)'", step["names"]))
        elif step["numbers"]:
            path.append([int(number) for number in step["numbers"].split(",")])
        else:
            path.append(slice(*(int(end) if end else None for end in (step["from"], step["to"]))))
        rest = rest[step.end() :]
    if rest is None:
        raise ApiError(
            "ValidationException",
            f"{field} = {text!r} is not a JSONPath of names, indexes and slices; write for example $[1:] or $.score",
        )
    return path


def select(value: Any, path: Path) -> Any:
    """Apply a filter to one record."""
    for step in path:
        try:
            if isinstance(step, slice):
                value = value[step]
            elif len(step) == 1:
                value = value[step[0]]
            elif isinstance(value, dict):
                value = {name: value[name] for name in step}
            else:
                value = [value[number] for number in step]
        except (LookupError, TypeError) as error:
            raise RecordError(f"filter step {step!r} does not fit the record {value!r}") from error
    return value


def split(body: bytes, split_type: str) -> list[bytes]:
    """The records of a file; with split type None the file is one record."""
    if split_type == "None":
        return [body]
    return [line for line in body.splitlines() if line.strip()]


def batches(records: list[bytes], single: bool, limit: int) -> Iterator[list[bytes]]:
    """Records to send together, at most `limit` bytes.

    Raises:
        RecordError: one record alone is larger.
    """
    batch: list[bytes] = []
    size = 0
    for record in records:
        if len(record) > limit:
            raise RecordError("Too much data for max payload size")
        if batch and (single or size + 1 + len(record) > limit):
            yield batch
            batch, size = [], 0
        size += len(record) + (1 if batch else 0)
        batch.append(record)
    if batch:
        yield batch


class Format:
    """Reads and writes records of one content type."""

    def __init__(self, content_type: str) -> None:
        self.is_json = "json" in content_type.lower()

    def read(self, record: bytes) -> Any:
        """A record as a JSON value, or a row of a CSV file as a list of texts."""
        try:
            text = record.decode()
            return json.loads(text) if self.is_json else next(csv.reader([text]))
        except (ValueError, StopIteration) as error:
            raise RecordError(f"not a record of {'JSON' if self.is_json else 'CSV'}: {record[:200]!r}") from error

    def write(self, value: Any) -> bytes:
        """One line, without its end."""
        if self.is_json:
            return json.dumps(value, separators=(",", ":")).encode()
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(value if isinstance(value, list) else [value])
        return line.getvalue().encode()

    def join(self, record: Any, answer: Any) -> Any:
        """Input and output in one record, as JoinSource = Input puts them."""
        if not self.is_json:
            return [*record, *(answer if isinstance(answer, list) else [answer])]
        if isinstance(record, dict):
            return {**record, "SageMakerOutput": answer}
        return {"SageMakerInput": record, "SageMakerOutput": answer}
