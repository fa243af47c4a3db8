"""What a JSONata expression of a state refers to: its free variables, functions and fields.

Step Functions gives an expression no context value: everything comes from `$states` or from variables, so `$`, `$$` and
a bare field name mean nothing at its top level
(https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# JSONata's own functions, less $eval; the last five are those that Step Functions adds
# (https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html).
# fmt: off
FUNCTIONS = frozenset({
    "sum", "count", "max", "min", "average", "string", "substring", "substringBefore", "substringAfter",
    "lowercase", "uppercase", "length", "trim", "pad", "match", "contains", "replace", "split", "join",
    "formatNumber", "formatBase", "formatInteger", "parseInteger", "number", "floor", "ceil", "round", "abs",
    "sqrt", "power", "random", "boolean", "not", "map", "zip", "filter", "single", "reduce", "sift", "keys",
    "lookup", "append", "exists", "spread", "merge", "reverse", "each", "error", "assert", "type", "sort",
    "shuffle", "distinct", "base64encode", "base64decode", "encodeUrlComponent", "encodeUrl", "decodeUrlComponent",
    "decodeUrl", "now", "millis", "fromMillis", "toMillis", "clone", "partition", "range", "hash", "uuid", "parse",
})
# fmt: on


@dataclass(frozen=True)
class Reference:
    """A name that an expression takes from outside of itself."""

    kind: str  # variable, function, context ($ or $$) or field (a bare name)
    name: str
    path: tuple[str, ...] = ()  # the fields that follow a variable, as far as they are plain names


def references(expression: str) -> list[Reference]:
    """Return what an expression (without its `{% %}`) refers to.

    Raises:
        Exception: the expression is not JSONata; the message is the parser's.
    """
    from jsonata import Jsonata

    return list(_walk(Jsonata(expression).ast, frozenset(), top=True))


def _walk(node: Any, bound: frozenset[str], top: bool) -> Iterator[Reference]:
    """Yield the references below `node`. `bound`: names the expression binds itself; `top`: there is no context."""
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _walk(item, bound, top)
    if not hasattr(node, "type"):
        return
    if node.type == "block":
        for expression in node.expressions:
            yield from _walk(expression, bound, top)
            if expression.type == "bind":
                bound = bound | {expression.lhs.value}
    elif node.type == "bind":
        yield from _walk(node.rhs, bound | {node.lhs.value}, top)  # a function may call itself
    elif node.type == "lambda":
        yield from _walk(node.body, bound | {argument.value for argument in node.arguments}, top)
    elif node.type in ("function", "partial"):
        yield from _call(node, bound, top)
    elif node.type == "path":
        yield from _path(node, bound, top)
    else:
        if node.type == "variable" and node.value not in bound:
            yield from _variable(node.value, (), top)
        yield from _parts(node, bound, top)


def _call(node: Any, bound: frozenset[str], top: bool) -> Iterator[Reference]:
    if node.procedure.type != "variable":
        yield from _walk(node.procedure, bound, top)
    elif node.procedure.value not in bound:
        yield Reference("function", node.procedure.value)
    yield from _walk(node.arguments, bound, top)
    yield from _walk(getattr(node, "predicate", None), bound, top=False)
    yield from _walk(getattr(node, "group", None), bound, top=False)


def _path(node: Any, bound: frozenset[str], top: bool) -> Iterator[Reference]:
    first, rest = node.steps[0], node.steps[1:]
    if first.type == "variable":
        if first.value not in bound:
            plain: list[str] = []
            for step in rest:
                if step.type != "name":
                    break
                plain.append(step.value)
            yield from _variable(first.value, tuple(plain), top)
        yield from _parts(first, bound, top)
    else:
        if first.type == "name" and top:
            yield Reference("field", first.value)
        yield from _walk(first, bound, top)
    for step in rest:
        yield from _walk(step, bound, top=False)
        bound = bound | {name for name in (getattr(step, "focus", None), getattr(step, "index", None)) if name}
    yield from _walk(getattr(node, "group", None), bound, top=False)


def _variable(name: str, path: tuple[str, ...], top: bool) -> Iterator[Reference]:
    if name not in ("", "$"):
        yield Reference("variable", name, path)
    elif top or name == "$":
        yield Reference("context", f"${name}")


def _parts(node: Any, bound: frozenset[str], top: bool) -> Iterator[Reference]:
    """Walk whatever else hangs on a node; filters, groups and sort terms have a context of their own."""
    for name, part in vars(node).items():
        if name != "_outer_instance":
            own_context = name in ("stages", "predicate", "group", "terms", "pattern", "update", "delete")
            yield from _walk(part, bound, top and not own_context)
