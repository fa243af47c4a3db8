"""The state machines of template.yaml as SAM hands them over, and every Task in them."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[3]
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/"
State = dict[str, Any]


@cache
def template() -> dict[str, Any]:
    """The resources of template.yaml, as they are written."""
    resources: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    return resources


@cache
def machine_names() -> tuple[str, ...]:
    """Every machine there is a file of."""
    return tuple(sorted(path.name.partition(".")[0] for path in (ROOT / "statemachines").glob("*.asl.json")))


@cache
def _text(name: str) -> str:
    [machine] = [
        resource["Properties"]
        for resource in template().values()
        if str(resource.get("Properties", {}).get("DefinitionUri", "")).endswith(f"/{name}.asl.json")
    ]
    text = (ROOT / machine["DefinitionUri"]).read_text()
    for placeholder, value in machine["DefinitionSubstitutions"].items():
        text = text.replace("${" + placeholder + "}", resolved(value))
    return text


def definition(name: str) -> State:
    """A machine with its substitutions made, to be changed at will."""
    machine: State = json.loads(_text(name))
    return copy.deepcopy(machine)


def resolved(value: Any) -> str:
    """What an intrinsic function comes to: the ARN of a function, the URL of a queue, and else a name of its own."""
    name = value
    if isinstance(value, dict):
        [argument] = value.values()
        name = argument[0] if isinstance(argument, list) else str(argument)
    resource = template().get(str(name).partition(".")[0], {})
    if resource.get("Type") == "AWS::Serverless::Function":
        return FUNCTION + Path(resource["Properties"]["CodeUri"]).name
    return f"{QUEUE}{name}" if resource.get("Type") == "AWS::SQS::Queue" else str(name)


def tasks(machine: State, place: str = "") -> Iterator[tuple[str, State]]:
    """Every Task with the path of its name: `Waves/Models/Steps/Step`."""
    for name, state in machine["States"].items():
        path = f"{place}{name}"
        if state["Type"] == "Task":
            yield path, state
        for inner in [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]:
            yield from tasks(inner, f"{path}/")


def is_bad_end(event: dict[str, Any]) -> bool:
    """Whether a rule of the template brings an event of an execution to the alarm queue."""
    for resource in template().values():
        pattern = resource.get("Properties", {}).get("EventPattern", {})
        targets = [json.dumps(target["Arn"]) for target in resource.get("Properties", {}).get("Targets", [])]
        if event["source"] in pattern.get("source", []) and any("AlarmQueue" in target for target in targets):
            return event["detail"]["status"] in pattern["detail"]["status"]
    raise AssertionError(f"no rule brings {event['source']} to AlarmQueue")
