"""An alarm of CloudWatch, as EventBridge tells of it: a queue, a function or an API is not well, or is well again."""

from typing import Any

from boxcar.alarms.advice import ENGINEERING, Advice
from boxcar.alarms.alarm_mail import alarm_mail
from boxcar.alarms.causes import Cause, same_cause
from boxcar.alarms.links import Links
from boxcar.errors import BoxcarError
from boxcar.mails import Mail, named, section

METRIC_ALARM_EVENT = "CloudWatch Alarm State Change"


class MetricAlarmError(BoxcarError):
    """An event about an alarm that does not say which, or that it rings or is over."""


def metric_alarm_mail(event: dict[str, Any], links: Links) -> Mail:
    """Tell engineering of an alarm that rings, or that has stopped.

    What to do is the alarm's own description, from the template.

    Raises:
        MetricAlarmError: the event has no alarm name, or another state than ALARM and OK.
    """
    detail = event.get("detail")
    state = detail.get("state") if isinstance(detail, dict) else None
    if not isinstance(detail, dict) or not isinstance(state, dict) or state.get("value") not in ("ALARM", "OK"):
        raise MetricAlarmError(
            f"detail: is {str(detail)[:120]!r}; an alarm's event needs a state whose value is ALARM or OK"
        )
    name = detail.get("alarmName")
    if not name:
        raise MetricAlarmError("detail.alarmName: is missing in an event of CloudWatch")
    configuration = detail.get("configuration") or {}
    known = (name.partition("/")[2] or name).replace("-", " ")
    where = {"Alarm": name, **_watched(configuration), "Link": links.metric_alarm(name)}
    if state["value"] == "OK":
        return _over_mail(name, known, detail, where)
    advice = Advice(
        ENGINEERING,
        "",
        "Nothing by itself. It tells of this once, until the alarm has been well again.",
        configuration.get("description") or "Look at the graph of the alarm's metric.",
    )
    since = str(state.get("timestamp") or event.get("time") or "")
    return alarm_mail(
        f"metric_alarm:{name}:{since}",
        f"{known} ({name})",
        advice,
        f"CloudWatch's alarm {name} rings.",
        Cause(str(state.get("reason") or "")),
        where,
        since,
        "",
        same=same_cause((name,)),
    )


def _over_mail(name: str, known: str, detail: dict[str, Any], where: dict[str, str]) -> Mail:
    """An alarm that rang, and is well again."""
    state, before = detail["state"], detail.get("previousState") or {}
    at, rang = str(state.get("timestamp") or ""), str(before.get("timestamp") or "")
    parts = [
        section("What happened", [f"CloudWatch's alarm {name} rings no more.", str(state.get("reason") or "")]),
        section("Where", named(where)),
        section("Since", [at or "unknown", *([f"It began to ring at {rang}."] if rang else [])]),
    ]
    return Mail(
        f"metric_alarm_over:{name}:{at}",
        ENGINEERING,
        f"[Boxcar alarm over] {known} ({name})",
        "\n\n".join(parts) + "\n",
        {"kind": "alarm_over", "severity": "info"},
        cause=same_cause((name, "over")),
        place=f"alarm {name}",
    )


def _watched(configuration: dict[str, Any]) -> dict[str, str]:
    """Dimensions of the metrics that the alarm looks at: the name of a function, a queue or an API."""
    stats = [one["metricStat"]["metric"] for one in configuration.get("metrics") or [] if one.get("metricStat")]
    dimensions = {name: str(value) for stat in stats for name, value in (stat.get("dimensions") or {}).items()}
    return {name.removesuffix("Name") or name: value for name, value in dimensions.items()}
