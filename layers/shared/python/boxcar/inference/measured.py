"""What an inference run measures of itself, model by model."""

from typing import Any

from boxcar.measures import measure


def measure_predictions(report: dict[str, Any]) -> None:
    """Write down rows, rejects and drift of a run; nothing of what it did not come to.

    Args:
        report: as `story.tell` puts it together.
    """
    family, rejected = report["family"], report["rows"]["rejected"]
    if rejected is not None:
        measure({"RowsRejected": rejected}, family=family)
    for model in report["models"]:
        values = {"RowsPredicted": model["loaded"]}
        for one in model["drift"]:  # the largest first
            values.setdefault("FeatureDrift" if one["feature"] else "ScoreDrift", one["index"])
        known = {name: value for name, value in values.items() if value is not None}
        measure(known, family=family, model=model["model"])
