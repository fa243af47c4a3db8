"""Compare: weigh a candidate against the approved version of its model."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.comparisons import compare
from boxcar.errors import named_errors
from boxcar.measures import measure
from boxcar.registry.table import ModelsTable
from boxcar.run_outputs import RunOutputs
from boxcar.settings import settings

logger = Logger(service="compare_versions")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"run", "model"}`; answer the verdict in short. The whole of it is in the bucket."""
    s3, dynamodb, stack = client("s3"), client("dynamodb"), settings()
    outputs = RunOutputs(
        s3, dynamodb, bucket=stack.bucket, jobs_table=stack.jobs_table, stack=stack.stack, run=event["run"]
    )
    table = ModelsTable(dynamodb, stack.models_table)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    verdict = compare(event["model"], outputs, table, s3, stack.bucket, now)
    logger.info("judged", run=event["run"], model=event["model"], outcome=verdict.outcome, reasons=verdict.reasons)
    measure({f"Verdicts{verdict.outcome.title()}": 1}, family=verdict.family)
    if verdict.score is not None:
        measure({"ModelScore": verdict.score}, family=verdict.family, model=verdict.model)
    short = {"model", "outcome", "version", "reasons", "metric", "score", "score_before", "label_shift", "row_change"}
    hours = outputs.model_plan(event["model"]).gate.review_hours
    return {**verdict.model_dump(mode="json", include=short), "review_hours": hours}
