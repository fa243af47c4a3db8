"""Everything that is known about a run, read from where it lies. What is not there yet, or any more, is left out."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from boxcar.attributes import decode_all
from boxcar.comparisons import stored_verdict
from boxcar.errors import EvaluationError
from boxcar.evaluations import Evaluation, load_evaluation
from boxcar.plans import Plan, plan_key
from boxcar.registry.table import ModelsTable
from boxcar.verdicts import Verdict

HISTORY = 24  # versions shown


@dataclass
class ModelFacts:
    """What a run knows about one model."""

    verdict: Verdict | None = None
    evaluation: Evaluation | None = None
    history: list[dict[str, Any]] = field(default_factory=list)  # versions, oldest first


@dataclass
class RunFacts:
    """What a run left behind."""

    run: str
    plan: Plan | None = None
    jobs: list[dict[str, Any]] = field(default_factory=list)  # items of the jobs table
    models: dict[str, ModelFacts] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what could not be read, in words


def gather(run: str, *, s3: Any, dynamodb: Any, bucket: str, jobs_table: str, table: ModelsTable) -> RunFacts:
    """Read the plan, the jobs, the verdicts, the evaluations and the versions of a run."""
    facts = RunFacts(run, jobs=jobs_of(dynamodb, jobs_table, run))
    facts.plan = _plan(s3, bucket, run, facts.notes)
    if facts.plan is None:
        return facts
    for model in facts.plan.models:
        known = ModelFacts(history=table.history(facts.plan.family, model, newest=HISTORY))
        registered = next((item for item in known.history if item["run"] == run), {})
        try:
            known.verdict = stored_verdict(s3, bucket, run, model)
            if known.verdict and registered.get("verdict"):  # Register may have left to a person what the gate approved
                known.verdict = Verdict.model_validate(registered["verdict"])
        except ValidationError as error:
            facts.notes.append(f"verdict of {model}: cannot be read ({error.error_count()} faults)")
        if known.verdict and known.verdict.evaluation:
            try:
                known.evaluation = load_evaluation(s3, known.verdict.evaluation)
            except EvaluationError as error:
                facts.notes.append(f"evaluation of {model}: {error}")
        facts.models[model] = known
    return facts


def _plan(s3: Any, bucket: str, run: str, notes: list[str]) -> Plan | None:
    try:
        body = s3.get_object(Bucket=bucket, Key=plan_key(run))["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    try:
        return Plan.model_validate_json(body)
    except ValidationError as error:
        notes.append(f"plan: cannot be read ({error.error_count()} faults)")
        return None


def jobs_of(dynamodb: Any, table: str, run: str) -> list[dict[str, Any]]:
    """The jobs of a run, as items of the jobs table."""
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {
        "TableName": table,
        "IndexName": "by_run",
        "KeyConditionExpression": "#run = :run AND begins_with(pk, :jobs)",
        "ExpressionAttributeNames": {"#run": "run"},
        "ExpressionAttributeValues": {":run": {"S": run}, ":jobs": {"S": "job#"}},
    }
    while True:
        page = dynamodb.query(**query)
        items += [decode_all(item) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return items
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
