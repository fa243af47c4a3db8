"""Names in expressions, checked before anything runs: top-level references, `$states` members, scopes of variables.

An undefined variable is no problem here: AWS accepts it, and the state fails when it evaluates to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.stepfunctions.definition import MISSING, Choice, Diagnostic, Map, Parallel, Program, State
from local.stepfunctions.jsonata import Expression, Template, expressions

UNSUPPORTED = "UNSUPPORTED_JSONATA_EXPRESSION"
RESULT = frozenset({"Task", "Parallel", "Map"})


def check_variables(program: Program) -> list[Diagnostic]:
    """Problems with the names that expressions and Assign use."""
    problems: list[Diagnostic] = []
    visit(program, "", frozenset(), problems)
    return problems


def visit(program: Program, where: str, outer: frozenset[str], problems: list[Diagnostic]) -> None:
    """Check a program whose surrounding programs assign the names in `outer`."""
    own: set[str] = set()
    for state in program.states.values():
        at = f"{where}/States/{state.name}"
        for name in assigned(state):
            if name in outer:
                problems.append(Diagnostic(
                    "SCHEMA_VALIDATION_FAILED", f"The variable '{name}' is already assigned in an outer scope",
                    f"{at}/Assign",
                ))  # fmt: skip
            own.add(name)
        for expression, members in fields(state):
            problems += [
                Diagnostic(UNSUPPORTED, text, f"{at}/{expression.location}") for text in bad(expression, members)
            ]
    for state in program.states.values():
        at = f"{where}/States/{state.name}"
        if isinstance(state, Parallel):
            for i, branch in enumerate(state.branches):
                visit(branch, f"{at}/Branches[{i}]", outer | own, problems)
        elif isinstance(state, Map):  # the children of a distributed Map see none of its variables
            visit(state.processor, f"{at}/ItemProcessor", frozenset() if state.distributed else outer | own, problems)


def sources(state: State) -> list[Any]:
    """The state and the rules and catchers in it: all that can assign."""
    return [state, *state.catch, *(state.rules if isinstance(state, Choice) else ())]


def assigned(state: State) -> set[str]:
    """The variables a state may assign."""
    return {name for source in sources(state) if source.assign is not MISSING for name in source.assign}


def fields(state: State) -> Iterator[tuple[Expression, frozenset[str]]]:
    """Every expression of a state, with the members of `$states` it may use."""
    base = frozenset({"input", "context"})
    for source in sources(state):
        extra = (
            {"errorOutput"}
            if source in state.catch
            else {"result"}
            if source is state and state.type in RESULT
            else set()
        )
        for template in (source.assign, source.output):
            yield from ((found, base | extra) for found in expressions(template))
    skip = {"name", "type", "next", "assign", "output", "retry", "catch", "branches", "processor", "rules"}
    for name in type(state).__dataclass_fields__:
        if name not in skip:
            yield from ((found, base) for found in expressions(unwrapped(getattr(state, name))))
    for rule in state.rules if isinstance(state, Choice) else ():
        yield from ((found, base) for found in expressions(rule.condition))


def unwrapped(value: Any) -> Template:
    """A field's template; ItemReader, ItemBatcher and ResultWriter hold several."""
    slots = getattr(value, "__dataclass_fields__", None)
    return [getattr(value, name) for name in slots] if slots else value


def bad(expression: Expression, members: frozenset[str]) -> list[str]:
    """What an expression refers to that is not there."""
    problems = []
    for kind, name, member in references(expression.compiled.ast, frozenset(), top=True):
        if kind == "name":
            problems.append(f"Reference to '{name}' at the top level is not supported.")
        elif kind == "variable" and name in ("", "$"):
            problems.append(f"Reference to '${name}' at the top level is not supported.")
        elif name == "states" and member is not None and member not in members:
            problems.append(f"Reference to '$states.{member}' is not supported in the field '{expression.location}'.")
    return problems


def variables(program: Program) -> dict[str, list[str]]:
    """`variableReferences`: the variables that each state's expressions use."""
    found: dict[str, list[str]] = {}
    for state in program.states.values():
        names = {
            name
            for expression, _ in fields(state)
            for kind, name, _ in references(expression.compiled.ast, frozenset(), top=True)
            if kind == "variable" and name not in ("", "$", "states")
        }
        if names:
            found[state.name] = sorted(names)
        inner = state.branches if isinstance(state, Parallel) else (state.processor,) if isinstance(state, Map) else ()
        for sub in inner:
            found |= variables(sub)
    return found


def references(node: Any, local: frozenset[str], top: bool = False) -> Iterator[tuple[str, str, str | None]]:
    """(kind, name, member) of what a syntax tree refers to outside itself.

    Kind is `variable` or `name`, a field of the context value; there is a context only inside a path, so a name is only
    given where there is none (`top`). The member is the first step after a variable.
    """
    if isinstance(node, list | tuple):
        for item in node:
            yield from references(item, local, top)
        return
    kind = getattr(node, "type", None)
    if kind is None:
        return
    if kind == "path":
        yield from path(node, local, top)
    elif kind == "variable":
        if node.value not in local and (top or node.value not in ("", "$")):
            yield "variable", node.value, None
    elif kind == "name" and top:
        yield "name", node.value, None
    elif kind == "block":
        scope = local
        for part in node.expressions:
            yield from references(part, scope, top)
            if getattr(part, "type", None) == "bind":
                scope |= {part.lhs.value}
    elif kind == "bind":
        yield from references(node.rhs, local | {node.lhs.value}, top)
    elif kind == "lambda":
        yield from references(node.body, local | {argument.value for argument in node.arguments}, False)
    elif kind in ("function", "partial"):
        if getattr(node.procedure, "type", None) != "variable":
            yield from references(node.procedure, local, top)
        yield from references(node.arguments, local, top)
    else:
        for name, value in vars(node).items():
            if name not in ("_outer_instance", "ancestor", "seeking_parent"):
                yield from references(
                    value, local, top and kind != "transform" and name not in ("predicate", "stages", "terms")
                )


def path(node: Any, local: frozenset[str], top: bool) -> Iterator[tuple[str, str, str | None]]:
    """The references of a path: its first step stands where the path stands, the others have a context."""
    first, *rest = node.steps
    if getattr(first, "type", None) == "variable" and first.value not in local:
        member = rest[0].value if rest and getattr(rest[0], "type", None) == "name" else None
        if top or first.value not in ("", "$"):
            yield "variable", first.value, member
    else:
        yield from references(first, local, top)
    for step in (first, *rest):
        for stage in ("predicate", "stages"):
            yield from references(getattr(step, stage, None) or [], local, False)
    yield from references(rest, local, False)
    yield from references(getattr(node, "group", None) or [], local, False)
