"""State machines: what runs only when a rare branch is taken must still be right.

Finds what the other validators do not: variables that some path leaves unset, `$states.result` where there is none yet,
API actions and parameters that do not exist, states that nothing reaches or that no end can be reached from. Also asks
for what the team agreed on: a Comment on every state; Retry, Catch and TimeoutSeconds on every Task.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lint.api_shapes import wrong_arguments
from lint.expressions import FUNCTIONS, references
from lint.findings import Finding

State = dict[str, Any]
CONTEXT = {"Execution", "State", "StateMachine", "Task", "Map"}
SUB_MACHINES = {"ItemProcessor", "Branches", "Iterator"}
ENDS = {"Succeed", "Fail"}


def check(root: Path) -> list[Finding]:
    """Check every state machine of the checkout."""
    findings = []
    for path in sorted((root / "statemachines").glob("*.asl.json")):
        name = str(path.relative_to(root))
        try:
            machine = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            findings.append(Finding(name, str(error.lineno), f"not JSON: {error.msg}"))
            continue
        findings += [Finding(name, place, message) for place, message in faults(machine)]
    return findings


def faults(machine: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (path of states, what is wrong) for one machine."""
    found = list(_machine(machine, "", set(), set()))
    if machine.get("QueryLanguage") != "JSONata":
        found.append(("", 'write "QueryLanguage": "JSONata" at the top'))
    return found


def _machine(machine: dict[str, Any], path: str, outer: set[str], outer_set: set[str]) -> Iterator[tuple[str, str]]:
    """Check one machine or sub-machine. `outer`: what enclosing ones assign; `outer_set`: surely set by then."""
    states: dict[str, State] = machine.get("States", {})
    start = machine.get("StartAt", "")
    for name, state in states.items():
        for target, _ in _edges(state):
            if target not in states:
                yield f"{path}{name}", f"leads to {target!r}, which is no state here"
    if start not in states:
        yield path or "StartAt", f"StartAt is {start!r}, which is no state here"
        return
    reached = _reached(states, start)
    for name in states:
        if name not in reached:
            yield f"{path}{name}", "nothing leads here; remove it, or lead somewhere to it"
        elif not any(states[end].get("End") or states[end]["Type"] in ENDS for end in _reached(states, name)):
            yield f"{path}{name}", "never ends: no state reachable from here ends the machine"
    assigned = {variable for state in states.values() for _, variables in _assigns(state) for variable in variables}
    for variable in sorted(assigned & outer):
        yield path, f"assigns ${variable}, which an outer machine has too; variables cannot be shadowed, rename it"
    surely = _surely_set(states, start, outer_set)
    for name, state in states.items():
        place = f"{path}{name}"
        yield from _agreed(place, state)
        yield from _expressions(place, state, surely.get(name, set()), assigned | outer)
        if state["Type"] == "Task":
            for below, message in wrong_arguments(state.get("Resource", ""), state.get("Arguments", {})):
                yield f"{place}.Arguments{below}", message
        for sub_place, sub_machine in _sub_machines(state):
            distributed = sub_machine.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
            inside = (set(), set()) if distributed else (assigned | outer, surely.get(name, set()))
            yield from _machine(sub_machine, f"{place}{sub_place}/", *inside)


def _agreed(place: str, state: State) -> Iterator[tuple[str, str]]:
    """Yield what the team asks of every state and Task. A Map's or Parallel's Catch does not stand in for a Task's."""
    if not state.get("Comment"):
        yield place, 'has no Comment; write "Comment": why this state is there'
    if state["Type"] == "Task":
        for field, why in (
            ("Retry", "throttles and service faults pass by themselves"),
            ("Catch", "a failure must reach an alarm"),
            ("TimeoutSeconds", "without it a lost answer waits for a year"),
        ):
            if not state.get(field):
                yield place, f"a Task needs {field}: {why}"
        text = json.dumps(state.get("Arguments", {}))
        if state.get("Resource", "").endswith(".waitForTaskToken") and "$states.context.Task.Token" not in text:
            yield place, "waits for a task token but passes none; put {% $states.context.Task.Token %} into Arguments"


def _expressions(place: str, state: State, surely: set[str], known: set[str]) -> Iterator[tuple[str, str]]:
    """Check every expression of one state (not of the machines inside it)."""
    after_work = {"result"} if state["Type"] in ("Task", "Map", "Parallel") else set()
    for field, value in state.items():
        if field in SUB_MACHINES or field == "Comment":
            continue
        extra = {"Catch": {"errorOutput"}, "Output": after_work, "Assign": after_work}.get(field, set())
        for below, text in _strings(value, f"{place}.{field}"):
            yield from _expression(below, text, {"input", "context"} | extra, surely, known)


def _expression(
    place: str, text: str, fields: set[str], surely: set[str], known: set[str]
) -> Iterator[tuple[str, str]]:
    if not text.startswith("{%"):
        if "{%" in text:
            yield place, f"an expression must be the whole string: write {{% 'text' & $value %}} instead of {text!r}"
        return
    if not text.endswith("%}"):
        yield place, f"{text!r} does not end with %}}"
        return
    try:
        found = references(text[2:-2].strip())
    except Exception as error:  # the parser raises several kinds
        yield place, f"{text!r} is not JSONata: {error}"
        return
    for reference in found:
        name = reference.name
        if reference.kind == "function":
            if name not in FUNCTIONS:
                yield place, f"${name}() is no function of Step Functions"
        elif reference.kind in ("context", "field"):
            yield place, f"{name!r} has no value here; start from $states.input or a variable"
        elif name == "states":
            yield from _states_path(place, reference.path, fields)
        elif name not in known:
            yield place, f"${name} is assigned nowhere"
        elif name not in surely:
            yield place, f"${name} is not set on every path that leads here; assign it on all of them"


def _states_path(place: str, path: tuple[str, ...], fields: set[str]) -> Iterator[tuple[str, str]]:
    if path and path[0] not in fields:
        yield place, f"$states.{path[0]} is not available here; only {', '.join(sorted(fields))}"
    if path[:1] == ("context",) and len(path) > 1 and path[1] not in CONTEXT:
        yield place, f"$states.context.{path[1]} does not exist; only {', '.join(sorted(CONTEXT))}"


def _edges(state: State) -> list[tuple[str, set[str]]]:
    """Return (next state, variables assigned on the way) for each way out of a state."""
    own = set(state.get("Assign", {}))
    out = [(choice["Next"], set(choice.get("Assign", {}))) for choice in state.get("Choices", []) if "Next" in choice]
    out += [(catch["Next"], set(catch.get("Assign", {}))) for catch in state.get("Catch", []) if "Next" in catch]
    return out + [(state[field], own) for field in ("Next", "Default") if field in state]


def _assigns(state: State) -> list[tuple[str, set[str]]]:
    return [*_edges(state), ("", set(state.get("Assign", {})))]


def _reached(states: dict[str, State], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name not in seen and name in states:
            seen.add(name)
            todo += [target for target, _ in _edges(states[name])]
    return seen


def _surely_set(states: dict[str, State], start: str, outer: set[str]) -> dict[str, set[str]]:
    """Return, for each reachable state, the variables that every path to it has set (a fixed point over the graph)."""
    sets = {start: set(outer)}
    todo = [start]
    while todo:
        name = todo.pop()
        for target, assigned in _edges(states[name]):
            arriving = sets[name] | assigned
            if target in states and (target not in sets or not sets[target] <= arriving):
                sets[target] = sets[target] & arriving if target in sets else arriving
                todo.append(target)
    return sets


def _sub_machines(state: State) -> list[tuple[str, dict[str, Any]]]:
    if state["Type"] == "Map":
        return [("", state.get("ItemProcessor", {}))]
    return [(f"[{index}]", branch) for index, branch in enumerate(state.get("Branches", []))]


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{place}[{index}]")
    elif isinstance(value, str):
        yield place, value
