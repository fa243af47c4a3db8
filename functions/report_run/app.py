"""Report: leave one page and one document about the run, and tell business and science."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.registry.table import ModelsTable
from boxcar.reports.deviations import deviations
from boxcar.reports.facts import gather
from boxcar.reports.files import write_report
from boxcar.reports.measured import measure_seconds
from boxcar.reports.page import render
from boxcar.reports.story import tell
from boxcar.reports.untold import untold
from boxcar.settings import settings
from boxcar.watches import Watches

logger = Logger(service="report_run")

# What the mail shows of a model; the rest is in the report.
_MAILED = (
    "model",
    "version",
    "compared_with",
    "status",
    "metric",
    "score",
    "score_before",
    "label_shift",
    "row_change",
    "reasons",
    "decision",
    "error",
)


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"run", "results", "error"?}`; answer the status of the run and where its report lies."""
    s3, dynamodb, stack = client("s3"), client("dynamodb"), settings()
    run = event["run"]
    table = ModelsTable(dynamodb, stack.models_table)
    facts = gather(run, s3=s3, dynamodb=dynamodb, bucket=stack.bucket, jobs_table=stack.jobs_table, table=table)
    report = tell(facts, event.get("results") or [], event.get("error"), time.time())
    address = write_report(s3, stack.bucket, report, render(report))
    message = {
        "kind": "report",
        "machine": "training",
        "run": run,
        "family": report["family"],
        "status": report["status"],
        "sentence": report["sentence"],
        "report": address,
        "models": [{name: model[name] for name in _MAILED} for model in report["models"]],
    }
    thresholds = facts.plan.alarms if facts.plan else {}
    for each in (
        *deviations("training", report, thresholds),
        *untold(facts, "training", event.get("results") or []),
        message,
    ):
        client("sqs").send_message(QueueUrl=stack.alarm_queue_url, MessageBody=json.dumps(each))
    measure_seconds("training", report)
    Watches(dynamodb, stack.jobs_table).run_reported("training", report["family"], facts.plan, report)
    logger.info("reported", run=run, status=report["status"], report=address)
    return {"run": run, "status": report["status"], "report": address}
