"""Where the inputs of a step really are: `@prepare.train`, `@split.files/box/`, `@box/approved.model`, and so on."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxcar.attributes import Item, decode
from boxcar.errors import StepError
from boxcar.jobs.names import job_id
from boxcar.jobs.record import COMPLETED, Job

_REFERENCE = re.compile(
    r"@(?:(?P<model>\.|[A-Za-z0-9_-]+)/approved|(?P<step>[a-z][a-z0-9_]*))\.(?P<output>\w+)(?P<within>(?:/[\w-]+)+/)?(?P<optional>\?)?"
)


@dataclass(frozen=True)
class Surroundings:
    """What a step may refer to."""

    stack: str
    run: str
    model: str
    family: str
    model_steps: tuple[str, ...]
    run_steps: tuple[str, ...]


def resolve(
    step: str,
    inputs: dict[str, str],
    around: Surroundings,
    get_job: Callable[[str], Job | None],
    approved_outputs: Callable[[str, str], dict[str, str] | None],
) -> dict[str, str]:
    """Every input as an S3 URI. A reference to an approved version that ends in `?` is left out when there is none.

    Args:
        step: who asks, for messages.
        inputs: name -> URI or reference.
        around: what exists.
        get_job: a job by its id.
        approved_outputs: outputs of the approved version by family and model; None if there is none.

    Raises:
        StepError: names step, field and reference, and says what exists.
    """
    found: dict[str, Job | None] = {}

    def of_job(key: str) -> Job | None:
        if key not in found:
            found[key] = get_job(key)
        return found[key]

    resolved = {}
    for name, value in inputs.items():
        if not value.startswith("@"):
            resolved[name] = value
            continue
        where = f"step {step}: inputs.{name}: {value}"
        match = _REFERENCE.fullmatch(value)
        if match is None:
            raise StepError(f"{where}: cannot be read; write @<step>.<output> or @<model>/approved.<output>")
        if match["optional"] and not match["model"]:
            raise StepError(f"{where}: only an approved version may be missing; write it without the question mark")
        if match["model"]:
            model = around.model if match["model"] == "." else match["model"]
            if not model:
                raise StepError(f"{where}: this job belongs to no model; write @<model>/approved.<output>")
            outputs = approved_outputs(around.family, model)
            if match["optional"] and match["output"] not in (outputs or {}):
                continue
            if outputs is None:
                raise StepError(f"{where}: model {model!r} of family {around.family!r} has no approved version")
            source = f"its approved version has the outputs {_listed(outputs)}"
        else:
            outputs = _of_step(where, match["step"], around, of_job)
            source = f"step {match['step']} has the outputs {_listed(outputs)}"
        if match["output"] not in outputs:
            raise StepError(f"{where}: there is no output {match['output']!r}; {source}")
        resolved[name] = outputs[match["output"]] + (match["within"] or "").removeprefix("/")
    return resolved


def is_own_approved(reference: str) -> bool:
    """Whether a reference is to the approved version of the very model that has the step."""
    match = _REFERENCE.fullmatch(reference)
    return match is not None and match["model"] == "."


class ApprovedVersions:
    """Approved versions, from the models table."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def outputs(self, family: str, model: str) -> dict[str, str] | None:
        """Name → address; None without a version."""
        item = self._item(family, model)
        return dict(decode(item["outputs"])) if "outputs" in item else None

    def run(self, family: str, model: str) -> str:
        """The run that made the version, "" without one."""
        return str(decode(self._item(family, model).get("run", {"S": ""})))

    def _item(self, family: str, model: str) -> Item:
        key = {"pk": {"S": f"model#{family}/{model}"}, "sk": {"S": "approved"}}
        item: Item = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {})
        return item


def _of_step(where: str, name: str, around: Surroundings, of_job: Callable[[str], Job | None]) -> dict[str, str]:
    if name in around.model_steps:
        model = around.model
    elif name in around.run_steps:
        model = ""
    else:
        raise StepError(
            f"{where}: there is no step {name!r}; {_listed((*around.model_steps, *around.run_steps))} exist"
        )
    job = of_job(job_id(around.stack, around.run, model, name))
    if job is None:
        raise StepError(f"{where}: step {name!r} has not been submitted in run {around.run!r}; put it before this one")
    if job.status != COMPLETED:
        raise StepError(f"{where}: step {name!r} is {job.status}, not Completed (job {job.id})")
    return job.outputs


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "(none)"
