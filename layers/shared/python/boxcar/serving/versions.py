"""What is known of a version that serves, or is about to."""

from typing import Any

from boxcar.errors import UnknownVersion
from boxcar.evaluations import Distribution, Evaluation, load_evaluation
from boxcar.registry.table import ModelsTable
from boxcar.versions import Version


def version_of(table: ModelsTable, family: str, model: str, number: str) -> dict[str, Any]:
    """A version that was planned with, as the models table has it.

    Raises:
        UnknownVersion: it is gone.
    """
    found = table.version(family, model, Version.parse(number))
    if found is None:
        raise UnknownVersion(f"there is no version {number} of {family}/{model} any more")
    return found


def evaluation_of(table: ModelsTable, s3: Any, family: str, model: str, number: str) -> Evaluation | None:
    """How a version was judged; None if there is no such version."""
    found = table.version(family, model, Version.parse(number))
    return load_evaluation(s3, found["evaluation"]) if found else None


def judged_scores(evaluation: Evaluation | None) -> Distribution | None:
    """The scores that a version was judged by, in bins that others can be put into; None if it was judged by none."""
    found = evaluation.score_bins if evaluation else None
    return found if found and found.edges is not None else None
