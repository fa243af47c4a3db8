"""Register: turn a judged candidate into a version, in S3, in SageMaker's registry and in the models table.

The order makes every crash harmless: the number is reserved first, then the artifact is copied to the place of that
number, then the package is made, and the table, which is what Boxcar itself believes, changes last and at once. A
repeat finds its number, copies the same bytes, finds the package and finishes. Until the table has changed, nothing
that predicts has moved.
"""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from boxcar.errors import StepError
from boxcar.evaluations import FILE_NAME, Evaluation, load_evaluation
from boxcar.plans import ModelPlan
from boxcar.registry.origins import Origin
from boxcar.registry.packages import Packages, package_request, serving_step
from boxcar.registry.table import ModelsTable
from boxcar.verdicts import Verdict
from boxcar.versions import Change, Version

ARTIFACT_NAME = "model.tar.gz"
VERDICT_NAME = "verdict.json"


@dataclass(frozen=True)
class Candidate:
    """What is to be registered."""

    run: str
    plan: ModelPlan
    verdict: Verdict
    artifact: str  # s3://…/model.tar.gz, where the training step left it
    evaluation: str  # s3://…/evaluation.json
    image: str  # URI of the container that serves it
    environment: dict[str, str]  # what tells that container where its code is
    created: str  # ISO 8601, UTC
    origin: Origin


@dataclass(frozen=True)
class Registered:
    """What became of it."""

    version: str
    status: str  # Approved, PendingManualApproval, Rejected
    package_arn: str


def version_prefix(bucket: str, family: str, model: str, version: Version) -> str:
    """Where the files of one version lie, with a slash at the end."""
    return f"s3://{bucket}/models/{family}/{model}/{version}/"


def register(candidate: Candidate, table: ModelsTable, packages: Packages, s3: Any, bucket: str) -> Registered:
    """Register a candidate. Once for each run and model, however often it is called.

    A restart that goes on with a verdict of the run before goes on with its number too: it is the same candidate. One
    that its gate approves waits for a person when another version is approved by now than the one it was compared with.

    Raises:
        StepError: the artifact or the evaluation is not where the run left it.
        EvaluationError: the evaluation cannot be read.
        Throttled: too many runs registered the same model at once.
    """
    plan = candidate.plan
    version, change, repeated = table.reserve(
        plan.family, plan.model, candidate.verdict.run or candidate.run, plan.interface_digest, plan.code_digest
    )
    if repeated and (done := table.version(plan.family, plan.model, version)):
        return Registered(done["version"], done["status"], done["package_arn"])
    prefix = version_prefix(bucket, plan.family, plan.model, version)
    artifact, evaluation, judged = prefix + ARTIFACT_NAME, prefix + FILE_NAME, prefix + VERDICT_NAME
    verdict = _as_of_now(candidate.verdict, table.approved(plan.family, plan.model), version)
    verdict = verdict.model_copy(update={"version": str(version), "change": change})
    _copy(s3, candidate.artifact, artifact)
    _copy(s3, candidate.evaluation, evaluation)
    _write(s3, judged, verdict.model_dump_json(indent=1))
    group = packages.ensure_group(plan.family, plan.model)
    request = package_request(
        plan,
        group=group,
        version=version,
        run=candidate.run,
        verdict=verdict,
        verdict_document=judged,
        image=candidate.image,
        environment=candidate.environment,
        artifact=artifact,
        evaluation=evaluation,
        change=change,
        origin=candidate.origin,
    )
    package_arn = packages.register(request, search_first=repeated)
    status = request["ModelApprovalStatus"]
    document = {
        **version_document(candidate, version, change, verdict, load_evaluation(s3, evaluation)),
        "status": status,
        "package_arn": package_arn,
        "outputs": {"model": artifact, "evaluation": evaluation},  # what the next candidate is compared with
        "evaluation": evaluation,
        "verdict_document": judged,
    }
    table.commit(plan.family, plan.model, version, document, verdict.outcome == "approve", verdict.compared_with)
    return Registered(str(version), status, package_arn)


def _as_of_now(verdict: Verdict, approved: dict[str, Any] | None, version: Version) -> Verdict:
    """The verdict, unless a version would predict by it in the place of one that it says nothing about."""
    if verdict.outcome != "approve" or approved is None or approved["version"] == verdict.compared_with:
        return verdict
    if approved["sort_key"] > version.sort_key:  # it does not predict, whatever its status
        return verdict
    than = f"version {verdict.compared_with}" if verdict.compared_with else "no version"
    reason = f"compared with {than}, but {approved['version']} is the approved version by now"
    return verdict.model_copy(update={"outcome": "review", "reasons": [reason, *verdict.reasons]})


def version_document(
    candidate: Candidate, version: Version, change: Change, verdict: Verdict, evaluation: Evaluation
) -> dict[str, Any]:
    """What the models table keeps of a version besides its addresses: config, figures and verdict."""
    plan = candidate.plan
    return {
        "version": str(version),
        "sort_key": version.sort_key,
        "change": change,
        "family": plan.family,
        "model": plan.model,
        "run": candidate.run,
        "created": candidate.created,
        "interface_digest": plan.interface_digest,
        "code_digest": plan.code_digest,
        "config": {
            "architecture": plan.architecture,
            "parameters": plan.parameters,
            "features": plan.features,
            "label": plan.label,
            "uses_predictions_of": plan.uses_predictions_of,
        },
        "metrics": evaluation.scores,
        "threshold": evaluation.threshold,
        "serving": serving_step(plan).model_dump(mode="json"),  # with its code: what predicts with this version
        "confusion": evaluation.confusion,
        "labels": evaluation.labels,
        "rows": evaluation.rows,
        "verdict": verdict.model_dump(mode="json"),
        "origin": candidate.origin.model_dump(mode="json"),
    }


def _write(s3: Any, address: str, text: str) -> None:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json")


def _copy(s3: Any, source: str, target: str) -> None:
    """Copy inside S3, in parts when it is large. The bytes never pass through the function."""
    from_bucket, _, from_key = source.removeprefix("s3://").partition("/")
    to_bucket, _, to_key = target.removeprefix("s3://").partition("/")
    try:
        s3.copy({"Bucket": from_bucket, "Key": from_key}, to_bucket, to_key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            raise StepError(
                f"{source}: does not exist, so {target} cannot be made from it; was the run's folder cleaned up?"
            ) from None
        raise
