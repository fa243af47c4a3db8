"""What an expression takes from outside of itself."""

import pytest

from lint.expressions import Reference, references


def names(expression, kind="variable"):
    return [reference.name for reference in references(expression) if reference.kind == kind]


@pytest.mark.parametrize(
    ("expression", "variables"),
    [
        ("$a + $b", ["a", "b"]),
        ("$a.b.c[d = $e]", ["a", "e"]),
        ("-$a", ["a"]),
        ('{"x": $a, "y": [$b, $c ? $d : $e]}', ["a", "b", "c", "d", "e"]),
        ("($x := 1; $x + $a)", ["a"]),
        ("$map($a, function($v, $i) { $v + $i + $b })", ["a", "b"]),
        ("($f := function($n) { $n = 0 ? 1 : $f($n - 1) }; $f($a))", ["a"]),
        ("$a.items@$item#$i.{'n': $item.name, 'i': $i, 'o': $b}", ["a", "b"]),
        ("$a.items^(>$b)", ["a", "b"]),
        ('$a{"sum": $sum($b)}', ["a", "b"]),
        ("$l($a)[$b]", ["a", "b"]),
        ('$a ~> |x|{"b": $b}|', ["a", "b"]),
    ],
)
def test_variables_from_outside(expression, variables):
    assert names(expression) == variables


def test_functions_from_outside():
    assert names("($f := $sum; $f($count($g($a))))", "function") == ["count", "g"]


def test_the_path_after_a_variable():
    assert references("$states.context.Execution.Name") == [
        Reference("variable", "states", ("context", "Execution", "Name"))
    ]


@pytest.mark.parametrize(("expression", "kind"), [("$", "context"), ("$$.a", "context"), ("a.b", "field")])
def test_what_has_no_value_at_the_top_level(expression, kind):
    assert [reference.kind for reference in references(expression)] == [kind]


@pytest.mark.parametrize("expression", ["$states.input.rows.(price * $.count)", "$a[price > 1]", "$a.{'p': price}"])
def test_inside_a_path_there_is_a_context(expression):
    assert names(expression, "context") + names(expression, "field") == []
