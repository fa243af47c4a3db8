"""Check counts: that no row gets lost between two steps of an inference run, and none comes twice."""

from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import StepError, named_errors
from boxcar.inference.counts import check_load, check_split, split_counts, unloaded_rows, with_sizes
from boxcar.inference.plans import InferencePlan
from boxcar.inference.watermarks import Watermarks
from boxcar.plans import read_plan, write_plan
from boxcar.run_outputs import RunOutputs
from boxcar.settings import settings

logger = Logger(service="check_counts")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"run", "after"}`, after being unload, split, or load with `"model"`; answer how many rows there are.

    After the split the transforms are set for the files that it wrote. After a load the model's watermark moves.
    """
    s3, dynamodb, stack = client("s3"), client("dynamodb"), settings()
    run, after = event["run"], event["after"]
    outputs = RunOutputs(s3, dynamodb, bucket=stack.bucket, jobs_table=stack.jobs_table, stack=stack.stack, run=run)
    if after == "unload":
        rows = unloaded_rows(s3, outputs.output_of("", "unload", "data"))
        logger.info("unloaded", run=run, rows=rows)
        return {"rows": rows}
    plan = read_plan(s3, stack.bucket, run, InferencePlan)
    counts = split_counts(s3, outputs.output_of("", "split", "counts"))
    if after == "split":
        check_split(plan, unloaded_rows(s3, outputs.output_of("", "unload", "data")), counts)
        write_plan(s3, stack.bucket, run, with_sizes(plan, counts))
        logger.info("split", run=run, rows=counts["rows"], rejected=counts["rejected"])
        return {"rows": counts["rows"] - counts["rejected"], "rejected": counts["rejected"]}
    if after != "load":
        raise StepError(f"after: is {after!r}; write unload, split or load")
    model = event["model"]
    rows = check_load(plan, model, counts, outputs, s3)
    if plan.day is None and counts["first_seen"]:  # a backfill says nothing of the days around it
        now = plan.created_at[:23].replace("T", " ")  # a mark in the future would hide every row that comes until then
        reached = min(counts["first_seen"], now)
        Watermarks(dynamodb, stack.models_table).move(plan.family, model, reached, run)
    logger.info("loaded", run=run, model=model, rows=rows)
    return {"model": model, "version": plan.models[model].version, "rows": rows}
