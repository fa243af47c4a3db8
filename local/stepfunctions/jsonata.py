"""JSONata in states: templates, the `{% %}` expressions in them, and what AWS says when one fails.

Source: Step Functions developer guide, "Transforming data with JSONata", and JSONata 2.0.6.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from jsonata import Jsonata
from jsonata.jexception import JException
from jsonata.utils import Utils

from local.stepfunctions import errors, functions, numbers
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.limits import STACK, Bounds, OutOfBounds

Variables = dict[str, Any]
HEAVY = 200  # characters; a shorter expression without functions or ranges cannot run away


class EvaluationError(StateFailure):
    """An expression that failed; `location` is the field it stood in, such as `Output/total`."""

    def __init__(self, cause: str, location: str | None) -> None:
        super().__init__(errors.QUERY, cause)
        self.location = location


class Expression:
    """One `{% … %}` of a definition, compiled once."""

    __slots__ = ("_bounded", "compiled", "location", "source")

    def __init__(self, source: str, location: str) -> None:
        self.source = source
        self.location = location
        self.compiled = compile_expression(source)
        self._bounded = len(source) > HEAVY or bool(re.search(r"function|λ|\.\.|\$range|\$pad|~>", source))

    def evaluate(self, variables: Variables) -> Any:
        """The value of the expression.

        Raises:
            EvaluationError: it failed, yielded nothing, or yielded what JSON cannot hold.
        """
        names = {**functions.BOUND, **variables}
        for name, bound in variables.items():
            if bound is None:  # which would mean a variable that is not there
                names[name] = Utils.NULL_VALUE
        if self._bounded:
            names |= Bounds().bindings()
        try:
            value = self.compiled.evaluate(None, names)
        except JException as error:
            raise self.failure(f"threw an error during evaluation. {message(error)}") from error
        except RecursionError as error:
            raise self.failure(f"threw an error during evaluation: {STACK}") from error
        except OutOfBounds as error:
            raise self.failure(f"threw an error during evaluation: {error}") from error
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
            # Faults of the library itself: the expression fails, the engine does not.
            raise self.failure(f"threw an error during evaluation{library_fault(error)}") from error
        if value is None:
            raise self.failure("returned nothing (undefined).")
        try:
            return plain(value)
        except TypeError as error:
            raise self.failure("returned an unsupported result type.") from error

    def failure(self, what: str) -> EvaluationError:
        """The error with the sentence AWS opens every evaluation error with."""
        return EvaluationError(
            f"The JSONata expression '{self.source}' specified for the field '{self.location}' {what}", self.location
        )

    def expect(self, value: Any, kind: str) -> EvaluationError:
        """The error for a value of the wrong type; `kind` is the wanted type in AWS's words."""
        return self.failure(
            f"returned an unexpected result type. Expected '{kind}', but was '{type_name(value)}' for value: "
            f"{json.dumps(value, separators=(',', ':'), ensure_ascii=False)}"
        )


@lru_cache(maxsize=4096)
def compile_expression(source: str) -> Jsonata:
    """The compiled expression; the same source gives the same object.

    Raises:
        JException: a syntax error.
    """
    compiled = numbers.Program(source)
    compiled.set_output_convert_nulls(False)
    compiled.set_validate_input(False)
    return compiled


def message(error: JException, code: bool = True) -> str:
    """`CODE: text` as the JavaScript implementation words it.

    The Python port inherits a catalogue in which "function" became "Object", and does not quote what it fills in.
    """
    template = JException.error_codes.get(error.error)
    if template is None:
        return f"{error.error}: {error}" if code else str(error)
    values = iter((error.current, error.expected, getattr(error, "extra", None)))
    text = re.sub(r"\bObject\b", "function", template)
    if error.error == "T0412" and getattr(error, "extra", None) in ARRAYS:
        values = iter((error.current, error.expected, ARRAYS[error.extra]))
    text = re.sub(r"\{\{\{\w+\}\}\}|\{\{\w+\}\}", lambda hole: filled(hole[0], next(values, None)), text)
    return f"{error.error}: {text}" if code else text


ARRAYS = {"n": "numbers", "s": "strings", "b": "booleans", "o": "objects", "f": "functions", "a": "arrays"}


def filled(hole: str, value: Any) -> str:
    """A placeholder of the catalogue: three braces show the value as it is, two as JSON."""
    return str(value) if hole.startswith("{{{") else json.dumps(value, ensure_ascii=False, default=str)


def library_fault(error: Exception) -> str:
    """What to say for an exception that the library should have made a JSONata error."""
    number = re.fullmatch(r"could not convert string to float: '(.*)'", str(error))
    if number:
        return f". D3030: Unable to cast value to a number: {json.dumps(number[1])}"
    time = re.fullmatch(r"Invalid isoformat string: '(.*)'", str(error))
    if time:
        text = "The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given"
        return f". D3110: {text} {json.dumps(time[1])}"
    return f": {error}"


def plain(value: Any) -> Any:
    """A JSON value of its own from what JSONata returned.

    Raises:
        TypeError: there is a function or another thing in it that JSON cannot hold.
    """
    if value is Utils.NULL_VALUE or value is None:
        return None
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        name = numbers.named(value)
        return name if name is not None else int(value) if value.is_integer() and abs(value) < 1e15 else value
    if isinstance(value, list):
        return [plain(value[i]) for i in range(len(value))]  # by index: the library's ranges iterate one short
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    raise TypeError(type(value).__name__)


def type_name(value: Any) -> str:
    """The JSON type of a value, in AWS's words."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    for kind, name in (((int, float), "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"


def is_expression(value: Any) -> bool:
    """Whether a JSON value of a definition is a JSONata expression: a string that is wholly `{% … %}`."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


Template = Any  # JSON with Expression objects in it


def parse_template(value: Any, location: str, problem: Callable[[str, str], None]) -> Template:
    """Compile the expressions in a JSON value; `problem(location, text)` hears of every one with a syntax error."""
    if is_expression(value):
        try:
            return Expression(value[2:-2].strip(), location)
        except JException as error:
            problem(location, message(error, code=False))
            return None
    if isinstance(value, dict):
        return {k: parse_template(v, f"{location}/{k}", problem) for k, v in value.items()}
    if isinstance(value, list):
        return [parse_template(v, f"{location}[{i}]", problem) for i, v in enumerate(value)]
    return value


def render(template: Template, variables: Variables) -> Any:
    """The JSON value of a template.

    Raises:
        EvaluationError: an expression in it failed.
    """
    if isinstance(template, Expression):
        return template.evaluate(variables)
    if isinstance(template, dict):
        return {k: render(v, variables) for k, v in template.items()}
    if isinstance(template, list):
        return [render(v, variables) for v in template]
    return template


def expressions(template: Template) -> list[Expression]:
    """Every expression in a template."""
    if isinstance(template, Expression):
        return [template]
    inner = template.values() if isinstance(template, dict) else template if isinstance(template, list) else ()
    return [found for part in inner for found in expressions(part)]
