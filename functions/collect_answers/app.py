"""Collect answers: what the asynchronous endpoint says of each document becomes a file where its sender looks."""

import json
from collections import Counter
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.documents.collecting import Collecting
from boxcar.documents.endings import Endings
from boxcar.documents.record import Documents
from boxcar.settings import settings

logger = Logger(service="collect_answers")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take notices of SageMaker from the queue; answer which of them are to come back."""
    documents = Documents(client("dynamodb"), settings().jobs_table)
    endings = Endings(client("s3"), client("sqs"), documents, settings().bucket, settings().alarm_queue_url)
    collecting = Collecting(documents, endings)
    became, failed, answered = Counter[str](), [], []
    for record in event["Records"]:
        try:
            outcome = collecting.take(json.loads(record["body"]))
        except Exception:  # one bad message must not hold up the others
            logger.exception("not collected", message_id=record["messageId"], body=record["body"][:2000])
            failed.append(record["messageId"])
        else:
            became[outcome] += 1
            if outcome == "answered":
                answered.append(record["messageId"])
    try:
        collecting.flush()
    except Exception:
        logger.exception("answers not told of", count=len(answered))
        failed += answered
    logger.info("notices", failed=len(failed), became=dict(became))
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
