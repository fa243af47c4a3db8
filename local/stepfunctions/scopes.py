"""Names in expressions, checked before anything runs: top-level references, `$states` members, scopes of variables.

An undefined variable is only a warning: AWS accepts it, and the state fails when it evaluates to nothing.
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
    own: frozenset[str] = frozenset()
    for state in program.states.values():
        at = f"{where}/States/{state.name}"
        own |= assigned(state)
        for field, names in assignments(state):
            problems += [
                Diagnostic(
                    "DUPLICATE_VARIABLE_NAME", f"The variable name '{name}' was already defined in a parent scope.",
                    f"{at}/{field}/{name}",
                )
                for name in names if name in outer
            ]  # fmt: skip
        for expression, members in fields(state):
            problems += [
                Diagnostic(UNSUPPORTED, text, f"{at}/{expression.location}") for text in bad(expression, members)
            ]
    for sub, at, known in inside(program, where, outer | own):
        visit(sub, at, known, problems)


def undefined(program: Program, where: str = "", outer: frozenset[str] = frozenset()) -> list[Diagnostic]:
    """Warnings of variables that nothing assigns where they are used."""
    known = outer.union(*(assigned(state) for state in program.states.values()))
    found = [
        Diagnostic(
            "POSSIBLY_UNDEFINED_VARIABLE", f"Variable '{name}' is possibly not defined.",
            f"{where}/States/{state.name}/{expression.location}", "WARNING",
        )
        for state in program.states.values()
        for expression, _ in fields(state)
        for name in sorted(used(expression) - known)
    ]  # fmt: skip
    for sub, at, seen in inside(program, where, known):
        found += undefined(sub, at, seen)
    return found


def inside(program: Program, where: str, known: frozenset[str]) -> Iterator[tuple[Program, str, frozenset[str]]]:
    """The programs in a program's states, where they are, and which of the `known` variables they see."""
    for state in program.states.values():
        at = f"{where}/States/{state.name}"
        if isinstance(state, Parallel):
            yield from ((branch, f"{at}/Branches[{i}]", known) for i, branch in enumerate(state.branches))
        elif isinstance(state, Map):  # the children of a distributed Map see none of its variables
            yield state.processor, f"{at}/ItemProcessor", frozenset() if state.distributed else known


def used(expression: Expression) -> set[str]:
    """The variables an expression uses."""
    found = references(expression.compiled.ast, frozenset(), top=True)
    return {name for kind, name, _ in found if kind == "variable" and name not in ("", "$", "states")}


def assignments(state: State) -> list[tuple[str, list[str]]]:
    """The fields of a state that assign, and what."""
    found: list[tuple[str, Any]] = [("Assign", state)]
    found += [(f"Catch[{i}]/Assign", catcher) for i, catcher in enumerate(state.catch)]
    if isinstance(state, Choice):
        found += [(f"Choices[{i}]/Assign", rule) for i, rule in enumerate(state.rules)]
    return [(field, list(source.assign)) for field, source in found if source.assign is not MISSING]


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
        elif kind == "variable" and name == "$":
            problems.append("Reference to '$$' is not supported.")
        elif kind == "variable" and name == "":
            problems.append(f"Reference to '${name}' at the top level is not supported.")
        elif name == "states" and member is not None and member not in members:
            problems.append(f"Field '$states.{member}' does not exist.")
    return problems


def variables(program: Program) -> dict[str, list[str]]:
    """`variableReferences`: the variables that each state's expressions use."""
    found: dict[str, list[str]] = {}
    for state in program.states.values():
        names: set[str] = set().union(*(used(expression) for expression, _ in fields(state)))
        if names:
            found[state.name] = sorted(names)
    for sub, _, _ in inside(program, "", frozenset()):
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
