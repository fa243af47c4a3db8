"""What every criterion of a verdict is made of."""

import math
from typing import Literal

from boxcar.plans import CriterionName, Gate, Outcome
from boxcar.steps import Document

# Which way is better. A metric that is not here cannot be a gate.
METRICS: dict[str, Literal["higher", "lower"]] = {
    "roc_auc": "higher",
    "average_precision": "higher",
    "log_loss": "lower",
}
# Differences of binary fractions miss their decimal value by less than this; it must not tip a figure over its limit.
ROUNDING = 1e-9


class Criterion(Document):
    """One thing that was looked at."""

    name: CriterionName
    figure: float | None  # None: it could not be computed
    limit: float | None  # None: only has to exist
    low: float | None = None  # 95 % interval of a figure that is a difference
    high: float | None = None
    noise: float | None = None  # what chance alone stays below in 95 of 100 cases
    p_value: float | None = None  # of a shift: how likely chance alone makes one at least as large
    breached: bool
    causes: Outcome = "reject"  # what its breach leads to
    reason: str  # one sentence, whether it is breached or not


def missing(name: CriterionName, limit: float | None, gate: Gate, reason: str) -> Criterion:
    """A breach, because there is no figure. It never leads to an approval, whatever the gate says of other breaches."""
    causes = gate.causes(name)
    causes = "review" if causes == "approve" else causes
    return Criterion(name=name, figure=None, limit=limit, breached=True, causes=causes, reason=reason)


def finite(value: float | None) -> float | None:
    """The number, or None when it is none."""
    return value if value is not None and math.isfinite(value) else None
