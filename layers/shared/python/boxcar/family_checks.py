"""Is a family, or an architecture, good? Everything that is wrong is said at once, with file, field and value.

`check_family` is the one gate: the CLI calls it before a family is stored, and Plan calls it again before anything is
started, since what lies in a table may have been edited there.
"""

from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import ValidationError

from boxcar.criterion import METRICS
from boxcar.errors import FamilyError
from boxcar.families import Architecture, Family, gate_of


def faults_of(error: ValidationError, file: str) -> str:
    """Pydantic's findings as our sentences: file, field, what is wrong, the value found."""
    lines = []
    for fault in error.errors():
        field = ".".join(str(part) for part in fault["loc"]) or "(whole document)"
        found = "" if fault["type"] == "missing" or isinstance(fault["input"], dict) else f", got {fault['input']!r}"
        message = (
            "is not a field; remove it or correct its spelling" if fault["type"] == "extra_forbidden" else fault["msg"]
        )
        lines.append(f"{file}: {field}: {message}{found}")
    return "\n".join(lines)


def check_architecture(document: dict[str, Any], file: str) -> Architecture:
    """Parse and check an architecture.

    Raises:
        FamilyError: naming file, field and value of everything that is wrong.
    """
    try:
        return Architecture.model_validate(document)
    except ValidationError as error:
        raise FamilyError(faults_of(error, file)) from None


def check_family(document: dict[str, Any], file: str, architectures: dict[str, Architecture]) -> Family:
    """Parse and check a family against the architectures there are.

    Raises:
        FamilyError: naming file, field and value of everything that is wrong.
    """
    try:
        family = Family.model_validate(document)
    except ValidationError as error:
        raise FamilyError(faults_of(error, file)) from None
    faults = [
        *_query_faults("source.query", family.source.query),
        *_column_faults(family),
        *_model_faults(family, architectures),
        *inference_faults(family, architectures),
    ]
    if not faults:
        faults = _cycle_faults(family)
    if faults:
        raise FamilyError("\n".join(f"{file}: {fault}" for fault in faults))
    return family


def _query_faults(place: str, query: str) -> list[str]:
    # sqlglot takes a fifth of a second to import; only Plan and the CLI pay for it.
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    advice = "write one SELECT (WITH … SELECT is fine) without a semicolon"
    try:
        statements = sqlglot.parse(query, read="redshift")
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        return [f"{place}: is not SQL that the warehouse understands ({reason}); {advice}"]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        found = " ".join(query.split())[:80]
        return [f"{place}: is not a SELECT: {found!r}; {advice}"]
    forbidden = statements[0].find(
        exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Merge, exp.Into, exp.Command
    )
    if forbidden is not None:
        return [f"{place}: holds {forbidden.sql()[:80]!r}, which writes; {advice}"]
    return []


def _column_faults(family: Family) -> list[str]:
    faults = []
    labels = {model.label for model in family.models.values()}
    sets = {"features": family.features} | {
        f"models.{name}.features": model.features for name, model in family.models.items() if model.features
    }
    for place, features in sets.items():
        columns = [*features.numeric, *features.categorical]
        if not columns:
            continue
        for column in columns:
            if column in labels:
                faults.append(f"{place}: {column!r} is a label; a model may not see it, remove it")
            if columns.count(column) > 1:
                faults.append(f"{place}: {column!r} is listed twice; list it once, as numeric or as categorical")
    for name, model in family.models.items():
        features = model.features or family.features
        if not features.numeric and not features.categorical:
            faults.append(
                f"models.{name}.features: is empty; list columns under features.numeric or features.categorical"
            )
    return faults


def _model_faults(family: Family, architectures: dict[str, Architecture]) -> list[str]:
    faults = []
    for name, model in family.models.items():
        place = f"models.{name}"
        for field in ("after", "uses_predictions_of"):
            for other in getattr(model, field):
                if other not in family.models:
                    there_are = _names(family.models)
                    faults.append(f"{place}.{field}: {other!r} is not a model of this family; write one of {there_are}")
        if fault := _gate_fault(family, name):
            faults.append(f"{place}.gate: {fault}")
        architecture_name = family.architecture_of(name)
        architecture = architectures.get(architecture_name or "")
        if architecture is None:
            field = f"{place}.architecture" if model.architecture or not architecture_name else "defaults.architecture"
            faults.append(
                f"{field}: {architecture_name!r} is not an architecture; write one of {_names(architectures)}"
            )
            continue
        given = {**family.defaults.parameters, **model.parameters}
        faults += [f"{place}.parameters.{fault}" for fault in parameter_faults(architecture, given)]
        known = {step.name for step in architecture.steps}
        for step, change in {**family.defaults.steps, **model.steps}.items():
            if step not in known and change.kind is None:
                faults.append(
                    f"{place}.steps.{step}: is not a step of {architecture_name}; write one of {_names(known)}, "
                    f"or give it a kind to add it"
                )
            if change.after is not None and change.after not in known:
                faults.append(
                    f"{place}.steps.{step}.after: {change.after!r} is not a step; write one of {_names(known)}"
                )
    return list(dict.fromkeys(faults))


def inference_faults(family: Family, architectures: dict[str, Architecture]) -> list[str]:
    """What is wrong with the block `inference`; nothing without one."""
    block = family.inference
    if block is None:
        return []
    faults = _query_faults("inference.query", block.query)
    read = [model.features or family.features for model in family.models.values()]
    if not faults:
        selected = _selected_columns(block.query)
        needed = [family.key, block.first_seen, *(name for one in read for name in [*one.numeric, *one.categorical])]
        faults += [
            f"inference.query: selects no {name!r}, which {_reader(family, name)} needs; it selects {_names(selected)}"
            for name in dict.fromkeys(needed)
            if selected and name not in selected
        ]
    for name, price in block.prices.items():
        if name not in family.models:
            faults.append(f"inference.prices: {name!r} is not a model; write one of {_names(family.models)}")
        if not 0 <= price < float("inf"):
            faults.append(f"inference.prices.{name}: is {price}; write what a package costs, 0 or more")
    numeric = {name for one in read for name in one.numeric}
    for name, (least, most) in block.rejects.ranges.items():
        if name not in numeric:
            faults.append(f"inference.rejects.ranges: {name!r} is no numeric feature; write one of {_names(numeric)}")
        if not least <= most:
            faults.append(f"inference.rejects.ranges.{name}: is [{least}, {most}]; write the least first")
    used = {name for model in family.models if (name := family.architecture_of(model) or "") in architectures}
    if len(used) > 1:
        faults.append(
            f"inference: models are of {_names(used)}; all models of a run predict for the same rows, which one split "
            f"reads as the architecture did in training. Give each architecture a family of its own; inference.table "
            f"may be the same"
        )
    faults += [
        f"inference: architecture {name} has no `split`, so it cannot predict in batch; add it, see docs/models.md"
        for name in sorted(used)
        if architectures[name].split is None
    ]
    return faults


def _selected_columns(query: str) -> set[str]:
    """The names of the columns that a query selects; nothing when it says `*`."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(query, read="redshift")
    return set() if not isinstance(tree, exp.Query) or tree.is_star else {name.lower() for name in tree.named_selects}


def _reader(family: Family, column: str) -> str:
    for name, model in family.models.items():
        features = model.features or family.features
        if column in (*features.numeric, *features.categorical):
            return f"model {name}"
    return "every run"


def parameter_faults(architecture: Architecture, given: dict[str, Any]) -> list[str]:
    """What is wrong with given parameters: unknown names and values that are out of range, one sentence each."""
    faults = []
    for name, value in given.items():
        if name not in architecture.parameters:
            known = _names(architecture.parameters)
            faults.append(f"{name}: is not a parameter of {architecture.architecture}; write one of {known}")
        elif fault := architecture.parameters[name].fault(value):
            faults.append(f"{name}: {fault}")
    return faults


def _gate_fault(family: Family, model: str) -> str | None:
    try:
        gate = gate_of(family, model)
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}, got {f['input']!r}" for f in error.errors())
    if gate.metric not in METRICS:
        return f"metric: is {gate.metric!r}; write one of {', '.join(METRICS)}"
    if gate.fairness and gate.fairness.slice in {one.label for one in family.models.values()}:
        return f"fairness.slice: {gate.fairness.slice!r} is a label; write a column that says whose rows they are"
    return None


def _cycle_faults(family: Family) -> list[str]:
    try:
        TopologicalSorter({name: family.predecessors(name) for name in family.models}).prepare()
    except CycleError as error:
        loop = " → ".join(reversed(error.args[1]))
        return [f"models: {loop} wait for each other; remove one of these from after or uses_predictions_of"]
    return []


def _names(names: Any) -> str:
    return ", ".join(sorted(names)) or "(none)"
