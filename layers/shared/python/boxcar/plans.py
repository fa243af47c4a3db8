"""What a training run will do: the document that Plan writes and every later state reads (`runs/<run>/plan.json`)."""

from typing import Any

from pydantic import Field, ValidationError

from boxcar.errors import StepError
from boxcar.steps import Document, Step


class Gate(Document):
    """How far a candidate may differ from the approved version before it is rejected."""

    metric: str = "roc_auc"  # roc_auc, average_precision (higher is better) or log_loss (lower is better)
    max_score_drop: float = Field(default=0.02, ge=0)  # in the metric's own unit
    max_label_shift: float = Field(default=0.25, ge=0)  # population stability index
    max_row_change: float = Field(default=0.5, ge=0)  # |rows / approved rows - 1|
    min_score: float | None = None  # the floor for a first version too


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


class Plan(Document):
    """The whole run, before anything long has started."""

    run: str
    family: str
    family_version: int
    family_file: str
    source: str  # s3://… of the trigger, "schedule", or "api"
    requested_by: str
    created_at: str  # ISO 8601, UTC
    steps: list[Step]  # of the run itself: unload
    waves: list[list[str]]  # names of models; a wave starts when the one before has ended
    models: dict[str, ModelPlan]


def plan_key(run: str) -> str:
    """Where the plan of a run lies in the bucket."""
    return f"runs/{run}/plan.json"


def read_plan(s3: Any, bucket: str, run: str) -> Plan:
    """The plan of a run.

    Raises:
        StepError: there is none, or it is not a plan.
    """
    place = f"s3://{bucket}/{plan_key(run)}"
    try:
        body = s3.get_object(Bucket=bucket, Key=plan_key(run))["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise StepError(f"{place}: is missing, so run {run} has no plan; Plan writes it first") from None
    try:
        return Plan.model_validate_json(body)
    except ValidationError as error:
        raise StepError(f"{place}: {error}") from None
