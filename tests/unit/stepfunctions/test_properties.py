"""Random well-formed machines: they never break the engine, they end, and a redrive re-runs nothing that succeeded."""

import itertools
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.machinery import Engine, FunctionError, lambda_task, machine

EXPRESSIONS = st.sampled_from(
    [
        "{% $states.input %}",
        "{% $v %}",
        "{% 1 / 0 %}",
        "{% $states.input.x.y %}",
        "{% [1..3] %}",
        "{% $string($states.input) %}",
        "{% $states.input + 1 %}",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | EXPRESSIONS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def programs(draw: Any, depth: int, names: Any) -> dict[str, Any]:
    """A chain of states that ends."""
    chain = [next(names) for _ in range(draw(st.integers(1, 3)))]
    states = {}
    for name, target in itertools.zip_longest(chain, chain[1:]):
        state = draw(bodies(depth, names))
        leads = {"Next": target} if target else {"End": True}
        if state["Type"] == "Choice":
            state |= {
                "Choices": [
                    {
                        "Condition": draw(st.sampled_from([True, False, "{% $states.input = 1 %}", "{% $v %}"])),
                        "Next": target or name,
                    }
                ],
                "Default": target or name,
            }
            if not target:
                state, leads = {"Type": "Succeed"}, {}
            else:
                leads = {}
        states[name] = {**state, **leads}
    return {"StartAt": chain[0], "States": states}


@st.composite
def bodies(draw: Any, depth: int, names: Any) -> dict[str, Any]:
    """A state without its transition."""
    kind = draw(st.sampled_from(["Pass", "Wait", "Choice", "Task", *(["Parallel", "Map"] if depth else [])]))
    state: dict[str, Any] = {"Type": kind}
    if kind == "Wait":
        state["Seconds"] = draw(st.integers(0, 99) | st.just("{% $states.input %}"))
    if kind == "Task":
        state = {
            **lambda_task("maybe", draw(VALUES)),
            "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": draw(st.integers(0, 2))}],
        }
        del state["End"]
    if kind == "Parallel":
        state["Branches"] = [draw(programs(depth - 1, names)) for _ in range(draw(st.integers(1, 2)))]
    if kind == "Map":
        state |= {"Items": draw(st.lists(VALUES, max_size=3)), "ItemProcessor": draw(programs(depth - 1, names))}
        if draw(st.booleans()):
            state["ItemProcessor"]["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    if kind != "Choice" and draw(st.booleans()):
        state["Output"] = draw(VALUES)
    if kind == "Pass" and depth == 2 and draw(st.booleans()):
        state["Assign"] = {"v": draw(VALUES)}
    return state


def maybe(payload: Any) -> Any:
    """A function that dislikes some payloads."""
    if payload in (1, "", None, True):
        raise FunctionError("Disliked", json.dumps(payload))
    return payload


@SETTINGS
@given(st.data())
def test_every_machine_ends_and_its_history_is_whole(data: Any) -> None:
    definition = machine({}, start="x")
    definition |= data.draw(programs(2, (f"S{n}" for n in itertools.count())))
    with Engine() as engine:
        engine.aws.functions["maybe"] = maybe
        execution = engine.start(engine.create(definition), data.draw(st.integers(0, 2)))
        ended = engine.wait(execution)
        assert ended["status"] in ("SUCCEEDED", "FAILED")
        assert "Internal fault" not in ended.get("cause", "")
        events = engine("GetExecutionHistory", executionArn=execution, maxResults=1000)["events"]
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        assert all(0 <= event["previousEventId"] < event["id"] for event in events)
        assert events[-1]["type"] == ("ExecutionSucceeded" if ended["status"] == "SUCCEEDED" else "ExecutionFailed")


@SETTINGS
@given(st.data())
def test_a_redrive_never_runs_again_what_succeeded(data: Any) -> None:
    tasks = data.draw(st.integers(1, 5))
    shape = data.draw(st.sampled_from(["chain", "map", "parallel"]))
    broken = data.draw(st.sets(st.integers(0, tasks - 1), min_size=1))
    calls: list[int] = []
    healthy = False

    def work(payload: int) -> int:
        calls.append(payload)
        if payload in broken and not healthy:
            raise FunctionError("Broken")
        return payload

    if shape == "chain":
        states: dict[str, Any] = {
            f"T{n}": lambda_task("work", n, **({"Next": f"T{n + 1}"} if n + 1 < tasks else {})) for n in range(tasks)
        }
    elif shape == "map":
        states = {
            "M": {
                "Type": "Map",
                "Items": list(range(tasks)),
                "ItemProcessor": {"StartAt": "T", "States": {"T": lambda_task("work", "{% $states.input %}")}},
                "End": True,
            }
        }
    else:
        states = {
            "P": {
                "Type": "Parallel",
                "Branches": [{"StartAt": f"T{n}", "States": {f"T{n}": lambda_task("work", n)}} for n in range(tasks)],
                "End": True,
            }
        }
    with Engine() as engine:
        engine.aws.functions["work"] = work
        execution = engine.start(engine.create(machine(states)))
        assert engine.wait(execution)["status"] == "FAILED"
        before = engine.history(execution)
        healthy = True
        engine("RedriveExecution", executionArn=execution)
        assert engine.wait(execution)["status"] == "SUCCEEDED"
        assert engine.history(execution).startswith(before)
        succeeded = [row for row in engine.history(execution).splitlines() if "TaskStateExited" in row]
        assert len(succeeded) == tasks
