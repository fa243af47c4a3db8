"""The mail that ends a run: every model with its verdict, and where the report lies."""

from typing import Any

from boxcar.alarms.links import Links
from boxcar.mails import Mail, columns, section

AUDIENCES = ("business", "science")
_OUTCOMES = {
    "succeeded": "Every model was trained and judged.",
    "partial": "Some models failed; the others were trained and judged.",
    "failed": "No model was trained.",
}
_COUNTED = {"review": "to decide"}
_JUDGED = ("approved", "review", "rejected")
_HEAD = ["model", "version", "status", "before", "after", "labels", "rows"]


def report_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Sum a run up.

    Args:
        message: `{"run", "machine", "family", "status", "report": s3 address, "sentence", "models": […]}`, each model
            `{"model", "status", "version", "metric", "score", "score_before", "label_shift", "row_change", "reasons",
            "error"}`; everything but the run may be missing.
        links: where readers can look.
        since: when the run ended (ISO 8601).
    """
    run, status = message["run"], str(message.get("status", ""))
    family = message.get("family") or message.get("machine") or "run"
    models = [model for model in message.get("models", []) if isinstance(model, dict)]
    address = str(message.get("report", ""))
    parts = [
        section("What happened", [str(message.get("sentence") or _OUTCOMES.get(status, f"The run ended: {status}."))])
    ]
    if models:
        metric = next((str(model["metric"]) for model in models if model.get("metric")), "score")
        head = [f"{metric} {name}" if name == "before" else name for name in _HEAD]
        table = columns([head, *(_row(model) for model in models)])
        parts.append("\n".join(["Models", *(f"  {line}" for line in table)]))
        if reasons := [line for model in models for line in _reasons(model)]:
            parts.append(section("Why", reasons))
    parts.append(section("Report", [line for line in (links.file(address), address) if line] or ["none was written"]))
    where = {"Machine": message.get("machine"), "Run": run, "Family": message.get("family"), "Ended": since}
    parts.append(section("Where", [f"{name + ':':9} {value}" for name, value in where.items() if value]))
    counted = ", ".join(
        f"{count} {_COUNTED.get(name, name)}"
        for name in ("approved", "review", "rejected", "failed")
        if (count := sum(model.get("status") == name for model in models))
    )
    subject = f"[Boxcar report] {family}: {counted or status or 'ended'} ({run})"
    severity = "info" if status == "succeeded" else "warning"
    return Mail(
        f"report:{run}:{status}",
        AUDIENCES,
        subject,
        "\n\n".join(parts) + "\n",
        {"kind": "report", "severity": severity},
    )


def _row(model: dict[str, Any]) -> list[str]:
    return [
        str(model.get("model", "")),
        str(model.get("version") or "-"),
        str(model.get("status", "")),
        _figure(model.get("score_before"), "{:.4f}"),
        _figure(model.get("score"), "{:.4f}"),
        _figure(model.get("label_shift"), "{:.3f}"),
        _figure(model.get("row_change"), "{:+.1%}"),
    ]


def _figure(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else "-"


def _reasons(model: dict[str, Any]) -> list[str]:
    name = model.get("model", "")
    if model.get("status") == "failed":
        return [f"{name}: {model.get('error') or 'failed'}"]
    return [f"{name}: {reason}" for reason in model.get("reasons") or [] if model.get("status") in _JUDGED]
