"""What the evaluate step found out about one candidate: `evaluation.json`, as the code of an architecture writes it."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boxcar.errors import EvaluationError

READABLE = (1, 2)  # 1 had no calibration, features, slices, latency and comparison
FILE_NAME = "evaluation.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Calibration(_Part):
    """How far scores are from the share of ones among the rows that have them."""

    error: float | None = None  # expected calibration error, bins of equal mass
    noise: float | None = None  # what perfect scores stay below in 95 of 100 cases on so many rows


class Distribution(_Part):
    """What one feature looked like: counts by bin, and nulls. `edges` or `values` say what the bins are."""

    edges: list[float] | None = None
    values: list[str] | None = None
    counts: list[int]
    missing: int = 0

    def by_bin(self) -> dict[str, int]:
        """Rows by bin, nulls being a bin of their own."""
        return {**{str(place): count for place, count in enumerate(self.counts)}, "missing": self.missing}


class Gap(_Part):
    """The largest gap of a figure between two slices of the validation rows that is no chance, or else the largest."""

    gap: float | None = None
    low: float | None = None  # 95 % bootstrap interval of the gap between these two
    high: float | None = None
    noise: float | None = None  # what chance makes of the gap between slices of their sizes
    lowest: str = ""
    highest: str = ""


class Slices(_Part):
    """The model's figures by the values of one column."""

    column: str
    min_rows: int = 0
    values: dict[str, dict[str, float | None]] = Field(default_factory=dict)  # value -> rows, metrics, positive_rate
    gaps: dict[str, Gap] = Field(default_factory=dict)  # metric or positive_rate


class Latency(_Part):
    """How long the serving code took for so many rows, in seconds."""

    rows: int
    seconds: float


class Drop(_Part):
    """How much worse the candidate is than the approved version on the same rows, with its 95 % bootstrap interval."""

    drop: float
    low: float | None = None
    high: float | None = None


class Slowdown(_Part):
    """How many times as long the candidate takes as the approved version, with its 95 % bootstrap interval."""

    times: float
    low: float | None = None
    high: float | None = None


class Comparison(_Part):
    """What the approved version made of the candidate's rows, in the same process. What could not be had is empty."""

    rows: int | None = None
    scores: dict[str, float | None] = Field(default_factory=dict)
    drops: dict[str, Drop] = Field(default_factory=dict)
    features: dict[str, Distribution] = Field(default_factory=dict)  # the candidate's rows in the approved one's bins
    latency: Latency | None = None
    slowdown: Slowdown | None = None
    problem: str = ""  # why something is missing


class Evaluation(BaseModel):
    """The figures of one version.

    Every figure may be missing: it is the verdict's business to call that a breach, with a reason, instead of failing
    without one. Architectures may write more than what is read here; it is kept.
    """

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    schema_number: int = Field(default=1, alias="schema")
    model: str = ""
    rows: dict[str, int] = Field(default_factory=dict)  # train, validation
    scores: dict[str, float | None] = Field(default_factory=dict)  # metric -> value in the metric's own unit
    threshold: float | None = None  # the score from which a row counts as positive
    confusion: dict[str, int] = Field(default_factory=dict)  # tp, fp, fn, tn on the validation rows
    labels: dict[str, int] = Field(default_factory=dict)  # label -> rows, train and validation together
    importances: dict[str, float] = Field(default_factory=dict)  # feature -> share of the gain, descending
    calibration: Calibration | None = None
    features: dict[str, Distribution] = Field(default_factory=dict)  # of the training rows
    inputs: dict[str, str] = Field(default_factory=dict)  # what a caller sends, in this order: numeric or categorical
    score_bins: Distribution | None = None  # scores of the validation rows
    sample: list[dict[str, Any]] = Field(default_factory=list)  # validation rows: key, values of the inputs, score
    slices: Slices | None = None
    latency: Latency | None = None
    comparison: Comparison | None = None  # None: there was no approved version, or nobody compared

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
    if evaluation.schema_number not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise EvaluationError(f"{where}: schema: is {evaluation.schema_number}; this version of Boxcar reads {known}")
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
