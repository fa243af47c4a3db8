"""From what a run left behind to what its report says: pure, and all of `report.json`."""

from typing import Any

from boxcar.alarms.causes import plain_failure
from boxcar.registry.decisions import decisions_of
from boxcar.reports.facts import ModelFacts, RunFacts
from boxcar.reports.steps import about_run, duration, epoch

SCHEMA = 1


def tell(
    facts: RunFacts, results: list[list[dict[str, Any]]], error: dict[str, Any] | None, ended: float
) -> dict[str, Any]:
    """Put the report together.

    Args:
        facts: what was read.
        results: of the state machine: per wave, per model `{"model", "status", "version"?, "error"?, "cause"?}`.
        error: `{"error", "cause"}` of a run that failed as a whole.
        ended: seconds since the epoch.

    Returns:
        the document; times are seconds since the epoch, durations seconds.
    """
    error = error and plain_failure(error)
    outcomes = {result["model"]: result for wave in results for result in wave if isinstance(result, dict)}
    plan = facts.plan
    names = [name for wave in plan.waves for name in wave] if plan else list(outcomes)
    names += [name for name in outcomes if name not in names]
    label_of = {name: model.label for name, model in plan.models.items()} if plan else {}
    models = [
        {**_model(name, outcomes.get(name), facts.models.get(name, ModelFacts())), "label": label_of.get(name, "")}
        for name in names
    ]
    about = about_run(facts.run, plan, facts.jobs)
    begins = [step["created"] for step in about["steps"] if step["created"] is not None]
    started = epoch(plan.created_at) if plan else min(begins, default=None)
    status = status_of(outcomes, error)
    return {
        "schema": SCHEMA,
        **about,
        "status": status,
        "sentence": _sentence(status, models, error, None if started is None else ended - started),
        "error": error,
        "started": started,
        "ended": ended,
        "waves": plan.waves if plan else ([names] if names else []),
        "models": models,
        "notes": facts.notes,
    }


def status_of(outcomes: dict[str, dict[str, Any]], error: dict[str, Any] | None) -> str:
    """Succeeded, partial or failed.

    A candidate that is rejected, or waits for a decision, is a success of the run: it did what it is for.
    """
    if error or not outcomes:
        return "failed"
    failures = sum(outcome.get("status") == "failed" for outcome in outcomes.values())
    if failures == len(outcomes):
        return "failed"
    return "partial" if failures else "succeeded"


def _sentence(status: str, models: list[dict[str, Any]], error: dict[str, Any] | None, seconds: float | None) -> str:
    took = f" The run took {duration(seconds)}." if seconds is not None else ""
    if error:
        return f"The run failed: {error.get('error') or 'unknown error'}.{took}"
    if not models:
        return f"The run ended without a result.{took}"
    parts = []
    for name, of_one, of_many in (
        ("approved", "was approved", "were approved"),
        ("review", "waits for a decision", "wait for a decision"),
        ("rejected", "was rejected", "were rejected"),
        ("failed", "failed", "failed"),
        ("unfinished", "did not finish", "did not finish"),
    ):
        chosen = [model["model"] for model in models if model["status"] == name]
        if len(chosen) == len(models) == 1:
            parts.append(f"The one model, {chosen[0]}, {of_one}")
        elif chosen:
            phrase = of_one if len(chosen) == 1 else of_many
            parts.append(f"{len(chosen)} of {len(models)} models {phrase} ({', '.join(chosen)})")
    return f"{'; '.join(parts)}.{took}"


def _model(name: str, outcome: dict[str, Any] | None, facts: ModelFacts) -> dict[str, Any]:
    outcome = outcome or {"status": "unfinished"}
    verdict, evaluation = facts.verdict, facts.evaluation
    judged = verdict.model_dump(mode="json") if verdict else {}
    metric = judged.get("metric") or "roc_auc"
    return {
        "model": name,
        "status": outcome.get("status", "unfinished"),
        "version": outcome.get("version") or judged.get("version") or None,
        **(plain_failure(outcome) if outcome.get("error") else {"error": None, "cause": None}),
        "metric": metric,
        **{
            figure: judged.get(figure)
            for figure in (
                "score",
                "score_before",
                "score_before_recorded",
                "paired",
                "rows_validation",
                "label_shift",
                "row_change",
                "rows",
                "rows_before",
                "compared_with",
                "change",
            )
        },
        "drift": judged.get("drift") or {},
        "labels": judged.get("labels") or {},
        "labels_before": judged.get("labels_before") or {},
        "reasons": judged.get("reasons") or [],
        "criteria": judged.get("criteria") or [],
        "scores": dict(evaluation.scores) if evaluation else {},
        "threshold": evaluation.threshold if evaluation else None,
        "confusion": dict(evaluation.confusion) if evaluation else {},
        "importances": dict(evaluation.importances) if evaluation else {},
        "slices": evaluation.slices.model_dump(mode="json") if evaluation and evaluation.slices else None,
        "decision": _decision(facts.history, outcome.get("version")),
        "history": past_versions(facts.history, metric),
    }


def past_versions(history: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Versions of the models table as pages show them, with their score by one metric."""
    return [
        {
            "version": version["version"],
            "status": version["status"],
            "created": version.get("created", ""),
            "score": (version.get("metrics") or {}).get(metric),
            "rows": sum((version.get("rows") or {}).values()) or None,
            "run": version.get("run", ""),
        }
        for version in history
    ]


def _decision(history: list[dict[str, Any]], version: str | None) -> str | None:
    """What a person decided about a version, by whom and why; None: nobody has."""
    item = next((one for one in history if one["version"] == version), {})
    decisions = decisions_of(item)
    return decisions[-1].sentence if decisions else None
