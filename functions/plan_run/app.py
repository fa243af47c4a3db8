"""Plan: check what was asked, claim the trigger, write down what the run will do."""

import time
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.claims import Claims
from boxcar.errors import named_errors
from boxcar.family_store import FamilyStore
from boxcar.planning import make_plan, outline
from boxcar.plans import write_plan
from boxcar.requests import TrainingRequest
from boxcar.restarts import claim, read_start
from boxcar.settings import settings
from boxcar.watches import Watches

logger = Logger(service="plan_run")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the outline of the plan, or status `duplicate` when another execution has claimed the same trigger."""
    run, execution, asked = event["run"], event["execution"], event["event"]
    watches = Watches(client("dynamodb"), settings().jobs_table)
    watches.note_fired(asked, time.time())
    states = client("stepfunctions")
    trigger, earlier = read_start(asked, execution, states, client("s3"), settings().bucket, TrainingRequest)
    store = FamilyStore(client("dynamodb"), settings().models_table)
    version = store.asked_for(trigger.request.family, trigger.source)
    plan = make_plan(trigger, version, run, datetime.now(UTC).isoformat(timespec="seconds"))
    if holder := claim(trigger, earlier, Claims(client("dynamodb"), states, settings().jobs_table), execution):
        logger.info("trigger already claimed", source=trigger.source, holder=holder)
        return {"status": "duplicate", "family": plan.family, "claimed_by": holder}
    write_plan(client("s3"), settings().bucket, run, plan)
    watches.watch_run("training", plan.family, execution, time.time())
    return outline(plan)
