"""From a request and a family to the plan of a run: which models, in which waves, by which steps."""

import hashlib
import json
from typing import Any

from boxcar.errors import TriggerError
from boxcar.families import AppliedArchitecture, Family, FamilyVersion, StepChange, gate_of, waves
from boxcar.family_checks import check_family, parameter_faults
from boxcar.plans import ModelPlan, Plan
from boxcar.requests import TrainingRequest, Trigger
from boxcar.steps import Cache, Step

# A step waits for its job at most as long as the job may wait and run, and for the sweep to notice the end.
SWEEP_ALLOWANCE_S = 3600
# AWS ends a task that waits for a token after a year at the latest; no step comes near.
MAX_TIMEOUT_S = 99_999_999


def make_plan(trigger: Trigger[TrainingRequest], version: FamilyVersion, run: str, created_at: str) -> Plan:
    """Resolve a request against the family as it is stored.

    Raises:
        FamilyError: the stored family is not valid any more.
        TriggerError: the request names a model, a step or a parameter that does not exist, or a value out of range.
    """
    family, selected = check_request(trigger, version)
    request, unload = trigger.request, _unload(family)
    models = {
        name: _model_plan(
            family, name, version.architectures[family.architecture_of(name) or ""], request.parameters.get(name, {})
        )
        for name in selected
    }
    if faults := _from_step_faults(request.from_step, [unload], models):
        raise TriggerError("\n".join(f"{trigger.source}: {fault}" for fault in faults))
    return Plan(
        **asked(trigger, version, run, created_at),
        steps=[unload],
        waves=waves(family, selected),
        models=models,
        alarms=family.alarms,
    )


def check_request(trigger: Trigger[TrainingRequest], version: FamilyVersion) -> tuple[Family, list[str]]:
    """Hold a request against the family that it names; return the family and the models to train.

    Raises:
        FamilyError: the stored family is not valid any more.
        TriggerError: the request names a model or a parameter that does not exist, or a value out of range.
    """
    family = checked_family(version)
    request = trigger.request
    selected = request.models or list(family.models)
    faults = unknown_models([*selected, *request.parameters], family)
    faults += [
        f"parameters: {name!r} has parameters but is not among the models to train; add it to models"
        for name in request.parameters
        if name in family.models and name not in selected
    ]
    for name, given in request.parameters.items():
        if name in family.models:
            spec = version.architectures[family.architecture_of(name) or ""].spec
            faults += [f"parameters.{name}.{fault}" for fault in parameter_faults(spec, given)]
    if faults:
        raise TriggerError("\n".join(f"{trigger.source}: {fault}" for fault in dict.fromkeys(faults)))
    return family, list(dict.fromkeys(selected))


def checked_family(version: FamilyVersion) -> Family:
    """The family as it is stored, checked once more: somebody may have changed it by hand.

    Raises:
        FamilyError: it is not valid any more.
    """
    architectures = {name: applied.spec for name, applied in version.architectures.items()}
    return check_family(version.family.model_dump(mode="json"), version.file, architectures)


def unknown_models(names: list[str], family: Family) -> list[str]:
    """A sentence for each name that is no model of the family."""
    known = ", ".join(sorted(family.models))
    return [
        f"models: {name!r} is not a model of family {family.family}; write one of {known}"
        for name in names
        if name not in family.models
    ]


def asked(trigger: Trigger[Any], version: FamilyVersion, run: str, created_at: str) -> dict[str, Any]:
    """What the plans of all machines say of who asked for what, and of which family."""
    request, family = trigger.request, version.family
    return {
        "run": run,
        "family": family.family,
        "owner": family.owner,
        "family_version": version.number,
        "family_file": version.file,
        "source": trigger.source,
        "requested_by": request.requested_by,
        "created_at": created_at,
        "request": request.model_dump(mode="json", exclude_defaults=True),
        "restart_of": list(trigger.restart_of),
        "fresh": request.fresh,
        "from_step": request.from_step,
    }


def outline(plan: Plan) -> dict[str, Any]:
    """What the state machine needs of a plan: names, order and time limits; everything else stays in S3."""
    return {
        "status": "planned",
        "run": plan.run,
        "family": plan.family,
        "owner": plan.owner,
        "unload_timeout_s": timeout_s(plan.steps[0]),
        "waves": [
            [
                {
                    "model": name,
                    "steps": [{"name": step.name, "timeout_s": timeout_s(step)} for step in plan.models[name].steps],
                }
                for name in wave
            ]
            for wave in plan.waves
        ],
    }


def timeout_s(step: Step) -> int:
    """How long a state machine waits for the answer of a step before it gives up, in seconds."""
    return min(step.max_wait_s + step.max_attempts * step.max_runtime_s + SWEEP_ALLOWANCE_S, MAX_TIMEOUT_S)


def _from_step_faults(name: str, steps: list[Step], models: dict[str, ModelPlan]) -> list[str]:
    """A step to begin from is one of the run, or one of every model: a model without it has no place to begin."""
    known = [step.name for step in steps]
    if not name or name in known:
        return []
    return [
        f"from_step: {name!r} is not a step of model {model}; write one of "
        f"{', '.join([*known, *(step.name for step in plan.steps)])}, or leave the model out of models"
        for model, plan in models.items()
        if name not in [step.name for step in plan.steps]
    ]


def _unload(family: Family) -> Step:
    return Step(
        name="unload",
        kind="statement",
        outputs=["data"],
        options={
            "unload": {"query": family.source.query, "format": "PARQUET"},
            "minimum_rows": family.source.minimum_rows,
        },
        cache=Cache(max_age_s=family.source.max_age_s),
    )


def _model_plan(family: Family, name: str, applied: AppliedArchitecture, overrides: dict[str, Any]) -> ModelPlan:
    model, architecture = family.models[name], applied.spec
    parameters = {
        **{parameter: spec.default for parameter, spec in architecture.parameters.items()},
        **family.defaults.parameters,
        **model.parameters,
        **overrides,
    }
    features = (model.features or family.features).model_dump()
    # What every script of an architecture may know of the model; training gets its parameters as hyperparameters.
    config = {
        "family": family.family,
        "model": name,
        "key": family.key,
        "label": model.label,
        "features": features,
        "validation_ratio": family.validation.ratio,
        "minimum_rows": family.source.minimum_rows,
        "upstream": model.uses_predictions_of,
        "parameters": parameters,
    }
    gate = gate_of(family, name)
    if gate.fairness:  # evaluate has to count by it, and prepare to keep the column
        config["fairness"] = {"slice": gate.fairness.slice, "min_rows": gate.fairness.min_rows}
    steps = [
        _with_code(_with_config(step, config, parameters), applied)
        for step in _change_steps(architecture.steps, {**family.defaults.steps, **model.steps}, architecture.image)
    ]
    steps[0] = steps[0].model_copy(
        update={
            "inputs": {
                **steps[0].inputs,
                **{f"upstream_{other}": f"@{other}/approved.model" for other in model.uses_predictions_of},
            }
        }
    )
    return ModelPlan(
        model=name,
        family=family.family,
        architecture=architecture.architecture,
        interface_digest=_interface_digest(family, name),
        code_digest=_digest([applied.code.digest, parameters, [_of_the_model(step) for step in steps]]),
        parameters=parameters,
        label=model.label,
        features=features,
        uses_predictions_of=model.uses_predictions_of,
        gate=gate,
        steps=steps,
    )


def _of_the_model(step: Step) -> dict[str, Any]:
    """A step, but for what says nothing about the model that comes out."""
    return step.model_dump(mode="json", exclude={"cache": True, "code": {"scripts", "archive", "prefix"}})


def _interface_digest(family: Family, name: str) -> str:
    """What callers must send and what they get: a model asks for the columns of every model it uses, too."""
    model = family.models[name]
    features = (model.features or family.features).model_dump()
    upstream = {other: _interface_digest(family, other) for other in sorted(model.uses_predictions_of)}
    return _digest({"features": features, "label": model.label, "upstream": upstream})


def _change_steps(steps: list[Step], changes: dict[str, StepChange], image: str) -> list[Step]:
    """Lay a family's changes over the steps of an architecture: fields given replace, mappings are merged."""
    changed = [_changed(step, changes[step.name]) if step.name in changes else step for step in steps]
    known = {step.name for step in steps}
    for name, change in changes.items():
        if name in known:
            continue
        place = next((i + 1 for i, step in enumerate(changed) if step.name == change.after), len(changed))
        changed.insert(place, _changed(Step(name=name, kind=change.kind or "", image=image), change))
    return changed


def _changed(step: Step, change: StepChange) -> Step:
    given = change.model_dump(exclude_none=True, exclude={"after"})
    merged = {
        field: {**getattr(step, field), **value} if field in {"inputs", "config", "options"} else value
        for field, value in given.items()
    }
    return Step.model_validate({**step.model_dump(), **merged})


def _with_config(step: Step, config: dict[str, Any], parameters: dict[str, Any]) -> Step:
    standard = {"processing": config, "training": parameters}.get(step.kind, {})
    return step.model_copy(update={"config": {**standard, **step.config}})


def _with_code(step: Step, applied: AppliedArchitecture) -> Step:
    return (
        step.model_copy(update={"code": applied.code, "image": step.image or applied.spec.image})
        if step.script
        else step
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
