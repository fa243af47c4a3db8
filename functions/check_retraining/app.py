"""Check retraining: every day, train what a family's policy wants trained, and say in a line why or why not."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.families import FamilyVersion
from boxcar.family_store import FamilyStore
from boxcar.kinds.statement import warehouse
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.retraining.facts import gather, read_drift
from boxcar.retraining.labels import DETAIL_TYPE, count, counted, family_of
from boxcar.retraining.policy import decide
from boxcar.settings import settings
from boxcar.starting import Start, start
from boxcar.watches import Watches

logger = Logger(service="check_retraining")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take from the queue what the schedule said, or that labels were counted; answer what is to come back."""
    failed = []
    for record in event["Records"]:
        try:
            _heard(json.loads(record["body"]), datetime.now(UTC))
        except Exception:  # one bad message must not hold up the others
            logger.exception("comes back later", message_id=record["messageId"], body=record["body"][:2000])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _heard(event: dict[str, Any], now: datetime) -> None:
    stack = settings()
    store = FamilyStore(client("dynamodb"), stack.models_table)
    if event.get("detail-type") == DETAIL_TYPE:
        detail = event["detail"]
        name = family_of(stack.stack, detail.get("statementName") or "")
        version = store.latest(name) if name else None
        if version is None or version.family.retraining is None:
            return  # its policy was taken away while labels were counted
        labels = {}
        if detail["state"] == "FINISHED":
            labels = counted(client("redshift-data"), detail["statementId"], version.family)
        _decide(version, labels, store, now)
        return
    Watches(client("dynamodb"), stack.jobs_table).note_fired(event, time.time())
    for name in store.names():
        version = store.latest(name)
        if version is None or version.family.retraining is None:
            continue
        if version.family.retraining.min_new_labels is None:
            _decide(version, {}, store, now)
        else:  # the event of its end goes on
            count(client("redshift-data"), warehouse(stack), stack.stack, version.family, now)


def _decide(version: FamilyVersion, labels: dict[str, int], store: FamilyStore, now: datetime) -> None:
    """Start a training of the models that are to be trained, one a day, and tell."""
    stack, family = settings(), version.family
    policy = family.retraining
    assert policy  # the caller has looked
    table, packages = ModelsTable(client("dynamodb"), stack.models_table), Packages(client("sagemaker"), stack.stack)
    drift = read_drift(client("s3"), stack.bucket, family.family)
    decisions = [decide(policy, facts, now) for facts in gather(family, table, packages, labels, drift)]
    wanted = [decision.model for decision in decisions if decision.train]
    run = ""
    if wanted:
        asked = {"family": family.family, "models": wanted, "requested_by": "retraining policy"}
        begun = Start(machine="training", input=asked, token=f"retraining {now:%Y-%m-%d}")
        run = start(client("stepfunctions"), stack.machines, begun, store.asked_for, now)["run"]
    lines = [decision.line for decision in decisions]
    logger.info("retraining", family=family.family, run=run, decisions=lines)
    message = {"kind": "retraining", "family": family.family, "day": f"{now:%Y-%m-%d}", "run": run, "lines": lines}
    client("sqs").send_message(QueueUrl=stack.alarm_queue_url, MessageBody=json.dumps(message))
