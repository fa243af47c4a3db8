"""JSONata: the functions Step Functions adds, and what it says when an expression fails. Source: developer guide,
"Transforming data with JSONata"; jsonata.org, error codes."""

from typing import Any

import pytest

from tests.conformance.machinery import Engine, machine

INPUT = {"n": 5, "f": 2.0, "none": None, "xs": [1, 2, 3], "o": {"a": 1}, "s": "abc", "json": '{"a":[1]}'}
VALUES: list[tuple[str, Any]] = [
    ("$states.input.xs[0]", 1),
    ("$states.input.none", None),
    ("$states.input.f", 2),
    ("6 / 4", 1.5),
    ("6 / 2", 3),
    ("[1..3]", [1, 2, 3]),
    ("$partition([1,2,3,4,5], 2)", [[1, 2], [3, 4], [5]]),
    ("$range(0, 6, 2)", [0, 2, 4, 6]),
    ("$range(5, 1, -2)", [5, 3, 1]),
    ('$hash("input", "SHA-1")', "140f86aae51ab9e1cda9b4254fe98a74eb54c1a1"),
    ('$length($hash("input", "SHA-512"))', 128),
    ("$random(42)", 0.7275636800328681),
    ("$random() < 1", True),
    ("$length($uuid())", 36),
    ("$parse($states.input.json).a", [1]),
    ("$parse('null')", None),
    ("$merge([$states.input.o, {'b': 2}])", {"a": 1, "b": 2}),
    ("$map($states.input.xs, function($v) { $v * 2 })", [2, 4, 6]),
    ("$states.input.xs ~> $sum()", 6),
    ("$contains('abc', /b/)", True),
    ("$states.context.Execution.Name", "run"),
    ("$states.context.Execution.RedriveCount", 0),
    ("$states.context.StateMachine.Name", "machine"),
    ("$states.context.State.Name", "A"),
    ("$exists($states.context.State.RetryCount)", False),
    ("'it' & \"'s\"", "it's"),
    ("$string({'a': [1, null]})", '{"a":[1,null]}'),
    ("($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(5))", 120),
    ("1 / 0", "Infinity"),
    ("-1 / 0", "-Infinity"),
    ("0 / 0", "NaN"),
    ("1e300 * 1e300", "Infinity"),
    ("[2, 1 / 0]", [2, "Infinity"]),
    ("{'k': 1 / 0}", {"k": "Infinity"}),
    ("1 / 0 > 5", True),
    ("7.5 % 2", 1.5),
    ("-7 % 3", -1),
    ("$parseInteger('many', '0')", "NaN"),
    ("$parseInteger('12', '0')", 12),
    ("$partition([1,2,3])", [[1, 2, 3]]),
    ("$partition([1,2,3], 2.9)", [[1, 2], [3]]),
    ("$range(-1.7, 2, 1)", [-1, 0, 1, 2]),
    ("$range(5, 1, -1.5)", [5, 4, 3, 2, 1]),
    ("$range(4, 4, 1)", 4),
    ("$random(42.9)", 0.7275636800328681),
    ("$map(['[1]', '{}'], $parse)", [[1], {}]),
    ("$string(1e20)", "100000000000000000000"),
    ("$string(1e21)", "1e+21"),
    ("$string(1e-6)", "0.000001"),
    ("$string(1e-7)", "1e-7"),
    ("$string({'third': 1 / 3})", '{"third":0.333333333333333}'),
    ("'at ' & 2e19", "at 20000000000000000000"),
]
FAULTS = [
    ("$states.input.nope", "returned nothing (undefined)."),
    ("$states.input.xs[9]", "returned nothing (undefined)."),
    (
        "$abs('x')",
        'threw an error during evaluation. T0410: Argument 1 of function "abs" does not match function signature',
    ),
    (
        "$sum('a')",
        'threw an error during evaluation. T0412: Argument 1 of function "sum" must be an array of "numbers"',
    ),
    (
        "1 + 'a'",
        'threw an error during evaluation. T2002: The right side of the "+" operator must evaluate to a number',
    ),
    ("$nope(1)", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
    ("$eval('1')", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
    ("$number('x')", 'threw an error during evaluation. D3030: Unable to cast value to a number: "x"'),
    ("$error('stop')", "threw an error during evaluation. D3137: stop"),
    (
        "[1..900000]",
        "threw an error during evaluation: Expression evaluation memory limit exceeded: Check for excessive memory usage",
    ),
    (
        "$range(1, 400000, 1)",
        "threw an error during evaluation: Expression evaluation memory limit exceeded: Check for excessive memory usage",
    ),
    (
        "($f := function($n) { 1 + $f($n + 1) }; $f(1))",
        "threw an error during evaluation: Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive.",
    ),
    ("$sum", "returned an unsupported result type."),
    ("1 / 0 + 1", "threw an error during evaluation. D1001: Number out of range: Infinity"),
    (
        "$string(1 / 0)",
        "threw an error during evaluation. D3001: Attempting to invoke string function on Infinity or NaN",
    ),
    ("$partition([1], 0)", "returned nothing (undefined)."),
    ("$partition([], 1)", "returned nothing (undefined)."),
    ("$partition([1], -1)", "threw an error during evaluation. D3137: Second argument must be zero or greater"),
    ("$range(1, 5)", "returned nothing (undefined)."),
    ("$range(5, 1, 1)", "returned nothing (undefined)."),
    ("$range(1, 5, 0)", "returned nothing (undefined)."),
    (
        "$range(1)",
        'threw an error during evaluation. T0410: Argument 2 of function "range" does not match function signature',
    ),
    ("$hash('abc')", "returned nothing (undefined)."),
    (
        "$hash(42, 'MD5')",
        'threw an error during evaluation. T0410: Argument 1 of function "hash" does not match function signature',
    ),
    (
        "$uuid('abc')",
        'threw an error during evaluation. T0410: Argument 1 of function "uuid" does not match function signature',
    ),
    ("$parse('[1] 2')", "threw an error during evaluation. D3137: Invalid JSON"),
    ('$parse(\'{"a":1,"a":2}\')', "threw an error during evaluation. D3137: Invalid JSON"),
    (
        "$parse(null)",
        'threw an error during evaluation. T0410: Argument 1 of function "parse" does not match function signature',
    ),
    (
        "$toMillis('soon')",
        "threw an error during evaluation. D3110: The argument of the toMillis function must be an ISO 8601 formatted "
        'timestamp. Given "soon"',
    ),
]


@pytest.mark.parametrize(("expression", "value"), VALUES, ids=[expression for expression, _ in VALUES])
def test_an_expression_yields(expression: str, value: Any) -> None:
    with Engine() as engine:
        ended = engine.run(
            machine({"A": {"Type": "Pass", "Output": {"v": f"{{% {expression} %}}"}, "End": True}}), INPUT
        )
        assert ended.get("output") == engine_json({"v": value}), ended


@pytest.mark.parametrize(("expression", "said"), FAULTS, ids=[expression for expression, _ in FAULTS])
def test_a_failed_expression_says_which_and_where(expression: str, said: str) -> None:
    with Engine() as engine:
        ended = engine.run(
            machine({"A": {"Type": "Pass", "Output": {"v": f"{{% {expression} %}}"}, "End": True}}), INPUT
        )
    assert ended["error"] == "States.QueryEvaluationError"
    assert ended["cause"] == (
        "An error occurred while executing the state 'A' (entered at the event id #2). "
        f"The JSONata expression '{expression}' specified for the field 'Output/v' {said}"
    )


def engine_json(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"))
