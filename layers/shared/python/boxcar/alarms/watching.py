"""Alarms about what did not happen in time, and about figures that moved further than a family wants to overlook."""

from datetime import UTC, datetime
from typing import Any

from boxcar.alarms.advice import ENGINEERING, Advice
from boxcar.alarms.alarm_mail import alarm_mail, where
from boxcar.alarms.causes import Cause, same_cause
from boxcar.alarms.links import Links
from boxcar.mails import Mail


def schedule_missed_mail(message: dict[str, Any], links: Links) -> Mail:
    """Tell engineering that nothing came of a schedule: `{"schedule", "scheduled_at"}`."""
    schedule, at = str(message["schedule"]), str(message["scheduled_at"])
    advice = Advice(
        ENGINEERING,
        "Either the schedule did not fire, or what it started did not come as far as to say so.",
        "Waited a quarter of an hour for it. Started nothing by itself.",
        f"Look in EventBridge Scheduler whether {schedule} is enabled and its role may start what it names, in "
        "`boxcar alarms queues` for dead letters, and in the machine's executions for one that failed in its first "
        "state. If a run is still wanted, start it by `boxcar runs start`; what a digest missed is in the next one.",
    )
    return alarm_mail(
        f"schedule_missed:{schedule}:{at}",
        f"schedule {schedule} of {at} started nothing",
        advice,
        f"Schedule {schedule} was due at {at}, and nothing of it has been seen since.",
        Cause(""),
        {"Schedule": schedule},
        at,
        "",
        same=same_cause(["schedule_missed", schedule]),
    )


def run_slow_mail(message: dict[str, Any], links: Links) -> Mail:
    """Tell of a run that takes twice its usual time.

    Args:
        message: `{"machine", "family", "run", "execution", "usual_s", "started", "seconds", "steps"}`.
        links: where readers can look.
    """
    run, family = str(message["run"]), str(message["family"])
    steps = [f"- {step}" for step in message["steps"]]
    advice = Advice(
        ("science", "engineering"),
        "These steps have not ended:",
        "Let it go on: each step is stopped at its own max_runtime_s.",
        "See by `boxcar jobs list` whether the steps wait for capacity or run. More data or another code explains a "
        "longer run; a step that hangs is stopped by `boxcar jobs stop`, which fails its model alone.",
    )
    return alarm_mail(
        f"run_slow:{run}",
        f"{family} run {run} takes long: {message['seconds'] / 60:.0f} min, usually {message['usual_s'] / 60:.0f}",
        advice,
        f"Run {run} of family {family} has run for {message['seconds'] / 60:.1f} min. The last runs took "
        f"{message['usual_s'] / 60:.1f} min in the middle.",
        Cause("\n".join(steps)),
        where({name: message[name] for name in ("machine", "family", "run", "execution")}, links, Cause("")),
        datetime.fromtimestamp(message["started"], UTC).isoformat(timespec="seconds"),
        "",
        severity="warning",
    )


def deviation_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Tell of a figure above the family's alarm threshold.

    Args:
        message: `{"machine", "run", "family", "model", "figure", "value", "above", "audiences", "severity"}`.
        links: where readers can look.
        since: when the run was reported (ISO 8601).
    """
    run, family, model, figure = (str(message[name]) for name in ("run", "family", "model", "figure"))
    of = f"{family}/{model}" if model else family
    advice = Advice(
        tuple(message["audiences"]),
        f"The family file asks to be told of {figure} above {message['above']:g}.",
        "Went on: this is no gate. The verdict on the model stands in the report.",
        "Compare the figures in the report with those of the last runs. If this is how the data are now, raise "
        f"alarms.{figure}.above in the family file; if it should stop a version, set the gate.",
    )
    return alarm_mail(
        f"deviation:{run}/{model}/{figure}",
        f"{of}: {figure} is {message['value']:.4g}, above {message['above']:g}",
        advice,
        f"{figure} of {of} is {message['value']:.4g}.",
        Cause(""),
        {**where(message, links, Cause("")), "Report": links.report(run)},
        since,
        "",
        severity=str(message["severity"]),
        same=same_cause(["deviation", family, model, figure]),
    )
