"""Families: what a team writes about its models in one file, and what an architecture offers to them.

`check_family` is the one gate: the CLI calls it before a family is stored, and Plan calls it again before anything is
started, since what lies in a table may have been edited there.
"""

from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from boxcar.errors import FamilyError
from boxcar.plans import Gate
from boxcar.steps import Code, Document, Resources, Step

NAME = r"^[a-z][a-z0-9_]{0,30}$"
COLUMN = r"^[a-z_][a-z0-9_]{0,126}$"
ParameterValue = bool | int | float | str


class Parameter(Document):
    """One hyperparameter of an architecture: what it may be, and what it is when nobody says."""

    type: Literal["integer", "number", "boolean", "string"]
    default: ParameterValue
    minimum: float | None = None
    maximum: float | None = None
    choices: list[ParameterValue] | None = None
    description: str = ""

    def fault(self, value: object) -> str | None:
        """Say what is wrong with a value and what to write instead, or None when it is fine."""
        kinds: dict[str, tuple[type, ...]] = {
            "integer": (int,), "number": (int, float), "boolean": (bool,), "string": (str,),
        }  # fmt: skip
        if not isinstance(value, kinds[self.type]) or isinstance(value, bool) != (self.type == "boolean"):
            return f"is {value!r}; write a value of type {self.type}"
        if self.choices is not None and value not in self.choices:
            return f"is {value!r}; write one of {', '.join(map(str, self.choices))}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                return f"is {value}; write a value of at least {self.minimum:g}"
            if self.maximum is not None and value > self.maximum:
                return f"is {value}; write a value of at most {self.maximum:g}"
        return None


class Architecture(Document):
    """The code that trains and applies a model, and the steps it takes (`models/<name>/architecture.yaml`)."""

    architecture: str = Field(pattern=NAME)
    description: str = ""
    image: str
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    steps: list[Step] = Field(min_length=1)

    @model_validator(mode="after")
    def _defaults_obey_their_own_limits(self) -> "Architecture":
        for name, parameter in self.parameters.items():
            if fault := parameter.fault(parameter.default):
                raise ValueError(f"parameters.{name}.default {fault}")
        return self


class Source(Document):
    """Where the rows come from. The query is one SELECT that the warehouse unloads."""

    query: str
    minimum_rows: int = Field(default=1, ge=1)


class Validation(Document):
    """The share of the products that judge a model and never train one."""

    ratio: float = Field(default=0.2, gt=0, lt=1)


class Features(Document):
    """Columns of the source that a model may see."""

    numeric: list[str] = Field(default_factory=list)
    categorical: list[str] = Field(default_factory=list)


class StepChange(Document):
    """What a family changes in a step of the architecture, or the whole of a step it adds (then `kind` is needed)."""

    kind: str | None = None
    after: str | None = None  # for an added step: the step it follows; at the end when left out
    image: str | None = None
    script: str | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    outputs: list[str] | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    resources: Resources | None = None
    max_runtime_s: int | None = None
    max_attempts: int | None = None
    max_wait_s: int | None = None
    priority: int | None = None


class Defaults(Document):
    """What holds for every model that does not say otherwise."""

    architecture: str | None = None
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    steps: dict[str, StepChange] = Field(default_factory=dict)


class Model(Document):
    """One member of the family."""

    label: str = Field(pattern=COLUMN)
    description: str = ""
    architecture: str | None = None
    after: list[str] = Field(default_factory=list)
    uses_predictions_of: list[str] = Field(default_factory=list)
    features: Features | None = None
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    gate: dict[str, Any] = Field(default_factory=dict)  # fields of Gate that differ from the family's
    steps: dict[str, StepChange] = Field(default_factory=dict)


class Family(Document):
    """A set of models that share source data."""

    family: str = Field(pattern=NAME)
    description: str = ""
    owner: str = ""
    source: Source
    key: str = Field(pattern=COLUMN)
    features: Features = Features()
    validation: Validation = Validation()
    gate: Gate = Gate()
    defaults: Defaults = Defaults()
    models: dict[str, Model] = Field(min_length=1)

    def architecture_of(self, model: str) -> str | None:
        """The architecture a model names, or the family's default."""
        return self.models[model].architecture or self.defaults.architecture

    def predecessors(self, model: str) -> list[str]:
        """Models that must have ended before this one starts."""
        spec = self.models[model]
        return sorted({*spec.after, *spec.uses_predictions_of})


class AppliedArchitecture(Document):
    """An architecture as it was when the family was applied, with the code that was uploaded then."""

    spec: Architecture
    code: Code


class FamilyVersion(Document):
    """A family as stored: nothing that a run needs lies outside of it."""

    number: int = Field(ge=1)
    file: str
    family: Family
    architectures: dict[str, AppliedArchitecture]
    applied_by: str = ""
    applied_at: str = ""


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
    faults = [*_query_faults(family), *_column_faults(family), *_model_faults(family, architectures)]
    if not faults:
        faults = _cycle_faults(family)
    if faults:
        raise FamilyError("\n".join(f"{file}: {fault}" for fault in faults))
    return family


def waves(family: Family, selected: list[str]) -> list[list[str]]:
    """Order the selected models: a wave holds what may run at once. A model that is not selected holds nobody back."""
    chosen = set(selected)
    sorter = TopologicalSorter({name: chosen.intersection(family.predecessors(name)) for name in selected})
    sorter.prepare()
    ordered = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=selected.index)
        ordered.append(ready)
        sorter.done(*ready)
    return ordered


def gate_of(family: Family, model: str) -> Gate:
    """The family's gate with the model's own limits laid over it."""
    return Gate.model_validate({**family.gate.model_dump(), **family.models[model].gate})


def _query_faults(family: Family) -> list[str]:
    # sqlglot takes a fifth of a second to import; only Plan and the CLI pay for it.
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    advice = "write one SELECT (WITH … SELECT is fine) without a semicolon"
    try:
        statements = sqlglot.parse(family.source.query, read="redshift")
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        return [f"source.query: is not SQL that the warehouse understands ({reason}); {advice}"]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        found = " ".join(family.source.query.split())[:80]
        return [f"source.query: is not a SELECT: {found!r}; {advice}"]
    forbidden = statements[0].find(
        exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Merge, exp.Into, exp.Command
    )
    if forbidden is not None:
        return [f"source.query: holds {forbidden.sql()[:80]!r}, which writes; {advice}"]
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
        gate_of(family, model)
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}, got {f['input']!r}" for f in error.errors())
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
