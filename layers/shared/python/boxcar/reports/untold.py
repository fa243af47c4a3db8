"""Alarms that a run could not send: its machine tried for minutes, and then went on. Report makes up for them."""

from typing import Any

from boxcar.reports.facts import RunFacts


def untold(facts: RunFacts, machine: str, results: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The messages of models whose result says `told: false`, as the machine would have sent them.

    Should one have arrived after all, its twin has the same identity and is not mailed.

    Args:
        facts: of the run.
        machine: its name.
        results: of the state machine: per wave, per model `{"model", "status", "told"?, "version"?, "error"?,
            "cause"?}`.
    """
    messages = []
    for result in (one for wave in results for one in wave if isinstance(one, dict)):
        if result.get("told", True):
            continue
        message = {
            "machine": machine,
            "run": facts.run,
            "family": facts.plan.family if facts.plan else "",
            "model": result["model"],
        }
        if result["status"] == "failed":
            told = {"kind": "model_failed", "error": result["error"], "cause": result["cause"]}
        elif result["status"] == "review":
            hours = facts.plan.models[result["model"]].gate.review_hours if facts.plan else None
            told = {"kind": "review_expired", "version": result["version"], "hours": hours}
        else:
            verdict = facts.models[result["model"]].verdict
            reasons = verdict.reasons if verdict else []
            told = {"kind": "model_rejected", "version": result["version"], "reasons": reasons}
        messages.append({**message, **told})
    return messages
