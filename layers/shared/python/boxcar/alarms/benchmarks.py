"""What the benchmark machine tells: what to buy for each target, and what could not be measured."""

from typing import Any

from boxcar.alarms.links import Links
from boxcar.alarms.summaries import ending, figure, summary
from boxcar.mails import Mail, columns, section

_HEAD = ["instance", "backend", "batch", "figures", "needed", "USD a year"]


def benchmark_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Sum a benchmark up.

    Args:
        message: `{"run", "family", "status", "report", "sentence", "targets"}`, each target `{"name", "words", "rows",
            "caveats": [sentence], "failed": [reason]}`, each row, the cheapest first, `{"instance_type", "backend",
            "options", "batch_size", "how", "status", "meets", "instances", "usd_per_year"}`.
        links: where readers can look.
        since: when the run ended (ISO 8601).
    """
    run, status = message["run"], str(message.get("status", ""))
    parts = [section("What happened", [str(message.get("sentence") or f"The benchmark ended: {status}.")])]
    for target in message.get("targets", []):
        lines = [_row(row) for row in target.get("rows", [])]
        if lines:
            told = columns([_HEAD, *lines])
            parts.append("\n".join([f"{target['name']}: {target['words']}", *(f"  {line}" for line in told)]))
        if caveats := target.get("caveats"):
            parts.append(section("Before you buy", list(caveats)))
        if failed := target.get("failed"):
            parts.append(section(f"Not measured for {target['name']}", list(failed)))
    parts += ending(message, links, since)
    subject = f"[Boxcar report] benchmark {message.get('family')}: {status} ({run})"
    return summary(run, status, subject, parts, routine=False)  # somebody waits for the answer


def _row(row: dict[str, Any]) -> list[str]:
    needed = row.get("instances") if row.get("meets") else None
    return [
        str(row.get("instance_type", "")),
        f"{row.get('backend', '')} {row.get('options', '')}".rstrip(),
        str(row.get("batch_size", "")),
        str(row.get("how") or row.get("status", "")),
        figure(needed, "{:,}"),
        figure(row.get("usd_per_year"), "{:,.0f}"),
    ]
