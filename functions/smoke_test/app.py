"""Smoke test: ask a version that has just been deployed what it is known to answer."""

from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.evaluations import load_evaluation
from boxcar.registry.table import ModelsTable
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.smoke import golden, smoke_test
from boxcar.serving.versions import version_of
from boxcar.settings import settings

logger = Logger(service="smoke_test")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"plan", "variant"?}`; answer how many golden requests were answered as they should be."""
    plan, stack = ReleasePlan.model_validate(event["plan"]), settings()
    table = ModelsTable(client("dynamodb"), stack.models_table)
    version = version_of(table, plan.family, plan.model, plan.version)
    runtime = client("sagemaker-runtime")
    of = {"TargetVariant": event["variant"]} if event.get("variant") else {}

    def ask(body: str, content_type: str) -> str:
        answer = runtime.invoke_endpoint(EndpointName=plan.endpoint, Body=body.encode(), ContentType=content_type, **of)
        return str(answer["Body"].read().decode())

    tested = smoke_test(golden(plan.serving.smoke, load_evaluation(client("s3"), version["evaluation"])), ask)
    logger.info("smoke test", endpoint=plan.endpoint, run=plan.run, version=plan.version, tested=tested)
    return {"tested": tested}
