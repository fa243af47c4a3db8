"""Register: make a judged candidate a version in SageMaker's registry and in the models table."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.comparisons import stored_verdict
from boxcar.errors import EvaluationError, StepError, named_errors
from boxcar.evaluations import evaluation_uri
from boxcar.jobs.sagemaker import serving_environment
from boxcar.registry.origins import origin_of
from boxcar.registry.packages import Packages, serving_step
from boxcar.registry.registration import Candidate, register
from boxcar.registry.table import ModelsTable
from boxcar.run_outputs import RunOutputs
from boxcar.settings import settings

logger = Logger(service="register_version")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"run", "model"}`; answer the version, its status and its package. Calling again changes nothing."""
    s3, dynamodb, stack = client("s3"), client("dynamodb"), settings()
    run, model = event["run"], event["model"]
    outputs = RunOutputs(s3, dynamodb, bucket=stack.bucket, jobs_table=stack.jobs_table, stack=stack.stack, run=run)
    plan = outputs.model_plan(model)
    verdict = stored_verdict(s3, stack.bucket, run, model)
    if verdict is None:
        raise EvaluationError(f"model {model} of run {run} has no verdict; Compare must end before Register")
    serving = serving_step(plan)
    image = serving.image or ""
    if image not in stack.images:
        known = ", ".join(sorted(stack.images)) or "(none)"
        raise StepError(
            f"architecture {plan.architecture}: image: {image!r} is not in BOXCAR_IMAGES; write one of {known}"
        )
    candidate = Candidate(
        run=run,
        plan=plan,
        verdict=verdict,
        artifact=outputs.output(plan, "model"),
        evaluation=evaluation_uri(outputs.output(plan, "evaluation")),
        image=stack.images[image],
        environment=serving_environment(serving, stack) if serving.script else {},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=origin_of(outputs.plan, plan, outputs, s3, stack.images[image]),
    )
    table, packages = ModelsTable(dynamodb, stack.models_table), Packages(client("sagemaker"), stack.stack)
    registered = register(candidate, table, packages, s3, stack.bucket)
    logger.info("registered", run=run, model=model, version=registered.version, status=registered.status)
    return {
        "model": model,
        "version": registered.version,
        "status": registered.status,
        "package_arn": registered.package_arn,
    }
