"""Report: leave one page, one table and one document about a benchmark, and mail what to buy."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.benchmarks.facts import gather
from boxcar.benchmarks.story import render, table, tell
from boxcar.errors import named_errors
from boxcar.reports.files import write_report
from boxcar.reports.measured import measure_seconds
from boxcar.settings import settings
from boxcar.watches import Watches

logger = Logger(service="report_benchmark")

# What the mail shows of a row; the rest is in the report.
_MAILED = ("instance_type", "backend", "options", "batch_size", "how", "status", "meets", "instances", "usd_per_year")
_MOST_MAILED = 5  # rows a target
_FAILED = ("step", "error", "cause")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"run", "results", "error"?}`; answer status and place of the report."""
    s3, dynamodb, stack = client("s3"), client("dynamodb"), settings()
    run = event["run"]
    facts = gather(run, s3=s3, dynamodb=dynamodb, bucket=stack.bucket, jobs_table=stack.jobs_table)
    report = tell(facts, event.get("results") or [], event.get("error"), time.time())
    address = write_report(s3, stack.bucket, report, render(report), table(report))
    about = {"machine": "benchmark", "run": run, "family": report["family"]}
    messages = [  # alarms that the machine tried to send for minutes, in vain
        {"kind": "model_failed", **about, "model": one["build"], **{name: one[name] for name in _FAILED}}
        for build in event.get("results") or []
        for one in build
        if not one.get("told", True)
    ]
    summary = {
        "kind": "benchmark_report",
        **about,
        **{name: report[name] for name in ("status", "sentence")},
        "report": address,
        "targets": [
            {
                "name": target["name"],
                "words": target["words"],
                "caveats": target["recommendation"]["caveats"],
                "rows": [{name: row[name] for name in _MAILED} for row in target["rows"][:_MOST_MAILED]],
                "failed": sorted({row["why"][:200] for row in target["rows"] if row["status"] != "ok"}),
            }
            for target in report["targets"]
        ],
    }
    for message in [*messages, summary]:
        client("sqs").send_message(QueueUrl=stack.alarm_queue_url, MessageBody=json.dumps(message))
    measure_seconds("benchmark", report)
    Watches(dynamodb, stack.jobs_table).run_reported("benchmark", report["family"], facts.plan, report)
    logger.info("reported", run=run, status=report["status"], report=address)
    return {"run": run, "status": report["status"], "report": address}
