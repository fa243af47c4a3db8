"""What an endpoint was asked and what it answered, as SageMaker's data capture leaves it in S3.

Lines of JSON under `capture/<configuration>/<endpoint>/<variant>/yyyy/mm/dd/hh/`, so the path tells the version that
answered. Format: "Capture data from real-time endpoint" in SageMaker's developer guide. Only requests that were
answered well are captured, a minute or two after they were.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

ROOT = "capture"
MOST = 50_000  # records that are read at once
AT_ONCE = 8  # files; botocore keeps ten connections


@dataclass(frozen=True)
class Captured:
    """One request and its answer.

    Attributes:
        inference_id: that the caller gave it; "" if none.
        digest: of what was asked, by which the same request to another variant is found.
        answer: text.
        at: when it was asked (ISO 8601, UTC, whole seconds); "" if SageMaker does not say.
    """

    inference_id: str
    digest: str
    answer: str
    at: str = ""


@dataclass(frozen=True)
class Captures:
    """Captured requests, how many lines could not be read, and whether there are more than were to be read."""

    records: list[Captured]
    unreadable: int = 0
    is_cut: bool = False


def read_captures(
    s3: Any,
    bucket: str,
    config: str,
    endpoint: str,
    variant: str,
    since: float = 0.0,
    most: int = MOST,
    newest: bool = True,
) -> Captures:
    """Read the requests that a variant answered under a configuration.

    Args:
        since: seconds since the epoch. The same configuration may have served before, and does not count again.
        most: records at most.
        newest: those come first, and are read; else the oldest.
    """
    found: list[Captured] = []
    unreadable = 0
    root = f"{ROOT}/{config}/{endpoint}/{variant}/"
    keys = _keys(s3, bucket, root, root, datetime.fromtimestamp(since, UTC), newest)

    def lines(key: str) -> list[str]:
        text: str = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode(errors="replace")
        return text.splitlines()[:: -1 if newest else 1]

    with ThreadPoolExecutor(AT_ONCE) as pool:  # each instance writes a file a minute: thousands in a trial of days
        while len(found) < most and (some := list(islice(keys, AT_ONCE))):
            for line in chain.from_iterable(pool.map(lines, some)):
                try:
                    found.append(_captured(json.loads(line)))
                except (ValueError, KeyError, TypeError):
                    unreadable += 1
    return Captures(found[:most], unreadable, is_cut=len(found) > most or next(keys, None) is not None)


def _keys(s3: Any, bucket: str, root: str, folder: str, since: datetime, newest: bool) -> Iterator[str]:
    """Keys below a folder of years, months, days and hours. What is older than is asked for is not listed."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder, Delimiter="/")
    folders, files = [], []
    for page in pages:
        folders += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
        files += [item["Key"] for item in page.get("Contents", []) if item["LastModified"] >= since]
    yield from sorted(files, reverse=newest)
    for each in sorted(folders, reverse=newest):
        when = each.removeprefix(root)
        if when >= f"{since:%Y/%m/%d/%H}/"[: len(when)]:
            yield from _keys(s3, bucket, root, each, since, newest)


def scores_in(answer: str) -> list[float] | None:
    """The scores of an answer: the last field of each line, which may be no number. None if a line has none."""
    try:
        return [float(line.rpartition(",")[2]) for line in answer.split()]
    except ValueError:
        return None


def _captured(line: dict[str, Any]) -> Captured:
    data, metadata = line["captureData"], line["eventMetadata"]
    asked = hashlib.sha256(_content(data["endpointInput"])).hexdigest()
    answer = _content(data["endpointOutput"]).decode(errors="replace")
    return Captured(str(metadata.get("inferenceId", "")), asked, answer, str(metadata.get("inferenceTime", "")))


def _content(part: dict[str, str]) -> bytes:
    return base64.b64decode(part["data"]) if part["encoding"] == "BASE64" else part["data"].encode()
