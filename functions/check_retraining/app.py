"""Check retraining: every day, train what a family's policy wants trained, and say in a line why or why not."""

import json
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from boxcar.aws import client
from boxcar.family_store import FamilyStore
from boxcar.kinds.statement import warehouse
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.retraining.checking import Checker
from boxcar.retraining.labels import DETAIL_TYPE, family_of
from boxcar.settings import Settings, settings
from boxcar.starting import Start, start
from boxcar.watches import Watches

logger = Logger(service="check_retraining")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says

LOOK_AGAIN_S = 900  # the longest that SQS delays


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take from the queue what the schedule said, or that labels were counted; answer what is to come back."""
    stack = settings()
    checker, failed = _checker(stack), []
    for record in event["Records"]:
        try:
            _heard(json.loads(record["body"]), checker, stack)
        except Exception:  # one bad message must not hold up the others
            logger.exception("comes back later", message_id=record["messageId"], body=record["body"][:2000])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _heard(event: dict[str, Any], checker: Checker, stack: Settings) -> None:
    if event.get("detail-type") == DETAIL_TYPE:
        detail = event["detail"]
        if family := family_of(stack.stack, detail.get("statementName") or ""):
            checker.labels_counted(family, detail["statementId"])
    elif "labels_counted" in event:
        checker.labels_counted(event["family"], event["labels_counted"])
    else:
        Watches(client("dynamodb"), stack.jobs_table).note_fired(event, time.time())
        checker.all()


def _checker(stack: Settings) -> Checker:
    store = FamilyStore(client("dynamodb"), stack.models_table)

    def send(queue: str, message: dict[str, Any], delay_s: int = 0) -> None:
        client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message), DelaySeconds=delay_s)

    def train(asked: dict[str, Any], token: str) -> str:
        begun = Start(machine="training", input=asked, token=token)
        run = start(client("stepfunctions"), stack.machines, begun, store.asked_for, datetime.now(UTC))["run"]
        return str(run)

    return Checker(
        store=store,
        table=ModelsTable(client("dynamodb"), stack.models_table),
        packages=Packages(client("sagemaker"), stack.stack),
        redshift=client("redshift-data"),
        warehouse=partial(warehouse, stack),
        s3=client("s3"),
        stack=stack.stack,
        bucket=stack.bucket,
        train=train,
        tell=lambda message: send(stack.alarm_queue_url, message),
        later=lambda message: send(stack.retraining_queue_url, message, LOOK_AGAIN_S),
        now=lambda: datetime.now(UTC),
    )
