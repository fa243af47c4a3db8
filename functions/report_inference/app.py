"""Report: leave one page and one document about an inference run, tell business and science, say what has drifted."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.inference.facts import gather
from boxcar.inference.measured import measure_predictions
from boxcar.inference.retraining import retrain
from boxcar.inference.story import render, tell
from boxcar.reports.files import write_report
from boxcar.reports.measured import measure_seconds
from boxcar.retraining.facts import write_drift
from boxcar.settings import settings
from boxcar.watches import Watches

logger = Logger(service="report_inference")

# What the mail shows of a model; the rest is in the report.
_MAILED = ("model", "version", "status", "rows", "loaded", "yes", "reasons", "error")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"run", "results", "error"?}`; answer status, report and who was skipped. Starts a training for drift."""
    s3, dynamodb, stack = client("s3"), client("dynamodb"), settings()
    run = event["run"]
    facts = gather(run, s3=s3, dynamodb=dynamodb, bucket=stack.bucket, jobs_table=stack.jobs_table)
    report = tell(facts, event.get("results") or [], event.get("error"), time.time())
    address = write_report(s3, stack.bucket, report, render(report))
    about = {"machine": "inference", "run": run, "family": report["family"]}
    skipped = [model["model"] for model in report["models"] if model["status"] == "skipped"]
    messages: list[dict[str, Any]] = [{"kind": "model_skipped", **about, "model": model} for model in skipped]
    messages += [  # alarms that the machine tried to send for minutes, in vain
        {"kind": "model_failed", **about, **{name: one[name] for name in ("model", "error", "cause")}}
        for one in event.get("results") or []
        if not one.get("told", True)
    ]
    if report["drifted"]:
        told, now = {"kind": "drift", **about, "reasons": report["drifted"]}, datetime.now(UTC)
        if facts.plan and facts.plan.is_of_today:
            for model in report["models"]:
                if model["drifted"]:
                    write_drift(s3, stack.bucket, report["family"], model["model"], run, now, model["drifted"])
            if facts.plan.inference.drift.retrain:
                machine = stack.training_machine_arn
                told["training"] = asdict(retrain(client("stepfunctions"), machine, report["family"], run, now))
        messages.append(told)
    messages.append(
        {
            "kind": "inference_report",
            **about,
            **{name: report[name] for name in ("status", "sentence", "scope", "table", "view")},
            "report": address,
            "models": [{name: model[name] for name in _MAILED} for model in report["models"]],
        }
    )
    for message in messages:
        client("sqs").send_message(QueueUrl=stack.alarm_queue_url, MessageBody=json.dumps(message))
    measure_seconds("inference", report)
    measure_predictions(report)
    usual = f"{report['family']} {report['scope']}"
    Watches(dynamodb, stack.jobs_table).run_reported("inference", usual, facts.plan, report)
    logger.info("reported", run=run, status=report["status"], report=address, drifted=report["drifted"])
    return {"run": run, "status": report["status"], "report": address, "skipped": skipped}
