"""Plan: check what was asked, pin the approved versions, claim the trigger, write down what the run will do."""

import time
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.claims import Claims
from boxcar.errors import named_errors
from boxcar.evaluations import load_evaluation
from boxcar.family_store import FamilyStore
from boxcar.inference.planning import make_plan, outline, selected_models
from boxcar.inference.requests import InferenceRequest
from boxcar.inference.watermarks import Watermarks
from boxcar.plans import write_plan
from boxcar.registry.table import ModelsTable
from boxcar.restarts import claim, read_start
from boxcar.settings import settings
from boxcar.watches import Watches

logger = Logger(service="plan_inference")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the outline of the plan, or status `duplicate` when another execution has claimed the same trigger."""
    run, execution, asked = event["run"], event["execution"], event["event"]
    dynamodb, s3, stack = client("dynamodb"), client("s3"), settings()
    watches = Watches(dynamodb, stack.jobs_table)
    watches.note_fired(asked, time.time())
    states = client("stepfunctions")
    trigger, earlier = read_start(asked, execution, states, s3, stack.bucket, InferenceRequest)
    version = FamilyStore(dynamodb, stack.models_table).asked_for(trigger.request.family, trigger.source)
    family = version.family.family
    table = ModelsTable(dynamodb, stack.models_table)
    approved = {name: table.approved_version(family, name) for name in selected_models(trigger, version)}
    ready = {name: document for name, document in approved.items() if document}
    evaluations = {name: load_evaluation(s3, document["evaluation"]) for name, document in ready.items()}
    watermark = Watermarks(dynamodb, stack.models_table).oldest(family, list(ready))
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    after = earlier.plan.predicted_at if earlier and earlier.plan else ""
    plan = make_plan(trigger, version, approved, evaluations, watermark, run, now, after)
    if holder := claim(trigger, earlier, Claims(dynamodb, states, stack.jobs_table), execution):
        logger.info("trigger already claimed", source=trigger.source, holder=holder)
        return {"status": "duplicate", "family": family, "claimed_by": holder}
    write_plan(s3, stack.bucket, run, plan)
    watches.watch_run("inference", f"{family} {plan.scope}", execution, time.time())  # a month takes longer than a day
    logger.info("planned", run=run, scope=plan.scope, since=plan.since, skipped=plan.skipped)
    return outline(plan)
