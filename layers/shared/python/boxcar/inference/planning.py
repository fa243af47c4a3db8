"""From a request, a family and its approved versions to the plan of an inference run."""

from datetime import datetime, timedelta
from typing import Any

from boxcar.errors import FamilyError, TriggerError
from boxcar.evaluations import Evaluation
from boxcar.families import AppliedArchitecture, FamilyVersion
from boxcar.inference.plans import InferenceModel, InferencePlan
from boxcar.inference.requests import InferenceRequest
from boxcar.inference.warehouse import Tables, named
from boxcar.planning import asked, checked_family, timeout_s, unknown_models
from boxcar.requests import Trigger
from boxcar.steps import Cache, Step


def selected_models(trigger: Trigger[InferenceRequest], version: FamilyVersion) -> list[str]:
    """The models that are to predict.

    Raises:
        TriggerError: the request names one that does not exist, or a day together with scope monthly.
    """
    request, family = trigger.request, version.family
    faults = unknown_models(request.models or [], family)
    if request.day and request.scope != "daily":
        faults.append(f"day: is {request.day} with scope {request.scope!r}; leave one of them out")
    if faults:
        raise TriggerError("\n".join(f"{trigger.source}: {fault}" for fault in faults))
    return list(dict.fromkeys(request.models or family.models))


def make_plan(
    trigger: Trigger[InferenceRequest],
    version: FamilyVersion,
    approved: dict[str, dict[str, Any] | None],
    evaluations: dict[str, Evaluation],
    watermark: str | None,
    run: str,
    created_at: str,
    after: str = "",
) -> InferencePlan:
    """Resolve a request against the family and the versions that are approved now.

    Args:
        trigger: what was asked for.
        version: the family as it is stored.
        approved: each selected model's approved version, as the models table has it; None where there is none.
        evaluations: what those versions were trained on.
        watermark: first_seen of the newest row that every model of them has predicted.
        run: name of the execution.
        created_at: ISO 8601, UTC, with milliseconds.
        after: predicted_at of the run that this one goes on from; "" if it is none's restart.

    Raises:
        FamilyError: the stored family is not valid any more, or has no block `inference`.
        EvaluationError: a version was registered before evaluations said what inference needs.
    """
    family = checked_family(version)
    inference, request = named(family), trigger.request
    tables = Tables.of(family.key, inference)
    ready = {name: document for name, document in approved.items() if document}
    plan = InferencePlan(
        **asked(trigger, version, run, created_at),
        scope=request.scope,
        day=str(request.day) if request.day else None,
        predicted_at=_next(after) if after else created_at,
        latest=_latest(created_at),
        key=family.key,
        inference=inference,
        steps=[],
        models={},
        skipped=[name for name in approved if name not in ready],
    )
    if not ready:
        return plan
    since, until = _window(plan, watermark)
    new = list(ready) if request.scope == "daily" else []
    prices = {name: inference.prices[name] for name in family.models if name in inference.prices}
    sets = file_sets({name: evaluations[name].inputs for name in ready}, inference.files.format)
    models = {
        name: _model(plan, name, document, evaluations[name], sets[name], tables) for name, document in ready.items()
    }
    split, read_otherwise = _split(version.architectures[_architecture(family, list(ready))], ready)
    config = {
        "family": family.family,
        "key": family.key,
        "first_seen": inference.first_seen,
        "latest": plan.latest,
        "watermark": watermark if since and not until else None,
        "format": inference.files.format,
        "target_mb": inference.files.target_mb,
        "ranges": inference.rejects.ranges,
        "models": {
            name: {"files": sets[name], **evaluations[name].model_dump(include={"inputs", "features", "sample"})}
            for name in ready
        },
    }
    steps = [
        Step(
            name="tables", kind="statement", options={"transaction": tables.definitions(prices)}, cache=Cache(use=False)
        ),
        Step(
            name="unload",
            kind="statement",
            outputs=["data"],
            options=tables.unload(inference.query, inference.first_seen, new, since, until),
        ),
        split.model_copy(update={"config": {**config, **split.config}}),
    ]
    return plan.model_copy(update={"steps": steps, "models": models, "since": since, "read_otherwise": read_otherwise})


def outline(plan: InferencePlan) -> dict[str, Any]:
    """What the state machine needs of a plan: names, order and time limits; everything else stays in S3."""
    return {
        "status": "planned",
        "run": plan.run,
        "family": plan.family,
        "owner": plan.owner,
        "scope": plan.scope,
        "timeouts_s": {step.name: timeout_s(step) for step in plan.steps},
        "skipped": plan.skipped,
        "models": [
            {
                "model": name,
                "version": model.version,
                "steps": [{"name": step.name, "timeout_s": timeout_s(step)} for step in model.steps],
            }
            for name, model in plan.models.items()
        ],
    }


def file_sets(inputs: dict[str, dict[str, str]], form: str) -> dict[str, str]:
    """Which files each model reads, by the name of the first model that reads them.

    Parquet has its columns by name, so all models read the same files. Lines of CSV are read by place: models share
    them whose columns and their order are the same.
    """
    sets: dict[str, str] = {}
    readers: dict[tuple[tuple[str, str], ...], str] = {}
    for name, columns in inputs.items():
        layout = () if form == "parquet" else tuple(columns.items())
        sets[name] = readers.setdefault(layout, name)
    return sets


def _architecture(family: Any, models: list[str]) -> str:
    return str(family.architecture_of(models[0]))


def _split(applied: AppliedArchitecture, ready: dict[str, dict[str, Any]]) -> tuple[Step, list[str]]:
    """The split, and the models whose versions came with another one.

    One split reads the rows of all models, so it has the code that the newest version was trained with, where that can
    split; what was applied since waits, as for serving, until a version was trained with it.
    """
    split = applied.spec.split
    assert split and split.script  # check_family saw to it
    codes = {name: Step.model_validate(document["serving"]).code for name, document in ready.items()}
    newest = max(ready, key=lambda name: str(ready[name].get("created", "")))
    pinned, trained = codes[newest], ready[newest].get("config", {}).get("architecture", applied.spec.architecture)
    can_split = (
        pinned and trained == applied.spec.architecture and (not pinned.scripts or split.script in pinned.scripts)
    )
    code = pinned if pinned and can_split else applied.code
    other = [
        name for name, one in codes.items() if not one or one.digest_of(split.script) != code.digest_of(split.script)
    ]
    return split.model_copy(update={"code": code, "image": split.image or applied.spec.image}), other


def _next(predicted_at: str) -> str:
    """A restart may load rows that were unloaded long ago: it wins over the run that it goes on from, and no other."""
    return (datetime.fromisoformat(predicted_at) + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")


def _latest(created_at: str) -> str:
    """From where on first_seen is a fault: a day and more after the run was planned, in any time zone of a warehouse.

    Whole days, so that runs of one day split the same rows alike.
    """
    return (datetime.fromisoformat(created_at[:10]) + timedelta(days=2)).isoformat(sep=" ")


def _window(plan: InferencePlan, watermark: str | None) -> tuple[str | None, str | None]:
    """Between which moments the rows were first seen.

    A row may arrive days after it was first seen, behind the watermark: so the run looks back further, and leaves out
    what its models have predicted already.
    """
    if plan.day:
        day = datetime.fromisoformat(plan.day)
        return day.isoformat(sep=" "), (day + timedelta(days=1)).isoformat(sep=" ")
    if plan.scope == "monthly" or watermark is None:
        return None, None
    since = datetime.fromisoformat(watermark) - timedelta(days=plan.inference.late_days)
    return since.isoformat(sep=" "), None


def _model(
    plan: InferencePlan, name: str, document: dict[str, Any], evaluation: Evaluation, files: str, tables: Tables
) -> InferenceModel:
    if not document.get("serving") or document.get("threshold") is None:
        raise FamilyError(
            f"version {document['version']} of {plan.family}/{name} does not say how it is served; an older release of "
            f"Boxcar registered it: train the family again"
        )
    serving = Step.model_validate(document["serving"])
    threshold = float(document["threshold"])
    edges = evaluation.score_bins.edges if evaluation.score_bins else None
    predict = serving.model_copy(
        update={
            "name": "predict",
            "inputs": {"model": document["outputs"]["model"], "data": f"@split.files/{files}/"},
            "outputs": ["predictions"],
        }
    )
    load = Step(
        name="load",
        kind="statement",
        inputs={"predictions": "@predict.predictions"},
        outputs=["data"],
        cache=Cache(use=False),  # it writes: what was loaded before says nothing of what is to be loaded now
        options={
            "transaction": tables.load(edges or [], threshold, [row["key"] for row in evaluation.sample]),
            "parameters": {
                "model": name,
                "version": document["version"],
                "threshold": repr(threshold),
                "run": plan.run,
                "predicted_at": plan.predicted_at[:23].replace("T", " "),  # a TIMESTAMP, which has no time zone
            },
        },
    )
    return InferenceModel(
        model=name,
        version=document["version"],
        artifact=document["outputs"]["model"],
        evaluation=document["evaluation"],
        threshold=threshold,
        steps=[predict, load],
    )
