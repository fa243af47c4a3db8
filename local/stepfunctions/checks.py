"""What is wrong with a definition as a whole: transitions, reachability, endings, names, variables."""

from __future__ import annotations

from typing import Any

from local.stepfunctions.definition import Choice as ChoiceState
from local.stepfunctions.definition import Diagnostic, Map, Parallel, Program, State
from local.stepfunctions.scopes import check_variables


def check(program: Program, raw: Any) -> list[Diagnostic]:
    """Every problem of a definition whose single fields are all right."""
    problems: list[Diagnostic] = []
    graph(program, "", problems)
    unique(program, "", set(), problems)
    if not problems:
        problems += check_variables(program)
    return problems


def targets(state: State) -> list[tuple[str, str]]:
    """Where a state may lead: the field that says so, and the name."""
    found = [("Next", state.next)]
    if isinstance(state, ChoiceState):
        found += [(f"Choices[{i}]/Next", rule.next) for i, rule in enumerate(state.rules)]
        found.append(("Default", state.default))
    found += [(f"Catch[{i}]/Next", catcher.next) for i, catcher in enumerate(state.catch)]
    return [(field, name) for field, name in found if name is not None]


def inner(state: State, where: str) -> list[tuple[Program, str]]:
    """The programs inside a state."""
    if isinstance(state, Parallel):
        return [(branch, f"{where}/Branches[{i}]") for i, branch in enumerate(state.branches)]
    return [(state.processor, f"{where}/ItemProcessor")] if isinstance(state, Map) else []


def graph(program: Program, where: str, problems: list[Diagnostic]) -> None:
    """Every target exists, every state is reached, and every state can come to an end."""
    reached, todo = {program.start_at}, [program.start_at]
    ends = set()
    leads: dict[str, list[str]] = {}
    for name, state in program.states.items():
        at = f"{where}/States/{name}"
        leads[name] = [target for _, target in targets(state)]
        if state.type in ("Succeed", "Fail") or (state.next is None and state.type != "Choice"):
            ends.add(name)
        for field, target in targets(state):
            if target not in program.states:
                problems.append(
                    Diagnostic("MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {target}", f"{at}/{field}")
                )
        for sub, location in inner(state, at):
            graph(sub, location, problems)
    while todo:
        for target in leads.get(todo.pop(), []):
            if target not in reached:
                reached.add(target)
                todo.append(target)
    for name in program.states:
        if name not in reached:
            problems.append(
                Diagnostic("UNREACHABLE_STATE", f"The state '{name}' is not reachable", f"{where}/States/{name}")
            )
    if program.states and not ends:
        problems.append(Diagnostic("MISSING_END_STATE", "No state ends the workflow", f"{where}/States"))


def unique(program: Program, where: str, names: set[str], problems: list[Diagnostic]) -> None:
    """The names of states are unique in the whole machine."""
    for name, state in program.states.items():
        at = f"{where}/States/{name}"
        if name in names:
            problems.append(Diagnostic("DUPLICATE_STATE_NAME", f"Duplicate State name: {name}", at))
        names.add(name)
        for sub, location in inner(state, at):
            unique(sub, location, names, problems)
