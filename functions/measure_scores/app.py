"""Measure scores: hold what a version answers on its endpoint against what it was judged by, as it is captured."""

import json
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.family_store import FamilyStore
from boxcar.measures import measure
from boxcar.registry.table import ModelsTable
from boxcar.serving.records import Endpoints
from boxcar.serving.score_drift import ScoreWatch
from boxcar.serving.versions import evaluation_of
from boxcar.settings import settings

logger = Logger(service="measure_scores")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take in a batch of events about captured files; those that fail come again, and at last are dead letters."""
    dynamodb, s3, stack = client("dynamodb"), client("s3"), settings()
    watch = ScoreWatch(
        endpoints=Endpoints(dynamodb, stack.models_table),
        family=FamilyStore(dynamodb, stack.models_table).latest,
        evaluation=partial(evaluation_of, ModelsTable(dynamodb, stack.models_table), s3),
        s3=s3,
        bucket=stack.bucket,
        measure=lambda drift, config: measure({"ServedScoreDrift": drift}, endpoint_config=config),
    )
    keys = {record["messageId"]: json.loads(record["body"])["detail"]["object"]["key"] for record in event["Records"]}
    heard = watch.heard(keys.values())
    for key, error in heard.failed.items():
        logger.error("captured answers not measured", key=key, exc_info=error)
    logger.info("measured", drifts=heard.drifts)
    return {"batchItemFailures": [{"itemIdentifier": message} for message, key in keys.items() if key in heard.failed]}
