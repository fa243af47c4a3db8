"""Metric math: arithmetic and a few functions on time series.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics". A series is a dict from the start of a
period (seconds since the epoch) to a value; an operation on two series has a value only where both have one.
"""

import ast
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean
from typing import Any

Series = dict[float, float]
Value = Any  # a number, a Series, or a list of Series

ARITHMETIC: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
REDUCTIONS: dict[str, Callable[[list[float]], float]] = {"SUM": sum, "AVG": fmean, "MIN": min, "MAX": max}
ROUNDING: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
FUNCTIONS = ("ABS", "AVG", "CEIL", "DIFF", "FILL", "FLOOR", "IF", "MAX", "METRICS", "MIN", "PERIOD", "RATE", "SUM")


class ExpressionError(ValueError):
    """An expression that is wrong, or that uses what is not implemented here."""


class Expression:
    """One expression, read and checked."""

    def __init__(self, text: str) -> None:
        """
        Raises:
            ExpressionError: it cannot be read, or uses what is not implemented here.
        """
        self.text = text
        if re.match(r"\s*(SELECT|SEARCH)\b", text, re.IGNORECASE):
            raise ExpressionError(
                f"{text!r}: the embedded cloud has neither Metrics Insights nor SEARCH; name each metric by an Id"
            )
        python = re.sub(r"&&", " and ", re.sub(r"\|\|", " or ", text)).replace("^", "**")
        python = re.sub(r"\bAND\b", "and", re.sub(r"\bOR\b", "or", python))
        try:
            self._tree = ast.parse(python.strip(), mode="eval").body
        except SyntaxError as error:
            raise ExpressionError(f"{text!r} is no math expression: {error.msg}") from error
        self.names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)} - {
            *FUNCTIONS,
            "REPEAT",
            "LINEAR",
        }
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
                if called not in FUNCTIONS:
                    raise ExpressionError(
                        f"{text!r}: the embedded cloud has no function {called}; it has {', '.join(FUNCTIONS)}"
                    )

    def evaluate(
        self, series: Mapping[str, Series], times: list[float], period: int, metrics: Iterable[str] = ()
    ) -> Series:
        """Evaluate on series by id; `times` are the starts of all periods asked for, `period` is in seconds.

        `metrics` are the ids that METRICS() stands for.

        Raises:
            ExpressionError: an id is not there, or the result is not one series.
        """
        self._series, self._times, self._period, self._metrics = series, times, period, tuple(metrics)
        result = self._value(self._tree)
        if isinstance(result, list):
            raise ExpressionError(f"{self.text!r} gives several time series; reduce them, with SUM or MAX say")
        return result if isinstance(result, dict) else dict.fromkeys(times, float(result))

    def _value(self, node: ast.AST) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name):
                if name in ("REPEAT", "LINEAR"):
                    return name
                if name not in self._series:
                    raise ExpressionError(f"{self.text!r}: no metric has the id {name!r}")
                return self._series[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _each(lambda value: -value, self._value(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                return _both(ARITHMETIC[type(op)], self._value(left), self._value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in ARITHMETIC:
                return _both(ARITHMETIC[type(op)], self._value(left), self._value(right))
            case ast.BoolOp(op=op, values=values):
                every = isinstance(op, ast.And)
                result = self._value(values[0])
                for each in values[1:]:
                    result = _both(lambda a, b: (a and b) if every else (a or b), result, self._value(each))
                return _each(lambda value: float(bool(value)), result)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, [self._value(each) for each in arguments])
            case ast.List(elts=items):
                return [self._value(item) for item in items]
        raise ExpressionError(f"{self.text!r}: {ast.unparse(node)} is not implemented by the embedded cloud")

    def _call(self, name: str, given: list[Value]) -> Value:
        match name, given:
            case "METRICS", [] | [str()]:
                part = given[0] if given else ""
                return [self._series[id_] for id_ in self._metrics if part in id_]
            case "PERIOD", [dict()]:
                return float(self._period)
            case "FILL", [dict() as series, filler]:
                return self._fill(series, filler)
            case "IF", [condition, yes, *no]:
                return self._choose(condition, yes, no[0] if no else {})
            case "ABS" | "CEIL" | "FLOOR", [value]:
                return _each(ROUNDING[name], value)
            case "RATE" | "DIFF", [dict() as series]:
                times = sorted(series)
                pairs = list(itertools.pairwise(times))
                if name == "DIFF":
                    return {later: series[later] - series[sooner] for sooner, later in pairs}
                return {later: (series[later] - series[sooner]) / (later - sooner) for sooner, later in pairs}
            case (("SUM" | "AVG" | "MIN" | "MAX"), [list() as several]):
                times = sorted({time for series in several for time in series})
                return {t: REDUCTIONS[name]([series[t] for series in several if t in series]) for t in times}
            case (("SUM" | "AVG" | "MIN" | "MAX"), [dict() as series]):
                return REDUCTIONS[name](list(series.values())) if series else {}
        raise ExpressionError(f"{self.text!r}: {name} does not take these arguments")

    def _fill(self, series: Series, filler: Value) -> Series:
        if isinstance(filler, (float, dict)):
            others = filler if isinstance(filler, dict) else dict.fromkeys(self._times, filler)
            both = {**others, **series}
            return {time: both[time] for time in self._times if time in both}
        known, filled = sorted(series), {}
        for time in self._times:
            before = max((each for each in known if each <= time), default=None)
            after = min((each for each in known if each >= time), default=None)
            if time in series:
                filled[time] = series[time]
            elif before is not None and filler == "REPEAT":
                filled[time] = series[before]
            elif before is not None and after is not None and filler == "LINEAR":
                share = (time - before) / (after - before)
                filled[time] = series[before] + share * (series[after] - series[before])
        return filled

    def _choose(self, condition: Value, yes: Value, no: Value) -> Series:
        asked = condition if isinstance(condition, dict) else dict.fromkeys(self._times, condition)
        chosen = {time: yes if value else no for time, value in asked.items()}
        values = {time: each.get(time) if isinstance(each, dict) else each for time, each in chosen.items()}
        return {time: value for time, value in values.items() if value is not None}


def _each(apply: Callable[[float], float], value: Value) -> Value:
    if isinstance(value, list):
        return [_each(apply, item) for item in value]
    if isinstance(value, dict):
        return {time: float(apply(number)) for time, number in value.items()}
    return float(apply(value))


def _both(apply: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if isinstance(left, list):
        return [_both(apply, item, right) for item in left]
    if isinstance(right, list):
        return [_both(apply, left, item) for item in right]
    if not isinstance(left, dict) and not isinstance(right, dict):
        return _safe(apply, left, right)
    times = sorted(set(left if isinstance(left, dict) else right) & set(right if isinstance(right, dict) else left))
    found = {time: _safe(apply, _at(left, time), _at(right, time)) for time in times}
    return {time: value for time, value in found.items() if value is not None}


def _at(value: Value, time: float) -> float:
    return value[time] if isinstance(value, dict) else value


def _safe(apply: Callable[[float, float], float], left: float, right: float) -> float | None:
    """A division by zero has no value; AWS shows no data point there."""
    try:
        return float(apply(left, right))
    except ZeroDivisionError:
        return None
