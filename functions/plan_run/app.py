"""Plan: check what was asked, claim the trigger, write down what the run will do."""

import time
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.claims import Claims
from boxcar.errors import TriggerError, named_errors
from boxcar.family_store import FamilyStore
from boxcar.planning import make_plan, outline
from boxcar.plans import plan_key
from boxcar.requests import MAX_TRIGGER_BYTES, read_trigger
from boxcar.restarts import find_earlier, read_restart
from boxcar.settings import settings
from boxcar.watches import Watches

logger = Logger(service="plan_run")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the outline of the plan, or status `duplicate` when another execution has claimed the same trigger."""
    run, execution, asked = event["run"], event["execution"], event["event"]
    watches = Watches(client("dynamodb"), settings().jobs_table)
    watches.note_fired(asked, time.time())
    earlier = find_earlier(asked, execution, client("stepfunctions"), client("s3"), settings().bucket)
    trigger = read_restart(asked, earlier, _read_object) if earlier else read_trigger(asked, _read_object)
    store = FamilyStore(client("dynamodb"), settings().models_table)
    version = store.latest(trigger.request.family)
    if version is None:
        known = ", ".join(store.names()) or "(none; run `boxcar families apply FILE`)"
        raise TriggerError(
            f"{trigger.source}: family: {trigger.request.family!r} was never applied; write one of {known}"
        )
    plan = make_plan(trigger, version, run, datetime.now(UTC).isoformat(timespec="seconds"))
    if trigger.claim:
        claims = Claims(client("dynamodb"), client("stepfunctions"), settings().jobs_table)
        holder = claims.take(trigger.claim, execution, restart=earlier is not None)
        if holder and earlier:
            other = holder.rpartition(":")[2]
            raise TriggerError(f"restart_of: run {earlier.run} goes on in run {other}, which has not ended; watch that")
        if holder:
            logger.info("trigger already claimed", source=trigger.source, holder=holder)
            return {"status": "duplicate", "family": plan.family, "claimed_by": holder}
    client("s3").put_object(
        Bucket=settings().bucket,
        Key=plan_key(run),
        Body=plan.model_dump_json().encode(),
        ContentType="application/json",
    )
    watches.watch_run("training", plan.family, execution, time.time())
    return outline(plan)


def _read_object(bucket: str, key: str, version: str | None) -> bytes:
    which = {"Bucket": bucket, "Key": key, "Range": f"bytes=0-{MAX_TRIGGER_BYTES}"}
    if version:
        which["VersionId"] = version
    s3 = client("s3")
    try:
        body: bytes = s3.get_object(**which)["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise TriggerError(f"s3://{bucket}/{key}: is gone; upload it again") from None
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "InvalidRange":  # an empty object has no first byte
            return b""
        raise
    return body
