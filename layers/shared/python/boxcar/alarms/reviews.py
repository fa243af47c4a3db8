"""The mails of a review: somebody has to decide about a version, and nobody did in time."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from boxcar.alarms.advice import SCIENCE, Advice
from boxcar.alarms.alarm_mail import alarm_mail
from boxcar.alarms.causes import Cause
from boxcar.mails import Mail

WHY = "why"  # block and field of Slack's message that the reason is written into


def review_mail(message: dict[str, Any], where: dict[str, str], reasons: list[Any], since: str) -> Mail:
    """Ask those who decide about a version.

    Args:
        message: `{"run", "family", "model", "version", "owner", "number", "until", "link", "metric", "score",
            "score_before", "label_shift", "row_change"}`; figures may be missing.
        where: it happened.
        reasons: why a person is asked, sentences.
        since: ISO 8601.
    """
    run, model, version = message["run"], message["model"], message["version"]
    family, number = message.get("family", ""), message.get("number", 1)
    deciders = message.get("owner") or f"whoever answers for family {family or '(unknown)'}"
    until = moment(message.get("until"))
    advice = Advice(
        SCIENCE,
        f"The family's gate cannot decide this by figures. {deciders} must: put the version into production, or not.",
        f"Registered {version} as waiting for approval, with its artifact, figures and verdict, and stopped this "
        "model's part of the run there.",
        f"Look at the figures and decide, until {until}:\n{message.get('link', '')}\n"
        "The link decides once. Do not pass it on: whoever has it can decide. From a terminal: "
        f"boxcar models approve {family}/{model} {version} --why REASON, or reject.",
    )
    figures = [f"- {line}" for line in figures_of(message)]
    mail = alarm_mail(
        f"model_review:{run}/{model}" + (f":{number}" if number > 1 else ""),
        f"{family}/{model} {version} needs a decision: {reasons[0] if reasons else 'no reason given'}".lstrip("/"),
        advice,
        f"Version {version} of model {model} in family {family} waits for a decision of {deciders}.",
        Cause("\n".join([*(f"- {reason}" for reason in reasons), *figures])),
        {**where, "Version": version},
        str(message.get("since") or since),
        "The approved version stays in place until somebody decides.",
        severity="warning",
    )
    return replace(mail, actions=question_blocks(str(message.get("link", ""))))


def expired_mail(message: dict[str, Any], where: dict[str, str], since: str) -> Mail:
    """Say that nobody decided in time."""
    run, model, version, family = message["run"], message["model"], message["version"], message.get("family", "")
    advice = Advice(
        SCIENCE,
        "Nobody decided in time, so the run went on without this version. The link in the mail is void.",
        f"Nothing: {version} still waits for approval in the registry.",
        f'Decide all the same, with boxcar models approve {family}/{model} {version} --why "...", or reject. '
        "review_hours in the family's gate says how long a run waits.",
    )
    return alarm_mail(
        f"review_expired:{run}/{model}",
        f"{family}/{model} {version}: nobody decided within {message.get('hours', '?')} hours",
        advice,
        f"The review of version {version} of model {model} in family {family} has expired.",
        Cause(""),
        {**where, "Version": version},
        str(message.get("since") or since),
        "The approved version stays in place.",
        severity="warning",
    )


def without_tokens(text: str) -> str:
    """A text for the log: links in it do not say their tokens."""
    return re.sub(r"token=[\w-]+", "token=...", text)


def question_blocks(link: str) -> tuple[dict[str, Any], ...]:
    """What follows a question in Slack: why, two buttons that hold the link's token, and the page."""
    if not link:
        return ()
    why = {
        "type": "input",
        "block_id": WHY,
        "label": {"type": "plain_text", "text": "Why"},
        "element": {"type": "plain_text_input", "action_id": WHY},
    }
    buttons: list[dict[str, Any]] = [
        {
            "type": "button",
            "action_id": action,
            "style": style,
            "value": link.partition("token=")[2],
            "text": {"type": "plain_text", "text": action.capitalize()},
        }
        for action, style in (("approve", "primary"), ("reject", "danger"))
    ]
    page = {"type": "button", "action_id": "page", "url": link, "text": {"type": "plain_text", "text": "Figures"}}
    return why, {"type": "actions", "elements": [*buttons, page]}


def figures_of(message: dict[str, Any]) -> list[str]:
    """The figures of a verdict that a message brings, a line each."""
    forms = {"label_shift": "label shift {:.3f}", "row_change": "rows {:+.1%}"}
    known = [form.format(message[name]) for name, form in forms.items() if isinstance(message.get(name), int | float)]
    score, before = message.get("score"), message.get("score_before")
    if isinstance(score, int | float):
        was = f"{before:.4f} -> " if isinstance(before, int | float) else ""
        known.insert(0, f"{message.get('metric') or 'score'} {was}{score:.4f}")
    return known


def moment(epoch: Any) -> str:
    """Until when a link is good, from seconds since the epoch."""
    known = isinstance(epoch, int | float)
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M UTC") if known else "the review expires"
