"""What the evaluate step found out about one candidate: `evaluation.json`, as the code of an architecture writes it."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boxcar.errors import EvaluationError

SCHEMA = 1
FILE_NAME = "evaluation.json"


class Evaluation(BaseModel):
    """The figures of one version.

    Every figure may be missing: it is the verdict's business to call that a breach, with a reason, instead of failing
    without one. Architectures may write more than what is read here; it is kept.
    """

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    schema_number: int = Field(default=SCHEMA, alias="schema")
    model: str = ""
    rows: dict[str, int] = Field(default_factory=dict)  # train, validation
    scores: dict[str, float | None] = Field(default_factory=dict)  # metric -> value in the metric's own unit
    threshold: float | None = None  # the score from which a row counts as positive
    confusion: dict[str, int] = Field(default_factory=dict)  # tp, fp, fn, tn on the validation rows
    labels: dict[str, int] = Field(default_factory=dict)  # label -> rows, train and validation together
    importances: dict[str, float] = Field(default_factory=dict)  # feature -> share of the gain, descending

    def score(self, metric: str) -> float | None:
        """The score in the metric's own unit; None when it is missing or not a finite number."""
        value = self.scores.get(metric)
        return value if value is not None and math.isfinite(value) else None

    @property
    def row_count(self) -> int | None:
        """Rows for training and validation together; None when they were not counted."""
        return sum(self.rows.values()) if self.rows else None


def parse_evaluation(body: bytes | str, where: str) -> Evaluation:
    """Read an evaluation.

    Args:
        body: the JSON document.
        where: its address, for messages.

    Raises:
        EvaluationError: it is not JSON, or a field has a value of the wrong type; names the field and the value.
    """
    try:
        evaluation = Evaluation.model_validate_json(body)
    except ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors())
        raise EvaluationError(f"{where}: {faults}") from None
    if evaluation.schema_number != SCHEMA:
        raise EvaluationError(f"{where}: schema: is {evaluation.schema_number}; this version of Boxcar reads {SCHEMA}")
    return evaluation


def evaluation_uri(prefix: str) -> str:
    """The address of the document in the output `evaluation` of a step, which is a prefix ending in a slash."""
    return prefix if prefix.endswith(".json") else f"{prefix.rstrip('/')}/{FILE_NAME}"


def load_evaluation(s3: Any, uri: str) -> Evaluation:
    """Read an evaluation from S3.

    Raises:
        EvaluationError: there is none at this address, or it cannot be read.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise EvaluationError(
            f"{uri}: does not exist; the evaluate step must write {FILE_NAME} into its output `evaluation`"
        ) from None
    return parse_evaluation(body, uri)


def _fault(fault: Any) -> str:
    field = ".".join(str(part) for part in fault["loc"])
    if not field:
        return f"is not an evaluation ({fault['msg']}); write an object with rows, scores, labels"
    return f"{field}: is {str(fault['input'])[:80]!r}; {fault['msg']}"
