"""Families: what a team writes about its models in one file, and what an architecture offers to them."""

from graphlib import TopologicalSorter
from typing import Any, Literal

from pydantic import Field, model_validator

from boxcar.plans import AlarmThreshold, Figure, Gate
from boxcar.serving.spec import Serving
from boxcar.steps import CacheField, Code, Document, Resources, Step

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
    split: Step | None = None  # cuts the rows to predict into files; None: the architecture cannot predict in batch

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
    max_age_s: int = Field(default=0, ge=0)  # rows that an earlier run unloaded so long ago at most will do


class Validation(Document):
    """The share of the products that judge a model and never train one."""

    ratio: float = Field(default=0.2, gt=0, lt=1)


class Features(Document):
    """Columns of the source that a model may see."""

    numeric: list[str] = Field(default_factory=list)
    categorical: list[str] = Field(default_factory=list)


class Files(Document):
    """How the rows to predict are cut into files for the transform."""

    format: Literal["csv", "parquet"] = "parquet"
    target_mb: int = Field(default=32, ge=1, le=90)  # a transform takes 100 MB at once, and Parquet goes as a whole
    max_instances: int = Field(default=8, ge=1)  # of one transform


class Rejects(Document):
    """Which rows cannot be predicted, and how many of them a run may have."""

    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)  # numeric column -> least, most; else rejected
    max_share: float = Field(default=0.01, ge=0, le=1)  # of the unloaded rows
    allowed_rows: int = Field(default=10, ge=0)  # so many are never too many: days are small


class Drift(Document):
    """How far rows and scores may be from those of training before somebody is told."""

    max_feature_drift: float = Field(default=0.25, ge=0)  # population stability index of any feature
    max_score_drift: float = Field(default=0.25, ge=0)  # likewise, of the scores
    min_rows: int = Field(default=500, ge=1)  # fewer say nothing
    retrain: bool = False  # beyond a limit, train the family: at most once a week


class Inference(Document):
    """What is predicted for whom, and where the predictions go."""

    query: str
    first_seen: str = Field(default="first_seen", pattern=COLUMN)  # a moment, by which a row is new
    key_type: Literal["BIGINT", "INTEGER", "VARCHAR"] = "VARCHAR"  # of the key in the warehouse
    table: str = Field(default="", pattern=rf"{COLUMN}|^$")  # of the predictions; "" is <family>_predictions
    view: str = Field(default="", pattern=rf"{COLUMN}|^$")  # "" is <family>_recommended
    prices: dict[str, float] = Field(default_factory=dict)  # model -> what its package costs; the view takes the least
    late_days: int = Field(default=30, ge=0)  # how long after its first_seen a row may still arrive
    files: Files = Files()
    rejects: Rejects = Rejects()
    drift: Drift = Drift()


class Retraining(Document):
    """When a model is trained before its week. What is left out is not looked at."""

    max_age_days: int | None = Field(default=None, ge=1)  # the approved version is older
    min_new_labels: int | None = Field(default=None, ge=1)  # so many labelled rows more than it was trained on
    drift: bool = False  # an inference run has drifted since it was trained
    at_most_every_days: int = Field(default=3, ge=1)  # whatever became of the last version


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
    cache: CacheField = None  # replaces the architecture's as a whole


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
    # CreateProcessingJob takes ten inputs; code, config and data are three of them.
    uses_predictions_of: list[str] = Field(default_factory=list, max_length=7)
    features: Features | None = None
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    gate: dict[str, Any] = Field(default_factory=dict)  # fields of Gate that differ from the family's
    steps: dict[str, StepChange] = Field(default_factory=dict)
    serving: Serving | None = None  # None: no endpoint


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
    alarms: dict[Figure, AlarmThreshold] = Field(default_factory=dict)
    defaults: Defaults = Defaults()
    inference: Inference | None = None  # None: nothing is predicted daily or monthly
    retraining: Retraining | None = None  # None: trained by schedule, trigger and call alone
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
    """The family's gate with the model's own limits laid over it; what breaches lead to is laid over one by one."""
    own = family.models[model].gate
    merged = {**family.gate.model_dump(), **own}
    if isinstance(own.get("on_breach"), dict):
        merged["on_breach"] = {**family.gate.on_breach, **own["on_breach"]}
    return Gate.model_validate(merged)
