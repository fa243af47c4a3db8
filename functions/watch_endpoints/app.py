"""Watch endpoints: events of SageMaker and of releases that ended badly, and the sweep that finds what they missed."""

import json
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.measures import measure
from boxcar.serving.cleaning import Cleaner
from boxcar.serving.records import Endpoints
from boxcar.serving.turns import Turns
from boxcar.serving.watching import Watcher
from boxcar.settings import settings

logger = Logger(service="watch_endpoints")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take in a batch of messages; those that fail come again, and at last go to the dead-letter queue."""
    endpoints = Endpoints(client("dynamodb"), settings().models_table)
    turns = Turns(endpoints, client("stepfunctions"))
    cleaner = Cleaner(endpoints, client("sagemaker"), client("cloudwatch"), client("application-autoscaling"))
    watcher = Watcher(endpoints, turns, cleaner, client("sagemaker"), client("stepfunctions"))
    failed = []
    for record in event["Records"]:
        try:
            _take_in(watcher, json.loads(record["body"]))
        except Exception:
            logger.exception("message failed", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _take_in(watcher: Watcher, message: dict[str, Any]) -> None:
    if message.get("sweep"):
        watcher.sweep()
        measure({"Sweeps": 1}, sweep="endpoints")
    elif message["detail-type"] == "Step Functions Execution Status Change":
        watcher.run_ended(message["detail"]["executionArn"])
    else:
        watcher.hear(message["detail"]["EndpointName"])
