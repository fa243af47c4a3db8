"""What an endpoint was asked and what it answered, as SageMaker's data capture leaves it in S3.

Lines of JSON under `capture/<configuration>/<endpoint>/<variant>/yyyy/mm/dd/hh/`, so the path tells the version that
answered. Format: "Capture data from real-time endpoint" in SageMaker's developer guide. Only requests that were
answered well are captured, a minute or two after they were.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ROOT = "capture"
MOST = 50_000  # records that are read at once


@dataclass(frozen=True)
class Captured:
    """One request and its answer.

    Attributes:
        inference_id: that the caller gave it; "" if none.
        digest: of what was asked, by which the same request to another variant is found.
        answer: text.
    """

    inference_id: str
    digest: str
    answer: str


@dataclass(frozen=True)
class Captures:
    """Captured requests, the newest first, and how many lines could not be read."""

    records: list[Captured]
    unreadable: int = 0


def read_captures(
    s3: Any, bucket: str, config: str, endpoint: str, variant: str, since: float = 0.0, most: int = MOST
) -> Captures:
    """Read the newest requests that a variant answered under a configuration.

    Args:
        since: seconds since the epoch. The same configuration may have served before, and does not count again.
        most: records at most.
    """
    prefix = f"{ROOT}/{config}/{endpoint}/{variant}/"
    begin = datetime.fromtimestamp(since, UTC)
    # Keys follow each other in the order of their hours.
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, StartAfter=f"{prefix}{begin:%Y/%m/%d/%H}"
    )
    written = (item for page in pages for item in page.get("Contents", []) if item["LastModified"] >= begin)
    keys = sorted((item["Key"] for item in written), reverse=True)
    found: list[Captured] = []
    unreadable = 0
    for key in keys:
        if len(found) >= most:
            break
        text = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode(errors="replace")
        for line in reversed(text.splitlines()):
            try:
                found.append(_captured(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                unreadable += 1
    return Captures(found[:most], unreadable)


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
    return Captured(str(metadata.get("inferenceId", "")), asked, answer)


def _content(part: dict[str, str]) -> bytes:
    return base64.b64decode(part["data"]) if part["encoding"] == "BASE64" else part["data"].encode()
