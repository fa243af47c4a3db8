"""CBOR (RFC 8949), as far as the protocol smithy-rpc-v2-cbor uses it. Times are tag 1: seconds since the epoch."""

import struct
from typing import Any

TIME = 1
FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
SIMPLE = {20: False, 21: True, 22: None, 23: None}
BREAK = object()


class Time(float):
    """Seconds since the epoch that are to be written as a time."""


def dumps(value: Any) -> bytes:
    """Write maps, lists, texts, bytes, numbers, truths, None and Time.

    Raises:
        TypeError: the value is of another type.
    """
    out = bytearray()
    _write(value, out)
    return bytes(out)


def loads(data: bytes) -> Any:
    """Read one item; a time becomes its number of seconds.

    Raises:
        ValueError: the data is not CBOR, or goes on behind the item.
    """
    reader = _Reader(data)
    value = reader.item()
    if value is BREAK or reader.place != len(data):
        raise ValueError(f"not one CBOR item: {len(data) - reader.place} bytes are left")
    return value


def _write(value: Any, out: bytearray) -> None:
    if value is None or isinstance(value, bool):
        out.append({False: 0xF4, True: 0xF5, None: 0xF6}[value])
    elif isinstance(value, Time):
        out.append(0xC0 | TIME)
        _write(float(value), out)
    elif isinstance(value, int):
        _head(*((0, value) if value >= 0 else (1, -1 - value)), out)
    elif isinstance(value, float):
        out += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, (str, bytes)):
        data = value.encode() if isinstance(value, str) else value
        _head(3 if isinstance(value, str) else 2, len(data), out)
        out += data
    elif isinstance(value, (list, tuple)):
        _head(4, len(value), out)
        for item in value:
            _write(item, out)
    elif isinstance(value, dict):
        _head(5, len(value), out)
        for key, item in value.items():
            _write(key, out)
            _write(item, out)
    else:
        raise TypeError(f"{value!r} is of a type that CBOR has no form for here")


def _head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for kind, form, limit in ((24, ">B", 8), (25, ">H", 16), (26, ">I", 32), (27, ">Q", 64)):
        if number < 1 << limit:
            out.append(major << 5 | kind)
            out += struct.pack(form, number)
            return
    raise TypeError(f"{number} is too large")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def _take(self, count: int) -> bytes:
        if self.place + count > len(self._data):
            raise ValueError("CBOR ends in the middle of an item")
        self.place += count
        return self._data[self.place - count : self.place]

    def item(self) -> Any:
        first = self._take(1)[0]
        major, kind = first >> 5, first & 31
        if major == 7:
            return self._simple(kind)
        if kind == 31:
            return self._endless(major)
        number = kind if kind < 24 else int.from_bytes(self._take(self._width(kind)), "big")
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major == 2:
            return self._take(number)
        if major == 3:
            return self._take(number).decode()
        if major == 4:
            return [self.item() for _ in range(number)]
        if major == 5:
            return {self.item(): self.item() for _ in range(number)}
        return self.item()  # a tag: of a time, the number itself is what counts

    def _width(self, kind: int) -> int:
        if kind > 27:
            raise ValueError(f"CBOR has no length of kind {kind}")
        return int(2 ** (kind - 24))

    def _simple(self, kind: int) -> Any:
        if kind in FLOATS:
            form, width = FLOATS[kind]
            return struct.unpack(form, self._take(width))[0]
        if kind == 31:
            return BREAK
        if kind not in SIMPLE:
            raise ValueError(f"CBOR's simple value {kind} means nothing here")
        return SIMPLE[kind]

    def _endless(self, major: int) -> Any:
        """Items without a count, up to a break."""
        items = []
        while (item := self.item()) is not BREAK:
            items.append(item)
        if major == 5:
            return dict(zip(items[::2], items[1::2], strict=True))
        if major in (2, 3):
            return (b"" if major == 2 else "").join(items)
        return items
