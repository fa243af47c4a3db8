"""From what an inference run left behind to what its report says: pure, and all of `report.json`."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from markupsafe import Markup

from boxcar.alarms.causes import plain_failure
from boxcar.evaluations import Evaluation
from boxcar.inference.drift import Drifted, drifts
from boxcar.inference.plans import InferencePlan
from boxcar.inference.skew import score_skew, skew_sentences
from boxcar.reports.charts import shares_chart
from boxcar.reports.page import rendered
from boxcar.reports.steps import about_run, duration, epoch
from boxcar.reports.timeline import timeline

SCHEMA = 1


@dataclass
class InferenceFacts:
    """What an inference run left behind. What is not there yet, or any more, is left out."""

    run: str
    plan: InferencePlan | None = None
    jobs: list[dict[str, Any]] = field(default_factory=list)  # items of the jobs table
    unloaded: int | None = None
    counts: dict[str, Any] = field(default_factory=dict)  # of the split
    rejects_at: str = ""
    figures: dict[str, list[dict[str, int]]] = field(default_factory=dict)  # model -> what its load counted
    sampled: dict[str, dict[str, float]] = field(default_factory=dict)  # model -> key -> score, of its sample
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what could not be read, in words

    @property
    def given(self) -> int | None:
        """Rows that there were for the models; None where nobody knows."""
        return self.counts["rows"] - self.counts["rejected"] if self.counts else self.unloaded


def tell(
    facts: InferenceFacts, results: list[dict[str, Any]], error: dict[str, Any] | None, ended: float
) -> dict[str, Any]:
    """Put the report together.

    Args:
        facts: what was read.
        results: of the state machine: per model `{"model", "status", "version"?, "rows"?, "error"?, "cause"?}`.
        error: `{"error", "cause"}` of a run that failed as a whole.
        ended: seconds since the epoch.

    Returns:
        the document; times are seconds since the epoch.
    """
    plan, error = facts.plan, plain_failure(error) if error else None
    outcomes = {result["model"]: result for result in results}
    names = [*plan.models, *plan.skipped] if plan else list(outcomes)
    models = [_model(name, outcomes.get(name), facts) for name in names]
    status = _status(models, facts, error)
    started = epoch(plan.created_at) if plan else None
    return {
        "schema": SCHEMA,
        **about_run(facts.run, plan, facts.jobs),
        "scope": plan.scope if plan else "",
        "day": plan.day if plan else None,
        "since": plan.since if plan else None,
        "table": plan.inference.table if plan else "",
        "view": plan.inference.view if plan else "",
        "status": status,
        "sentence": _sentence(status, models, facts, error, None if started is None else ended - started),
        "error": error,
        "started": started,
        "ended": ended,
        "rows": {
            "unloaded": facts.unloaded,
            **{name: facts.counts.get(name) for name in ("rejected", "rejected_before")},
        },
        "rejects": facts.counts.get("rejects", {}),
        "rejects_at": facts.rejects_at,
        "waves": [list(plan.models)] if plan else [],
        "models": models,
        "drifted": [reason for model in models for reason in model["drifted"]],
        "notes": facts.notes,
    }


def render(report: dict[str, Any]) -> str:
    """The page of a report. Everything that was data is escaped."""
    drawn: dict[str, Markup] = {}  # models that read the same rows have the same pictures

    def chart(one: dict[str, Any]) -> Markup:
        key = json.dumps([one["labels"], one["before"], one["now"]])
        if key not in drawn:
            sides = ("this run", one["now"]), ("training", one["before"])
            drawn[key] = shares_chart(list(one["before"]), *sides, names=one["labels"])
        return drawn[key]

    charts = {model["model"]: [chart(one) for one in model["drift"]] for model in report["models"]}
    return rendered("inference.html.j2", report=report, timeline=timeline(report), charts=charts)


def _status(models: list[dict[str, Any]], facts: InferenceFacts, error: dict[str, Any] | None) -> str:
    """Succeeded, partial, failed or unfinished. Nothing to predict is a success; to have no model is not."""
    if error or facts.plan is None or not facts.plan.models:
        return "failed"
    if facts.given == 0:
        return "succeeded"
    if all(model["status"] in ("unfinished", "skipped") for model in models):
        return "unfinished"  # there were rows, and nobody took them: the machine alarms for what it does not know
    failed = sum(model["status"] != "loaded" for model in models if model["status"] != "skipped")
    if failed == len(facts.plan.models):
        return "failed"
    return "partial" if failed else "succeeded"


def _sentence(
    status: str,
    models: list[dict[str, Any]],
    facts: InferenceFacts,
    error: dict[str, Any] | None,
    seconds: float | None,
) -> str:
    took = f" The run took {duration(seconds)}." if seconds is not None else ""
    if error:
        return f"The run failed: {error.get('error') or 'unknown error'}.{took}"
    if facts.plan is not None and not facts.plan.models:
        return f"No model has an approved version, so nothing was predicted.{took}"
    if facts.unloaded == 0:
        return f"There were no new rows.{took}"
    if facts.given == 0:
        return f"Nothing was predicted: all rows were rejected ({facts.unloaded:,}).{took}"
    loaded = [model for model in models if model["status"] == "loaded"]
    rows = max((model["loaded"] or 0 for model in loaded), default=0)
    parts = [f"{rows:,} rows were predicted by {len(loaded)} of {len(models)} models"]
    for name, words in (("skipped", "skipped, for want of an approved version"), ("failed", "failed")):
        if chosen := [model["model"] for model in models if model["status"] == name]:
            parts.append(f"{', '.join(chosen)} {words}")
    if rejected := facts.counts.get("rejected"):
        before = facts.counts.get("rejected_before")
        parts.append(f"{rejected:,} rows were rejected" + (f", {before:,} from before the watermark" if before else ""))
    return f"{'; '.join(parts)}.{took}"


def _model(name: str, outcome: dict[str, Any] | None, facts: InferenceFacts) -> dict[str, Any]:
    plan = facts.plan
    if plan and name in plan.skipped:
        outcome = {"status": "skipped"}
    outcome = outcome or {"status": "unfinished" if facts.given != 0 else "nothing new"}
    split = facts.counts.get("models", {}).get(name, {})
    bins = facts.figures.get(name, [])
    found: list[Drifted] = []
    if plan and name in facts.evaluations and split:
        limits = plan.inference.drift
        found = drifts(name, facts.evaluations[name], split["features"], bins, limits)
    skew = split.get("skew") or {}
    if skew and name in facts.evaluations:
        skew = {**skew, "scores": score_skew(facts.evaluations[name].sample, skew, facts.sampled.get(name, {}))}
    beyond = [one.sentence for one in found if one.beyond]
    read = ["its rows were read by other code than it was trained with; train it again"]
    return {
        "model": name,
        "status": outcome["status"],
        "version": plan.models[name].version if plan and name in plan.models else None,
        **(plain_failure(outcome) if outcome.get("error") else {"error": None, "cause": None}),
        "rows": split.get("rows"),
        "loaded": sum(line["row_count"] for line in bins) if bins else None,
        "yes": sum(line["yes"] for line in bins),
        "reasons": [*beyond, *skew_sentences(skew), *(read if plan and name in plan.read_otherwise else [])],
        "drifted": beyond if outcome["status"] == "loaded" else [],  # rows that did not get in say nothing
        "drift": [{**asdict(one), "beyond": one.beyond} for one in found],
        "skew": skew,
    }
