"""Compare: bring a candidate's figures and the approved version's together, and write the verdict down."""

from typing import Any

from boxcar.evaluations import Comparison, evaluation_uri, load_evaluation
from boxcar.plans import ModelPlan, Plan, read_plan
from boxcar.registry.table import ModelsTable
from boxcar.run_outputs import RunOutputs
from boxcar.verdicts import Verdict, judge, verdict_key
from boxcar.versions import change_since, next_version

# The input by which an evaluate step gets the approved version's artifact.
COMPARED_INPUT = "approved_model"


def compare(model: str, outputs: RunOutputs, table: ModelsTable, s3: Any, bucket: str, judged_at: str) -> Verdict:
    """Judge the candidate that a run has trained, and store the verdict beside its evaluation.

    Said once, a verdict stays: a repeat of Compare, or a restart of the run under the same gate, even after the
    candidate has become the approved version itself, answers what was decided on the same evaluation.

    Raises:
        EvaluationError: the figures of either version cannot be read.
        StepError: the run has no such model, or has not evaluated it.
    """
    plan = outputs.model_plan(model)
    uri = evaluation_uri(outputs.output(plan, "evaluation"))
    key = verdict_key(outputs.run, model)
    before = stored_verdict(s3, bucket, outputs.run, model)
    if before and before.evaluation == uri:
        return before
    if said := _said_before_restart(outputs.plan.restart_of, plan, uri, s3, bucket):
        _store(said, s3, bucket, key)
        return said
    approved, lineage = table.approved(plan.family, model), table.lineage(plan.family, model)
    candidate = load_evaluation(s3, uri)
    compared = outputs.read_by(plan, "evaluation", COMPARED_INPUT)
    if approved and compared and compared != approved["outputs"]["model"]:
        # Another run was quicker: what evaluate measured says nothing about the version that is in production now.
        problem = f"evaluate compared with {compared}, but version {approved['version']} has been approved since"
        candidate = candidate.model_copy(update={"comparison": Comparison(problem=problem)})
    verdict = judge(
        candidate,
        load_evaluation(s3, approved["evaluation"]) if approved else None,
        plan.gate,
        run=outputs.run,
        family=plan.family,
        model=model,
        version=str(next_version(lineage, plan.interface_digest, plan.code_digest)),
        change=change_since(lineage, plan.interface_digest, plan.code_digest),
        compared_with=approved["version"] if approved else None,
        judged_at=judged_at,
        evaluation=uri,
        evaluation_before=approved["evaluation"] if approved else None,
    )
    _store(verdict, s3, bucket, key)
    return verdict


def _said_before_restart(runs: list[str], plan: ModelPlan, evaluation: str, s3: Any, bucket: str) -> Verdict | None:
    for run in runs:
        said = stored_verdict(s3, bucket, run, plan.model)
        if said and said.evaluation == evaluation:
            earlier = read_plan(s3, bucket, run, Plan).models.get(plan.model)
            return said if earlier and earlier.gate == plan.gate else None
    return None


def _store(verdict: Verdict, s3: Any, bucket: str, key: str) -> None:
    body = verdict.model_dump_json(indent=1).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def stored_verdict(s3: Any, bucket: str, run: str, model: str) -> Verdict | None:
    """The verdict that Compare wrote, or None when there is none yet."""
    try:
        body = s3.get_object(Bucket=bucket, Key=verdict_key(run, model))["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return Verdict.model_validate_json(body)
