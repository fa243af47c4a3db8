"""Plan: check what was asked, sort out what cannot be measured, claim the trigger, write down what the run will do."""

import time
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.benchmarks.instances import read_prices
from boxcar.benchmarks.planning import make_plan, outline, read_code
from boxcar.benchmarks.requests import BenchmarkRequest
from boxcar.claims import Claims
from boxcar.errors import named_errors
from boxcar.plans import write_plan
from boxcar.restarts import claim, read_start
from boxcar.settings import settings
from boxcar.watches import Watches

logger = Logger(service="plan_benchmark")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the outline of the plan, or status `duplicate` when another execution has claimed the same trigger."""
    run, execution, asked = event["run"], event["execution"], event["event"]
    dynamodb, s3, states, stack = client("dynamodb"), client("s3"), client("stepfunctions"), settings()
    trigger, earlier = read_start(asked, execution, states, s3, stack.bucket, BenchmarkRequest)
    plan = make_plan(
        trigger,
        read_prices(s3, stack.bucket),
        {family: vcpus for family, vcpus in stack.benchmark_vcpus.items() if vcpus},
        read_code(s3, stack.bucket),
        stack.stack,
        f"s3://{stack.bucket}/compiled",
        run,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    if holder := claim(trigger, earlier, Claims(dynamodb, states, stack.jobs_table), execution):
        logger.info("trigger already claimed", source=trigger.source, holder=holder)
        return {"status": "duplicate", "family": plan.family, "claimed_by": holder}
    write_plan(s3, stack.bucket, run, plan)
    Watches(dynamodb, stack.jobs_table).watch_run("benchmark", plan.family, execution, time.time())
    logger.info("planned", run=run, builds=len(plan.models), pruned=len(plan.pruned))
    return outline(plan)
