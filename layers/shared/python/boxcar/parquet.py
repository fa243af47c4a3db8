"""Parquet files of flat rows, written with nothing but the standard library.

Written by hand because of what the alternatives cost: for Python 3.13 on arm64, DuckDB is 53 MB unzipped, pyarrow
128 MB, arro3 29 MB, and a layer with DuckDB made each deployment half as long again. A table of flat, nullable columns
needs little of the format: one row group, one data page a column, PLAIN values, GZIP. Tests read what is written here
with DuckDB and pyarrow.

Source: https://parquet.apache.org/docs/file-format/ and parquet.thrift of parquet-format 2.11.
"""

import gzip
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MAGIC = b"PAR1"
CREATED_BY = "boxcar version 1 (build 1)"

# parquet.thrift: enum Type, enum ConvertedType, field numbers of union LogicalType
INT64, DOUBLE, BYTE_ARRAY = 2, 5, 6
UTF8, TIMESTAMP_MILLIS = 0, 9
OPTIONAL = 1
PLAIN, RLE = 0, 3
GZIP = 2
DATA_PAGE = 0

# thrift compact protocol: types of fields
TRUE, FALSE, I32, I64, BINARY, LIST, STRUCT = 1, 2, 5, 6, 8, 9, 12

STRING, BIGINT, DOUBLES, TIMESTAMP = "VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP"  # as SQL calls them
_PHYSICAL = {STRING: BYTE_ARRAY, BIGINT: INT64, DOUBLES: DOUBLE, TIMESTAMP: INT64}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Column:
    """One column; each may be null. TIMESTAMP has milliseconds and is in UTC without saying so, as Athena reads it."""

    name: str
    type: str  # STRING, BIGINT, DOUBLES or TIMESTAMP


class ColumnError(ValueError):
    """A value that its column cannot hold."""


def write(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of a Parquet file. Equal rows give equal bytes.

    Args:
        columns: in the order of the file.
        rows: by name of column: str, int, float, or datetime with a time zone; None or missing is null.

    Raises:
        ColumnError: names column, row and value.
    """
    body = bytearray(MAGIC)
    chunks = []
    for column in columns:
        start = len(body)
        page, raw = _page(column, [row.get(column.name) for row in rows])
        body += page
        chunks.append((column, start, len(page), raw))
    footer = _footer(chunks, len(rows))
    return bytes(body + footer + struct.pack("<I", len(footer)) + MAGIC)


def _page(column: Column, values: list[Any]) -> tuple[bytes, int]:
    """Return the one page of a column with its header, and its size before compression, header included."""
    plain = bytearray()
    for place, value in enumerate(values):
        if value is not None:
            plain += _plain(column, value, place)
    levels = _levels([value is not None for value in values])
    content = struct.pack("<I", len(levels)) + levels + bytes(plain)
    packed = gzip.compress(content, mtime=0)
    checksum = struct.unpack("<i", struct.pack("<I", zlib.crc32(packed)))[0]
    data_page = _struct((1, I32, len(values)), (2, I32, PLAIN), (3, I32, RLE), (4, I32, RLE))
    header = _struct(
        (1, I32, DATA_PAGE), (2, I32, len(content)), (3, I32, len(packed)), (4, I32, checksum), (5, STRUCT, data_page)
    )
    return header + packed, len(header) + len(content)


def _plain(column: Column, value: Any, place: int) -> bytes:
    try:
        if column.type == STRING:
            text = value.encode()
            return struct.pack("<I", len(text)) + bytes(text)
        if column.type == DOUBLES:
            return struct.pack("<d", value)
        if column.type == TIMESTAMP:
            value = round((value - _EPOCH).total_seconds() * 1000)
        return struct.pack("<q", value)
    except (AttributeError, TypeError, ValueError, OverflowError, struct.error) as error:
        raise ColumnError(f"column {column.name}, row {place}: {value!r} is no {column.type} ({error})") from None


def _levels(present: list[bool]) -> bytes:
    """Definition levels, 1 for a value and 0 for a null, as runs of the RLE/bit-packing hybrid."""
    found, start = bytearray(), 0
    for place in range(1, len(present) + 1):
        if place == len(present) or present[place] != present[start]:
            found += _varint((place - start) << 1) + bytes([present[start]])
            start = place
    return bytes(found)


def _footer(chunks: list[tuple[Column, int, int, int]], rows: int) -> bytes:
    root = _struct((4, BINARY, b"schema"), (5, I32, len(chunks)))
    schema = [root, *(_element(column) for column, _, _, _ in chunks)]
    described = []
    for column, start, size, raw in chunks:
        meta = _struct(
            (1, I32, _PHYSICAL[column.type]),
            (2, LIST, (I32, [_zigzag(PLAIN), _zigzag(RLE)])),
            (3, LIST, (BINARY, [_binary(column.name.encode())])),
            (4, I32, GZIP),
            (5, I64, rows),
            (6, I64, raw),
            (7, I64, size),
            (9, I64, start),
        )
        described.append(_struct((2, I64, start), (3, STRUCT, meta)))
    group = _struct(
        (1, LIST, (STRUCT, described)),
        (2, I64, sum(raw for _, _, _, raw in chunks)),
        (3, I64, rows),
        (5, I64, len(MAGIC)),
        (6, I64, sum(size for _, _, size, _ in chunks)),
    )
    return _struct(
        (1, I32, 1),  # version of the format
        (2, LIST, (STRUCT, schema)),
        (3, I64, rows),
        (4, LIST, (STRUCT, [group])),
        (6, BINARY, CREATED_BY.encode()),
    )


def _element(column: Column) -> bytes:
    fields: list[tuple[int, int, Any]] = [
        (1, I32, _PHYSICAL[column.type]),
        (3, I32, OPTIONAL),
        (4, BINARY, column.name.encode()),
    ]
    if column.type == STRING:
        fields += [(6, I32, UTF8), (10, STRUCT, _struct((1, STRUCT, _struct())))]
    if column.type == TIMESTAMP:
        # Not adjusted to UTC: a timestamp without time zone. The older annotation must stand beside it all the same.
        timestamp = _struct((1, FALSE, None), (2, STRUCT, _struct((1, STRUCT, _struct()))))  # in milliseconds
        fields += [(6, I32, TIMESTAMP_MILLIS), (10, STRUCT, _struct((8, STRUCT, timestamp)))]
    return _struct(*fields)


def _struct(*fields: tuple[int, int, Any]) -> bytes:
    """A thrift struct in the compact protocol: (field number, type, value), in ascending order."""
    found, last = bytearray(), 0
    for number, kind, value in fields:
        found.append((number - last) << 4 | kind)
        last = number
        if kind in (I32, I64):
            found += _zigzag(value)
        elif kind == BINARY:
            found += _binary(value)
        elif kind == STRUCT:
            found += value
        elif kind == LIST:
            found += _list(*value)
    found.append(0)
    return bytes(found)


def _list(kind: int, members: list[bytes]) -> bytes:
    size = len(members)
    head = bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + _varint(size)
    return head + b"".join(members)


def _binary(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
