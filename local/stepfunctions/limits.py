"""What one expression may use: depth, memory and time. Measured on AWS: a depth near 100, near 7 MB of values."""

from __future__ import annotations

import time
from typing import Any

DEPTH = 100
BYTES = 8 * 873_782  # a number counts 8, a character 1
SECONDS = 5.0
LIMIT = "Expression evaluation memory limit exceeded: Check for excessive memory usage"
STACK = "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive."
TIMEOUT = "Expression evaluation timeout: Check for infinite loop"


class OutOfBounds(Exception):  # noqa: N818
    """An expression used more than it may."""


class Bounds:
    """The hooks that jsonata-python calls around every step of an evaluation."""

    def __init__(self) -> None:
        self._depth = 0
        self._end = time.monotonic() + SECONDS

    def entered(self, expression: Any, value: Any, environment: Any) -> None:
        """One step deeper."""
        self._depth += 1
        if self._depth > DEPTH:
            raise OutOfBounds(STACK)
        if time.monotonic() > self._end:
            raise OutOfBounds(TIMEOUT)

    def left(self, expression: Any, value: Any, environment: Any, result: Any) -> None:
        """One step back, with a result."""
        self._depth -= 1
        size = len(result) if isinstance(result, str) else 8 * len(result) if isinstance(result, list) else 0
        if size > BYTES:
            raise OutOfBounds(LIMIT)

    def bindings(self) -> dict[str, Any]:
        """The variables under which the library looks for its hooks."""
        return {"__evaluate_entry": self.entered, "__evaluate_exit": self.left}
