"""The mail of an alarm: what happened, where, since when, what Boxcar did, what to do."""

from typing import Any

from boxcar.alarms.advice import Advice
from boxcar.alarms.causes import Cause
from boxcar.alarms.links import Links
from boxcar.mails import Mail, named, section

_PLACES = ("Run", "Model", "Step", "Job", "Alarm")


def alarm_mail(
    identity: str,
    words: str,
    advice: Advice,
    what: str,
    cause: Cause,
    where: dict[str, str],
    since: str,
    kept: str,
    severity: str = "error",
    same: str = "",
) -> Mail:
    """Write an alarm.

    Args:
        identity: the same for the same happening, however often it is told.
        words: the subject.
        advice: for whom it is, what the error means, what Boxcar did and what to do.
        what: one sentence.
        cause: the reason in the words of whoever failed.
        where: what to look at, by name; what is empty is left out.
        since: ISO 8601.
        kept: what did not change, one sentence.
        severity: error or warning.
        same: digest of the cause (`same_cause`), if others of it within an hour may be counted instead of mailed.
    """
    happened = [line for line in (what, advice.meaning) if line]
    text = "\n\n".join(
        [
            section("What happened", happened + (["", *cause.text.splitlines()] if cause.text else [])),
            section("Where", named(where)),
            section("Since", [since or "unknown"]),
            section("What Boxcar did", [line for line in (advice.done, kept) if line]),
            section("What to do", [advice.action]),
        ]
    )
    attributes = {"kind": "alarm", "severity": severity}
    place = ", ".join(f"{name.lower()} {value}" for name, value in where.items() if value and name in _PLACES)
    return Mail(identity, advice.audiences, f"[Boxcar alarm] {words}", text + "\n", attributes, cause=same, place=place)


def where(message: dict[str, Any], links: Links, cause: Cause) -> dict[str, str]:
    """Where it happened, for `alarm_mail`: what the message says itself goes before what its cause names."""
    known = {**cause.found, **{name: str(value) for name, value in message.items() if value and isinstance(value, str)}}
    arn = known.get("execution") or links.execution_arn(known.get("machine", ""), known.get("run", ""))
    return {
        "Machine": known.get("machine", ""),
        "Run": known.get("run", ""),
        "Family": known.get("family", ""),
        "Model": known.get("model", ""),
        "Step": known.get("step", ""),
        "Job": known.get("job", ""),
        "Source": known.get("source", ""),
        "Link": links.execution(arn),
    }
