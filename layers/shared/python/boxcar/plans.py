"""What a run will do: the document that Plan writes and every later state reads (`runs/<run>/plan.json`)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boxcar.errors import StepError
from boxcar.steps import Document, Step

P = TypeVar("P", bound=BaseModel)
Outcome = Literal["approve", "review", "reject"]
CriterionName = Literal[
    "score",
    "rows",
    "calibration",
    "fairness",
    "score_drop",
    "label_shift",
    "row_change",
    "feature_drift",
    "latency",
]

# A figure that says that a candidate is bad rejects it; one that says that something is odd asks a person.
ON_BREACH: dict[CriterionName, Outcome] = {
    "score": "reject",
    "rows": "reject",
    "calibration": "review",
    "fairness": "review",
    "score_drop": "reject",
    "label_shift": "reject",
    "row_change": "reject",
    "feature_drift": "review",
    "latency": "review",
}


class Fairness(Document):
    """How far a figure may be apart for rows that differ in one column."""

    slice: str = Field(pattern=r"^[a-z_][a-z0-9_]{0,126}$")  # a column of the source; it need not be a feature
    figure: Literal["score", "positive_rate"] = "score"  # the gate's metric, or the share of rows called yes
    max_gap: float = Field(ge=0)  # between any two values of the column
    min_rows: int = Field(default=100, ge=2)  # values with fewer validation rows are not judged


class Gate(Document):
    """How far a candidate may differ from the approved version, and what happens when it differs by more.

    A criterion whose limit is None is not looked at. A figure that could not be computed breaches its criterion.
    """

    metric: str = "roc_auc"  # roc_auc, average_precision (higher is better) or log_loss (lower is better)
    max_score_drop: float = Field(default=0.02, ge=0)  # in the metric's own unit
    max_label_shift: float = Field(default=0.25, ge=0)  # population stability index
    max_row_change: float = Field(default=0.5, ge=0)  # |rows / approved rows - 1|
    min_score: float | None = None  # the floor for a first version too
    min_rows: int | None = Field(default=None, ge=1)  # validation rows
    max_feature_drift: float | None = Field(default=None, ge=0)  # population stability index of any feature
    max_calibration_error: float | None = Field(default=None, ge=0)  # expected calibration error, 0 to 1
    max_latency_ratio: float | None = Field(default=None, gt=0)  # seconds to score / the approved version's
    fairness: Fairness | None = None
    review_hours: int = Field(default=72, ge=1, le=8760)  # a run waits so long for a person's decision
    on_breach: dict[CriterionName, Outcome] = Field(default_factory=dict)  # where it differs from ON_BREACH

    def causes(self, criterion: CriterionName) -> Outcome:
        """What a breach of a criterion leads to."""
        return self.on_breach.get(criterion, ON_BREACH[criterion])


Figure = Literal[
    "score_drop", "label_shift", "row_change", "feature_drift", "step_seconds", "run_seconds"
]  # the first four as the gate measures them, whether it looks at them or not


class AlarmThreshold(Document):
    """From where on a figure is told of, though it stops nothing."""

    above: float = Field(ge=0)  # in the figure's own unit; row_change and score_drop without a sign
    audiences: list[Literal["business", "science", "engineering"]] = Field(default=["science"], min_length=1)
    severity: Literal["warning", "error"] = "warning"


class ModelPlan(Document):
    """One model of the run."""

    model: str
    family: str
    architecture: str
    interface_digest: str  # features, their types, label: a change is a new major version
    code_digest: str  # code of the architecture, steps and parameters: a change is a new minor version
    parameters: dict[str, float | int | str | bool]
    label: str
    features: dict[str, list[str]]  # numeric, categorical
    uses_predictions_of: list[str] = []
    gate: Gate = Gate()
    steps: list[Step]  # in the order they run


class PlannedModel(BaseModel):
    """What the plans of all machines say of a model, and all that carrying out its steps needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    steps: list[Step]  # in the order they run


class PlannedRun(BaseModel):
    """What the plans of all machines have in common, and all that carrying out their steps needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    run: str
    family: str
    requested_by: str
    steps: list[Step]  # of the run itself
    models: dict[str, PlannedModel]
    waves: list[list[str]] = []  # a machine that has none takes all models at once
    request: dict[str, Any] = {}  # what was asked for; a restart asks for it again
    restart_of: list[str] = []  # runs that this one goes on from, the latest first
    predicted_at: str = ""  # of inference alone: its place among the runs whose predictions win
    fresh: bool = False  # do everything anew
    from_step: str = ""  # do this step anew, and all behind it

    @property
    def order(self) -> list[tuple[str, Step]]:
        """Every step in the order they run, with its model, or "" for those of the run itself."""
        return in_order(self.steps, self.models, self.waves)


class Plan(Document):
    """The whole of a training run, before anything long has started."""

    run: str
    family: str
    owner: str = ""  # who decides about a version that the gate does not
    family_version: int
    family_file: str
    source: str  # s3://… of the trigger, "schedule", or "api"
    requested_by: str
    created_at: str  # ISO 8601, UTC
    steps: list[Step]  # of the run itself: unload
    waves: list[list[str]]  # names of models; a wave starts when the one before has ended
    models: dict[str, ModelPlan]
    alarms: dict[Figure, AlarmThreshold] = Field(default_factory=dict)
    request: dict[str, Any] = {}  # what was asked for; a restart asks for it again
    restart_of: list[str] = []  # runs that this one goes on from, the latest first
    fresh: bool = False  # do everything anew
    from_step: str = ""  # do this step anew, and all behind it


def in_order(
    own: Sequence[Step], models: Mapping[str, Any], waves: Sequence[Sequence[str]] = ()
) -> list[tuple[str, Step]]:
    """Every step in the order they run, with its model, or "" for those of the run itself.

    Args:
        own: steps of the run itself.
        models: as a plan has them: each has `steps`.
        waves: names of models; a machine that has none takes all models at once.
    """
    names = [name for wave in waves for name in wave] or list(models)
    return [("", step) for step in own] + [(name, step) for name in names for step in models[name].steps]


def plan_key(run: str) -> str:
    """Where the plan of a run lies in the bucket."""
    return f"runs/{run}/plan.json"


def read_plan(s3: Any, bucket: str, run: str, kind: type[P]) -> P:
    """The plan of a run, as one of the documents that a plan can be read as.

    Raises:
        StepError: there is none, or it is not a plan.
    """
    place = f"s3://{bucket}/{plan_key(run)}"
    try:
        body = s3.get_object(Bucket=bucket, Key=plan_key(run))["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise StepError(f"{place}: is missing, so run {run} has no plan; Plan writes it first") from None
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise StepError(f"{place}: {error}") from None


def write_plan(s3: Any, bucket: str, run: str, plan: BaseModel) -> None:
    """Store the plan of a run."""
    body = plan.model_dump_json().encode()
    s3.put_object(Bucket=bucket, Key=plan_key(run), Body=body, ContentType="application/json")
