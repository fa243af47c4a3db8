"""ItemReader: the items of a distributed Map from S3, read as they are needed.

Source: developer guide, "ItemReader (Map)": JSON, JSON Lines, CSV, S3 inventory manifests, and listings of objects.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from local.stepfunctions import definition as asl
from local.stepfunctions import errors, sdk
from local.stepfunctions.definition import MISSING
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.strand import Strand, integer

CHUNK = 500  # items fetched at once
BLOCK = 64 * 1024  # characters of a JSON file looked at, at once


class ReadError(Exception):
    """The file is not what its type says."""


async def read(strand: Strand, state: asl.Map, value: Any) -> AsyncIterator[Any]:
    """The items that ItemReader names.

    Raises:
        StateFailure: States.ItemReaderFailed, with what S3 or the file's content refused.
    """
    assert state.reader is not None
    source = state.reader
    engine = strand.run.engine
    arguments = {} if source.arguments is MISSING else strand.evaluate(source.arguments, value)
    limit = integer(strand, source.max_items, value)
    pointer = "" if source.pointer is MISSING else str(strand.evaluate(source.pointer, value))
    client = engine.runner.client("s3", strand.run.role)
    items: Iterator[Any] | None = None
    count = 0

    def chunk() -> list[Any]:
        nonlocal items
        if items is None:
            items = open_items(client, source, arguments, pointer)
        return list(islice(items, CHUNK if limit is None else min(CHUNK, limit - count)))

    while limit is None or count < limit:
        found = await guarded(engine.runner.threaded, chunk)
        for item in found:
            yield item
        count += len(found)
        if not found:
            return


async def guarded(threaded: Callable[..., Any], work: Callable[[], Any]) -> Any:
    """The result of reading, or the error that the state ends with."""
    try:
        return await threaded(work)
    except (ReadError, ValueError, UnicodeDecodeError) as error:
        raise StateFailure(errors.ITEM_READER, str(error)) from error
    except Exception as error:
        raise StateFailure(errors.ITEM_READER, sdk.failure("S3", "s3", error).cause) from error


def open_items(client: Any, source: asl.Reader, arguments: dict[str, Any], pointer: str) -> Iterator[Any]:
    """The items, read lazily."""
    if source.resource.endswith("listObjectsV2"):
        return listed(client, arguments)
    body = client.get_object(**arguments)["Body"]
    stream = gzip.GzipFile(fileobj=body) if str(arguments.get("Key", "")).endswith(".gz") else body
    if source.input_type == "MANIFEST":
        return inventory(client, json.loads(stream.read()))
    return parsed(io.TextIOWrapper(io.BufferedReader(Raw(stream)), "utf-8-sig"), source, pointer)


def parsed(text: io.TextIOBase, source: asl.Reader, pointer: str) -> Iterator[Any]:
    """The items in a text file of JSON, JSON Lines or CSV."""
    if source.input_type == "JSONL":
        return (json.loads(line) for line in text if line.strip())
    if source.input_type == "CSV":
        return rows(text, source)
    return elements(text, pointer)


class Raw(io.RawIOBase):
    """A response body as a raw stream."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        """It is only read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer."""
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def rows(text: Any, source: asl.Reader) -> Iterator[dict[str, str]]:
    """The rows of a CSV file as objects of strings."""
    lines = csv.reader(text, delimiter=source.delimiter)
    header = list(source.headers) if not source.headers_in_first_row else next(lines, [])
    for line in lines:
        if line:
            yield {name: line[i] if i < len(line) else "" for i, name in enumerate(header)}


def elements(text: Any, pointer: str) -> Iterator[Any]:
    """The elements of a JSON array, without holding all of them; below a pointer, or in an object, the file is held."""
    head = text.read(BLOCK)
    if pointer or not head.lstrip().startswith("["):
        value = json.loads(head + text.read())
        for part in filter(None, pointer.split("/")):
            part = part.replace("~1", "/").replace("~0", "~")
            value = (
                value[int(part)] if isinstance(value, list) else value.get(part) if isinstance(value, dict) else None
            )
        if isinstance(value, dict) and pointer:
            yield from ({"Key": key, "Value": item} for key, item in value.items())
            return
        if not isinstance(value, list):
            raise ReadError("Attempting to map over non-iterable node.")
        yield from value
        return
    decoder = json.JSONDecoder()
    buffer, more = head.lstrip()[1:], True
    while True:
        buffer = buffer.lstrip(" \t\r\n,")
        if buffer.startswith("]"):
            return
        try:
            item, end = decoder.raw_decode(buffer)
            if end == len(buffer) and more:
                raise ValueError("a number may go on in the next block")
        except ValueError:
            block = text.read(BLOCK)
            if not block and not more:
                raise
            more = bool(block)
            buffer += block
            continue
        yield item
        buffer = buffer[end:]


def inventory(client: Any, manifest: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The objects of an S3 inventory: the rows of the CSV files that its manifest lists."""
    if manifest.get("fileFormat") != "CSV":
        raise ReadError(f"The inventory's file format is {manifest.get('fileFormat')}; only CSV is read here")
    bucket = manifest["destinationBucket"].split(":")[-1]
    names = [name.strip() for name in manifest["fileSchema"].split(",")]
    for file in manifest["files"]:
        body = client.get_object(Bucket=bucket, Key=file["key"])["Body"]
        stream = gzip.GzipFile(fileobj=body) if file["key"].endswith(".gz") else body
        for line in csv.reader(io.TextIOWrapper(io.BufferedReader(Raw(stream)), "utf-8")):
            yield dict(zip(names, line, strict=False))


def listed(client: Any, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects of a bucket, page by page."""
    for page in client.get_paginator("list_objects_v2").paginate(**arguments):
        for found in page.get("Contents", []):
            yield {
                "Etag": found["ETag"], "Key": found["Key"], "LastModified": int(found["LastModified"].timestamp()),
                "Size": found["Size"], "StorageClass": found.get("StorageClass", "STANDARD"),
            }  # fmt: skip
