"""What the inference machine tells: a model that was skipped, drift, and the summary of a run."""

from typing import Any

from boxcar.alarms.advice import advice_for
from boxcar.alarms.alarm_mail import alarm_mail, where
from boxcar.alarms.causes import Cause
from boxcar.alarms.links import Links
from boxcar.alarms.summaries import ending, figure, summary
from boxcar.mails import Mail, columns, section


def skipped_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """A model had no approved version: `{"run", "family", "model"}`."""
    run, model, family = message["run"], message.get("model", ""), message.get("family", "")
    return alarm_mail(
        f"model_skipped:{run}/{model}",
        f"{family}/{model} was skipped: no approved version".lstrip("/"),
        advice_for("NoApprovedVersion"),
        f"Model {model} of family {family} predicted nothing in run {run}.",
        Cause(""),
        where(message, links, Cause("")),
        str(message.get("since") or since),
        "The other models of the run went on.",
        severity="warning",
    )


def drift_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Rows or scores are far from those of training.

    Args:
        message: `{"run", "family", "reasons": [sentence], "training"?: {"run", "started"}}`.
        links: where readers can look.
        since: when the run was reported (ISO 8601).
    """
    run, family = message["run"], str(message.get("family", ""))
    reasons = [str(reason) for reason in message.get("reasons") or []]
    return alarm_mail(
        f"drift:{run}",
        f"{family} has drifted: {reasons[0] if reasons else 'see the report'}".lstrip(),
        advice_for("Drift"),
        f"Rows or scores of run {run} are further from those of training than family {family} allows.",
        Cause("\n".join(f"- {reason}" for reason in reasons)),
        {**where(message, links, Cause("")), "Report": links.report(run)},
        str(message.get("since") or since),
        _retrained(message.get("training")),
        severity="warning",
    )


def _retrained(training: dict[str, Any] | None) -> str:
    """What Boxcar did about drift, beside what it always does."""
    if training is None:
        return ""
    if training["started"]:
        return f"Started training run {training['run']}."
    return f"Started no training: drift has started {training['run']} this week already."


def inference_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Sum an inference run up.

    Args:
        message: `{"run", "family", "status", "report", "sentence", "scope", "table", "view", "models": […]}`, each
            model `{"model", "status", "version", "loaded", "yes", "reasons", "error"}`.
        links: where readers can look.
        since: when the run ended (ISO 8601).
    """
    run, status = message["run"], str(message.get("status", ""))
    parts = [section("What happened", [str(message.get("sentence") or f"The run ended: {status}.")])]
    models = [model for model in message.get("models", []) if isinstance(model, dict)]
    if models:
        head = ["model", "version", "status", "loaded", "called yes"]
        table = columns([head, *(_predicted(model) for model in models)])
        parts.append("\n".join(["Models", *(f"  {line}" for line in table)]))
        if reasons := [f"{m['model']}: {reason}" for m in models for reason in _worth_reading(m)]:
            parts.append(section("Worth a look", reasons))
    parts.append(section("Predictions", [f"tables {message.get('table')}, {message.get('view')} in the warehouse"]))
    parts += ending(message, links, since)
    rows = max((model.get("loaded") or 0 for model in models), default=0)
    subject = f"[Boxcar report] {message.get('family')}: {message.get('scope')} predictions, {rows:,} rows ({run})"
    routine = status == "succeeded" and not any(_worth_reading(model) for model in models)
    return summary(run, status, subject, parts, routine)


def _predicted(model: dict[str, Any]) -> list[str]:
    loaded, yes = model.get("loaded"), model.get("yes")
    return [
        str(model.get("model", "")),
        str(model.get("version") or "-"),
        str(model.get("status", "")),
        figure(loaded, "{:,}"),
        f"{yes / loaded:.1%}" if loaded and yes is not None else "-",
    ]


def _worth_reading(model: dict[str, Any]) -> list[str]:
    return [str(model["error"])] if model.get("error") else [str(reason) for reason in model.get("reasons") or []]


INFERENCE_MAILS = {"model_skipped": skipped_mail, "drift": drift_mail, "inference_report": inference_mail}
