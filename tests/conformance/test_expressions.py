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
