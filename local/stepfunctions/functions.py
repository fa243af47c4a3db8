"""The functions Step Functions adds to JSONata, and the one it takes away.

Source: developer guide, "Transforming data with JSONata", section "JSONata functions provided by Step Functions".
"""

from __future__ import annotations

import hashlib
import json
import random as randomness
import uuid as identifiers
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions
from jsonata.utils import Utils

from local.stepfunctions.limits import LIMIT, OutOfBounds

PADDING = 262_144  # characters that one $pad may add
RANGE = 360_145  # elements that $range may make before an expression's memory is spent


class FunctionError(Exception):
    """One of these functions refused its arguments."""


def partition(array: Any = None, size: Any = None) -> Any:
    """`$partition(array, size)`: the array in arrays of at most `size`."""
    if array is None:
        return None
    array = array if isinstance(array, list) else [array]
    if not number(size) or int(size) < 1:
        raise FunctionError('Argument 2 of function "partition" must be a positive number')
    size = int(size)
    return [[array[j] for j in range(i, min(i + size, len(array)))] for i in range(0, len(array), size)]


def span(start: Any = None, end: Any = None, step: Any = None) -> Any:
    """`$range(start, end, step)`: numbers from start to end, the end included where a step lands on it."""
    step = 1 if step is None else step
    for index, value in enumerate((start, end, step), 1):
        if not number(value):
            raise FunctionError(f'Argument {index} of function "range" must be a number')
    if step == 0:
        raise FunctionError('Argument 3 of function "range" must not be zero')
    count = max(0, int((end - start) // step) + 1)
    if count > RANGE:
        raise OutOfBounds(LIMIT)
    return [start + i * step for i in range(count)]


ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def digest(text: Any = None, algorithm: Any = "SHA-1") -> Any:
    """`$hash(text, algorithm)`: the digest in hexadecimal."""
    if text is None:
        return None
    if algorithm not in ALGORITHMS:
        raise FunctionError(f'Argument 2 of function "hash" must be one of {", ".join(ALGORITHMS)}')
    text = text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
    return hashlib.new(ALGORITHMS[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def random(seed: Any = None) -> Any:
    """`$random(seed)`: from 0 up to 1; the same seed gives the same number, that of java.util.Random."""
    if seed is None:
        return randomness.random()  # noqa: S311
    if not number(seed):
        raise FunctionError('Argument 1 of function "random" must be a number')
    state = (int(seed) ^ 0x5DEECE66D) & (2**48 - 1)
    bits = []
    for width in (26, 27):
        state = (state * 0x5DEECE66D + 0xB) & (2**48 - 1)
        bits.append(state >> (48 - width))
    return ((bits[0] << 27) + bits[1]) / 2**53


def uuid(*_: Any) -> Any:
    """`$uuid()`: a version 4 UUID."""
    return str(identifiers.uuid4())


def parse(text: Any = None) -> Any:
    """`$parse(text)`: the value of a JSON text."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise FunctionError(f"Unable to parse the string as JSON: {error}") from error
    return Utils.NULL_VALUE if value is None else value


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


BOUND: dict[str, Any] = {
    name: Jsonata.JLambda(function)
    for name, function in {
        "partition": partition, "range": span, "hash": digest, "random": random, "uuid": uuid, "parse": parse,
    }.items()
} | {"eval": None, "pad": Jsonata.JNativeFunction("pad", "<s-ns?:s>", Bounded, "pad")}  # fmt: skip
