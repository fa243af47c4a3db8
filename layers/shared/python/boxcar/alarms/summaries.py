"""Mails that sum up: a run, with every model's verdict; what happened again for a cause that was told."""

from datetime import UTC, datetime
from typing import Any

from boxcar.alarms.links import Links
from boxcar.mails import Mail, columns, named, section

AUDIENCES = ("business", "science")
_OUTCOMES = {
    "succeeded": "Every model was trained and judged.",
    "partial": "Some models failed; the others were trained and judged.",
    "failed": "No model was trained.",
}
_COUNTED = {"review": "to decide"}
_ROUTINE = ("approved", "succeeded")  # of models in a report that nobody must read today
_JUDGED = ("approved", "review", "rejected")
_HEAD = ["model", "version", "against", "status", "before", "after", "labels", "rows"]


def report_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Sum a run up.

    Args:
        message: `{"run", "machine", "family", "status", "report": s3 address, "sentence", "models": […]}`, each model
            `{"model", "status", "version", "compared_with", "metric", "score", "score_before", "label_shift",
            "row_change", "reasons", "error"}`; everything but the run may be missing.
        links: where readers can look.
        since: when the run ended (ISO 8601).
    """
    run, status = message["run"], str(message.get("status", ""))
    family = message.get("family") or message.get("machine") or "run"
    models = [model for model in message.get("models", []) if isinstance(model, dict)]
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
    parts += ending(message, links, since)
    counted = ", ".join(
        f"{count} {_COUNTED.get(name, name)}"
        for name in ("approved", "review", "rejected", "failed")
        if (count := sum(model.get("status") == name for model in models))
    )
    subject = f"[Boxcar report] {family}: {counted or status or 'ended'} ({run})"
    routine = status == "succeeded" and all(model.get("status") in _ROUTINE for model in models)
    return summary(run, status, subject, parts, routine)


def ending(message: dict[str, Any], links: Links, since: str) -> list[str]:
    """Where the report lies, and what run it is of."""
    address = str(message.get("report", ""))
    lines = [line for line in (links.file(address), address) if line] or ["none was written"]
    where = {"Machine": message.get("machine"), "Run": message["run"], "Family": message.get("family"), "Ended": since}
    return [section("Report", lines), section("Where", named(where))]


def summary(run: str, status: str, subject: str, parts: list[str], routine: bool) -> Mail:
    """The mail of a run, to all who read summaries; a routine one, which asks for nobody, waits for the digest."""
    severity = "info" if status == "succeeded" else "warning"
    attributes = {"kind": "report", "severity": severity}
    return Mail(f"report:{run}:{status}", AUDIENCES, subject, "\n\n".join(parts) + "\n", attributes, routine=routine)


def repeated_mail(message: dict[str, Any]) -> Mail:
    """Say how often a cause came again after its first mail.

    Args:
        message: `{"cause", "first", "number", "count", "since", "until", "last", "places", "subject", "text",
            "audiences", "severity"}`; times are seconds since the epoch, subject and text those of the first mail.
    """
    count, subject = message["count"], str(message["subject"]).removeprefix("[Boxcar alarm] ")
    times = "once more" if count == 1 else f"{count} more times"
    places = [f"- {place}" for place in message["places"]]
    if count > len(places):
        places.append(f"- and {count - len(places)} more, which `boxcar runs list` and `boxcar jobs list` show")
    period = f"between {_time(message['since'])} and {_time(message['until'])}"
    parts = [
        section("What happened", [f"What was told before happened {times} {period}, the last at "
                                  f"{_time(message['last'])}."]),
        section("Where", places),
        section("What Boxcar did", ["Counted instead of mailing each. It counts on, and tells again in an hour."]),
        "The first mail said\n\n" + "\n".join(f"  {line}".rstrip() for line in str(message["text"]).splitlines()),
    ]  # fmt: skip
    return Mail(
        f"repeated:{message['cause']}:{message['first']}:{message['number']}",
        tuple(message["audiences"]),
        f"[Boxcar alarm] {count} more: {subject}",
        "\n\n".join(parts) + "\n",
        {"kind": "alarm", "severity": message.get("severity") or "error"},
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _row(model: dict[str, Any]) -> list[str]:
    return [
        str(model.get("model", "")),
        str(model.get("version") or "-"),
        str(model.get("compared_with") or "-"),
        str(model.get("status", "")),
        figure(model.get("score_before"), "{:.4f}"),
        figure(model.get("score"), "{:.4f}"),
        figure(model.get("label_shift"), "{:.3f}"),
        figure(model.get("row_change"), "{:+.1%}"),
    ]


def figure(value: Any, form: str) -> str:
    """A number in a table of a mail; a dash where there is none."""
    return form.format(value) if isinstance(value, int | float) else "-"


def _reasons(model: dict[str, Any]) -> list[str]:
    name = model.get("model", "")
    if model.get("status") == "failed":
        return [f"{name}: {model.get('error') or 'failed'}"]
    decided = [model["decision"]] if model.get("decision") else []
    told = [*decided, *(model.get("reasons") or [])]
    return [f"{name}: {reason}" for reason in told if model.get("status") in _JUDGED]
