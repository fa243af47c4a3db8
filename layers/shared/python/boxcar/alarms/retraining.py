"""What the daily look at a family's models has decided: news of the day."""

from typing import Any

from boxcar.alarms.links import Links
from boxcar.mails import Mail, section

AUDIENCES = ("science",)


def retraining_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Say of each model whether it is trained, and why: `{"family", "day", "run", "lines": [sentence]}`."""
    family, day, run = (str(message[name]) for name in ("family", "day", "run"))
    what = f"Started training run {run}." if run else "No model is trained today."
    parts = [section("What happened", [what]), section("Why", [str(line) for line in message["lines"]])]
    return Mail(
        f"retraining:{family}:{day}",
        AUDIENCES,
        f"[Boxcar report] {family}: {'trained by its policy' if run else 'no retraining'} ({day})",
        "\n\n".join(parts) + "\n",
        {"kind": "report", "severity": "info"},
        routine=True,
    )
