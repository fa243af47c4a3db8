"""Numbers as JSONata's JavaScript has them, where jsonata-python has Python's.

Division by zero is infinite, not an error; what is not finite ends as the JSON string that names it; `$string` writes
whole numbers in full below 1e21 and others with 15 significant digits. Source: JSONata 2.0.6, ECMAScript's
Number::toString, and answers of AWS's TestState (https://github.com/floci-io/floci/issues/2737).
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.utils import Utils

LONG = 2**63  # AWS keeps whole numbers below this exact, and others as doubles


class Program(Jsonata):
    """A compiled expression whose operators reckon as JavaScript's do."""

    def evaluate_numeric_expression(self, lhs: Any, rhs: Any, op: str) -> Any:
        """`lhs op rhs`; operands that are no finite numbers are the library's to refuse."""
        for value, code in ((lhs, "T2001"), (rhs, "T2002")):
            if value is not None and not Utils.is_numeric(value):
                raise JException(code, -1, op, value)
        if lhs is None or rhs is None:
            return None
        result = reckon(float(lhs), float(rhs), op)
        return int(result) if result.is_integer() else result

    def evaluate_string_concat(self, lhs: Any, rhs: Any) -> str:
        """`lhs & rhs`."""
        return (string(lhs) or "") + (string(rhs) or "")


def reckon(left: float, right: float, op: str) -> float:
    """One arithmetic operation on doubles."""
    if op in "/%" and right == 0:
        return math.nan if op == "%" or left == 0 else math.copysign(math.inf, left) * math.copysign(1, right)
    if op == "+":
        return left + right
    if op == "-":
        return left - right
    if op == "*":
        return left * right
    return left / right if op == "/" else math.fmod(left, right)


def named(value: float) -> str | None:
    """The name of a number that is not finite, which AWS puts in its place; None for any other."""
    if math.isnan(value):
        return "NaN"
    return None if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def string(value: Any = None, prettify: Any = False) -> str | None:
    """`$string(value, prettify)`."""
    if isinstance(value, Utils.JList) and value.outer_wrapper:
        value = value[0]
    if isinstance(value, float) and not math.isfinite(value):
        raise JException("D3001", -1, value)
    shown = written(value)
    if isinstance(shown, float):  # only the smallest and the greatest numbers have an exponent
        text = repr(shown)
        return text.replace("e-0", "e-") if abs(shown) < 1e-6 or "e+" in text else format(Decimal(text), "f")
    if isinstance(shown, int) and not isinstance(shown, bool):
        return json.dumps(shown)
    return None if value is None else str(Functions.string(shown, bool(prettify)))


def written(value: Any) -> Any:
    """A value with its numbers as they are to be written."""
    if isinstance(value, int) and abs(value) >= LONG:
        value = float(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return Utils.NULL_VALUE
        if value.is_integer() and abs(value) < 1e21:
            return int(Decimal(repr(value)))
        return float(f"{value:.15g}")
    if isinstance(value, dict):
        return {key: written(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [written(value[i]) for i in range(len(value))]  # by index: the library's ranges iterate one short
    return value
