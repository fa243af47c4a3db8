"""The functions Step Functions adds to JSONata, and the one it takes away.

Source: developer guide, "Transforming data with JSONata", section "JSONata functions provided by Step Functions".
"""

from __future__ import annotations

import hashlib
import json
import math
import random as randomness
import uuid as identifiers
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.utils import Utils

from local.stepfunctions import numbers
from local.stepfunctions.limits import LIMIT, OutOfBounds

PADDING = 262_144  # characters that one $pad may add
RANGE = 360_145  # elements that $range may make before an expression's memory is spent


def refused(message: str) -> JException:
    """The error of a function that refuses its arguments."""
    return JException("D3137", -1, message)


class Added:
    """The functions; what they get has passed their signature, and an argument that is not there is None."""

    @staticmethod
    def partition(array: Any, size: Any) -> Any:
        """`$partition(array, size)`: the array in arrays of at most `size`; without a size, all of it in one."""
        if not array:
            return None
        size = len(array) if size is None else int(size)
        if size < 0:
            raise refused("Second argument must be zero or greater")
        if size == 0:
            return None
        return [[array[j] for j in range(i, min(i + size, len(array)))] for i in range(0, len(array), size)]

    @staticmethod
    def range(start: Any, end: Any, step: Any) -> Any:
        """`$range(start, end, step)`: numbers from start to end, the end included where a step lands on it.

        Fractions are cut off. One number alone is a number, and where there is none there is nothing.
        """
        if start is None or end is None or not step or not int(step):
            return None
        start, end, step = int(start), int(end), int(step)
        count = (end - start) // step + 1
        if count > RANGE:
            raise OutOfBounds(LIMIT)
        if count < 2:
            return start if count == 1 else None
        return [start + i * step for i in range(count)]

    @staticmethod
    def hash(text: Any, algorithm: Any) -> Any:
        """`$hash(text, algorithm)`: the digest in hexadecimal."""
        if text is None or algorithm is None:
            return None
        if algorithm not in ALGORITHMS:
            raise refused(f"Unsupported hash algorithm: {algorithm}")
        return hashlib.new(ALGORITHMS[algorithm], text.encode(), usedforsecurity=False).hexdigest()

    @staticmethod
    def random(seed: Any) -> Any:
        """`$random(seed)`: from 0 up to 1; the same seed gives the same number, that of java.util.Random."""
        if seed is None:
            return randomness.random()  # noqa: S311
        state = (int(seed) ^ 0x5DEECE66D) & (2**48 - 1)
        bits = []
        for width in (26, 27):
            state = (state * 0x5DEECE66D + 0xB) & (2**48 - 1)
            bits.append(state >> (48 - width))
        return ((bits[0] << 27) + bits[1]) / 2**53

    @staticmethod
    def uuid() -> Any:
        """`$uuid()`: a version 4 UUID."""
        return str(identifiers.uuid4())

    @staticmethod
    def parse(text: Any) -> Any:
        """`$parse(text)`: the value of a JSON text."""
        if text is None:
            return None
        if not isinstance(text, str):  # null, which the library's signatures let pass
            raise JException("T0410", -1, 1, "parse")
        try:
            value = json.loads(text, object_pairs_hook=unrepeated, parse_float=finite, parse_constant=finite)
        except ValueError as error:
            raise refused("Invalid JSON") from error
        return Utils.NULL_VALUE if value is None else value


ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of a JSON text, in which no name may come twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name comes twice")
    return made


def finite(text: str) -> float:
    """The number of a JSON text."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("too large")
    return value


def number(value: Any) -> bool:
    """Whether JSONata would call the value a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Bounded:
    """Functions of JSONata itself that Step Functions lets do less."""

    @staticmethod
    def pad(string: Any, width: Any, char: Any) -> Any:
        """`$pad(string, width, char)`, at most 262,144 characters added."""
        if number(width) and isinstance(string, str) and abs(width) - len(string) > PADDING:
            raise OutOfBounds(LIMIT)
        return Functions.pad(string, width, char)

    @staticmethod
    def parse_integer(value: Any, picture: Any) -> Any:
        """`$parseInteger(value, picture)`: NaN for a text that the picture cannot read."""
        try:
            found = Functions.parse_integer(value, picture)
        except ValueError:
            return math.nan
        return math.nan if found is None and value is not None else found

    @staticmethod
    def string(value: Any, prettify: Any) -> Any:
        """`$string(value, prettify)`."""
        return numbers.string(value, prettify)


SIGNATURES = {
    "partition": "<an?:a>",
    "range": "<nnn?:a>",
    "hash": "<s?s?:s>",
    "random": "<n?:n>",
    "uuid": "<:s>",
    "parse": "<s?:x>",
}
BOUND: dict[str, Any] = {
    name: Jsonata.JNativeFunction(name, signature, Added, name) for name, signature in SIGNATURES.items()
} | {
    "eval": None,
    "pad": Jsonata.JNativeFunction("pad", "<s-ns?:s>", Bounded, "pad"),
    "parseInteger": Jsonata.JNativeFunction("parseInteger", "<s-s:n>", Bounded, "parse_integer"),
    "string": Jsonata.JNativeFunction("string", "<x-b?:s>", Bounded, "string"),
}
