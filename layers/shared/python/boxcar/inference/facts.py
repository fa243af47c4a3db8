"""Everything that is known about an inference run, read from where it lies."""

from typing import Any

from boxcar.errors import BoxcarError
from boxcar.evaluations import load_evaluation
from boxcar.inference.counts import figures, split_counts, unloaded_rows
from boxcar.inference.plans import InferencePlan
from boxcar.inference.story import InferenceFacts
from boxcar.plans import read_plan
from boxcar.reports.facts import jobs_of


def gather(run: str, *, s3: Any, dynamodb: Any, bucket: str, jobs_table: str) -> InferenceFacts:
    """Read the plan, the jobs, the counts, the figures of each load and what its version was trained on."""
    facts = InferenceFacts(run, jobs=jobs_of(dynamodb, jobs_table, run))
    outputs = {(job.get("model", ""), job["step"]): job.get("outputs") or {} for job in facts.jobs if job.get("step")}
    try:
        plan = facts.plan = read_plan(s3, bucket, run, InferencePlan)
        if unload := outputs.get(("", "unload"), {}).get("data"):
            facts.unloaded = unloaded_rows(s3, unload)
        if split := outputs.get(("", "split"), {}):
            facts.counts = split_counts(s3, split["counts"])
            facts.rejects_at = f"{split['rejects']}rejects.csv"
        for name, model in plan.models.items():
            facts.evaluations[name] = load_evaluation(s3, model.evaluation)
            if load := outputs.get((name, "load"), {}).get("data"):
                facts.figures[name], facts.sampled[name] = figures(s3, load)
    except BoxcarError as error:  # the report says what it could read
        facts.notes.append(str(error))
    return facts
