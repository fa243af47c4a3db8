"""What is known of the models of a family: the versions of both registries, labels, drift."""

import json
from datetime import UTC, datetime
from typing import Any

from boxcar.families import Family
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.retraining.policy import Facts


def gather(
    family: Family, table: ModelsTable, packages: Packages, labelled: dict[str, int], drift: dict[str, dict[str, Any]]
) -> list[Facts]:
    """Facts of every model.

    Args:
        family: as it is stored.
        table: of versions.
        packages: the versions that SageMaker lists.
        labelled: model -> labelled rows that the warehouse has now; empty where nobody counted.
        drift: model -> what `read_drift` answered.
    """
    found = []
    for model in family.models:
        version = table.approved_version(family.family, model) or {}
        trained = _moment(version.get("created"))
        newest = next(packages.packages(packages.group_name(family.family, model)), {})
        found.append(
            Facts(
                model=model,
                approved=version.get("version"),
                trained=trained,
                rows=sum(version["rows"].values()) if version.get("rows") else None,
                labelled=labelled.get(model),
                newest=_moment(newest.get("CreationTime")),
                newest_status=newest.get("ModelApprovalStatus", ""),
                drift=_drift(drift[model], model, trained),
            )
        )
    return found


def drift_key(family: str, model: str) -> str:
    """Where the last inference run that loaded rows in which a model has drifted has left what it saw."""
    return f"reports/drift/{family}/{model}.json"


def write_drift(s3: Any, bucket: str, family: str, model: str, run: str, at: datetime, reasons: list[str]) -> None:
    """Leave it there. `reasons` are sentences that begin with the model and a colon, at least one."""
    document = {"run": run, "at": at.isoformat(timespec="seconds"), "reasons": reasons}
    s3.put_object(Bucket=bucket, Key=drift_key(family, model), Body=json.dumps(document).encode())


def read_drift(s3: Any, bucket: str, family: str, model: str) -> dict[str, Any]:
    """What `write_drift` left; empty if the model has not drifted."""
    try:
        body = s3.get_object(Bucket=bucket, Key=drift_key(family, model))["Body"].read()
    except s3.exceptions.NoSuchKey:
        return {}
    document: dict[str, Any] = json.loads(body)
    return document


def _drift(drift: dict[str, Any], model: str, trained: datetime | None) -> str:
    at = _moment(drift.get("at"))
    if at is None or (trained and at <= trained):
        return ""
    return f"{drift['reasons'][0].removeprefix(f'{model}: ')} in run {drift['run']}"


def _moment(value: Any) -> datetime | None:
    if not value:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
