"""JSONata in states: templates, the `{% %}` expressions in them, and what AWS says when one fails.

Source: Step Functions developer guide, "Transforming data with JSONata", and JSONata 2.0.6.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.utils import Utils

from local.stepfunctions import errors, functions
from local.stepfunctions.errors import StateFailure

SECONDS = 5.0  # an expression that runs longer is a runaway
Variables = dict[str, Any]


class EvaluationError(StateFailure):
    """An expression that failed: `location` is the field it stood in, as in `Output/total` or `Choices[0]/Condition`."""

    def __init__(self, cause: str, location: str) -> None:
        super().__init__(errors.QUERY, cause)
        self.location = location


class Expression:
    """One `{% … %}` of a definition, compiled once."""

    __slots__ = ("compiled", "location", "source")

    def __init__(self, source: str, location: str) -> None:
        self.source = source
        self.location = location
        self.compiled = compile_expression(source)

    def evaluate(self, variables: Variables) -> Any:
        """The value of the expression.

        Raises:
            EvaluationError: it failed, yielded nothing, or yielded what JSON cannot hold.
        """
        try:
            value = self.compiled.evaluate(None, {**functions.BOUND, **variables})
        except JException as error:
            raise self.failure(f"threw an error during evaluation. {message(error)}") from error
        except RecursionError as error:
            raise self.failure(f"threw an error during evaluation. {STACK}") from error
        except functions.FunctionError as error:
            raise self.failure(f"threw an error during evaluation: {error}") from error
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
            # Faults of the library itself: the expression fails, the engine does not.
            raise self.failure(f"threw an error during evaluation: {error}") from error
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


STACK = "D1011: Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive."


@lru_cache(maxsize=4096)
def compile_expression(source: str) -> Jsonata:
    """The compiled expression; the same source gives the same object.

    Raises:
        JException: a syntax error.
    """
    compiled = Jsonata(source)
    compiled.set_output_convert_nulls(False)
    compiled.set_validate_input(False)
    return compiled


def message(error: JException) -> str:
    """`CODE: text` as the JavaScript implementation words it; the Python port says Object where it says function."""
    text = str(error).replace("of Object ", "of function ").replace("match Object signature", "match function signature")
    if error.error == "T0412":
        kinds = {"n": "numbers", "s": "strings", "b": "booleans", "o": "objects", "f": "functions", "a": "arrays"}
        text = f"Argument {error.current} of function {quoted(error.expected)} must be an array of "
        text += quoted(kinds.get(str(getattr(error, "extra", "")), "values"))
    elif error.error in ("T0410", "T0411"):
        text = text.replace(f"function {error.expected} ", f"function {quoted(error.expected)} ")
    elif error.error in ("T2001", "T2002", "T2010", "T2009"):
        text = text.replace(f"the {error.current} operator", f"the {quoted(error.current)} operator")
    return f"{error.error}: {text}"


def quoted(value: Any) -> str:
    """The value as the JavaScript messages show it: as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


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
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if isinstance(value, list):
        return [plain(value[i]) for i in range(len(value))]  # by index: the library's ranges iterate one short
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    raise TypeError(type(value).__name__)


def type_name(value: Any) -> str:
    """The JSON type of a value, in AWS's words."""
    for kind, name in ((bool, "Boolean"), (int, "Number"), (float, "Number"), (str, "String"), (list, "Array")):
        if isinstance(value, kind):
            return name
    return "Null" if value is None else "Object"


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
            problem(location, f"{error.error}: {error}")
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


def check_imports() -> None:
    """Fail at start, not in a run, when the JSONata library lacks what this module leans on."""
    if not hasattr(Functions, "string") or Jsonata("1 + 1").evaluate(None) != 2:
        raise ImportError("jsonata-python does not behave as version 0.7.1 does")


_ = time  # the deadline of a runaway expression is set by the interpreter's loop
