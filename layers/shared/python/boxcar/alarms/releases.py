"""The mails of a release: somebody is to decide about it, nobody did in time, and what serves when it went well."""

from dataclasses import replace
from typing import Any

from boxcar.alarms.advice import SCIENCE, Advice
from boxcar.alarms.alarm_mail import alarm_mail, where
from boxcar.alarms.causes import Cause
from boxcar.alarms.links import Links
from boxcar.alarms.reviews import figures_of, moment, question_blocks
from boxcar.mails import Mail, named, section

AUDIENCES = ("science", "engineering")


def released_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Say that a version serves.

    Args:
        message: `{"run", "family", "model", "version", "endpoint", "number", "instead_of", "tested", "report",
            "drift_unmeasured", "requested_by"}`; all but run, model, version and endpoint may be missing.
        links: where readers can look.
        since: when it began to serve (ISO 8601).
    """
    run, model, version, endpoint = (message[name] for name in ("run", "model", "version", "endpoint"))
    family, before = message.get("family", ""), message.get("instead_of")
    tested = message.get("tested") or 0
    if before == version:
        happened = [
            f"Version {version} of {family}/{model} stays on endpoint {endpoint}, with the instances and limits that "
            "its family has now."
        ]
    else:
        happened = [
            f"Version {version} of {family}/{model} serves on endpoint {endpoint}"
            + (f", in the place of {before}." if before else "."),
            f"{tested} golden request{'' if tested == 1 else 's'} answered as they should be."
            if tested
            else "It was not asked any golden request.",
        ]
    if message.get("drift_unmeasured"):
        happened.append(
            "The drift of its scores is not measured, though the family wants it (rollback.max_score_drift): the "
            "version was judged without score bins. Have evaluate write score_bins, and train again."
        )
    places = {
        "Endpoint": endpoint,
        "URL": invocation_url(links.region, endpoint),
        "Run": run,
        "Asked by": message.get("requested_by"),
        "Since": since,
        "Trial": message.get("report"),
        "Link": links.execution(links.execution_arn("release", run)),
    }
    parts = [
        section("What happened", happened),
        section("Where", named(places)),
        "\n".join(["How to call it", *(f"  {line}" for line in how_to_call(endpoint))]),
    ]
    return Mail(
        f"released:{endpoint}:{message.get('number', 0)}:{version}",
        AUDIENCES,
        f"[Boxcar release] {family}/{model} {version} serves on {endpoint}",
        "\n\n".join(parts) + "\n",
        {"kind": "release", "severity": "info"},
    )


def release_review_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Ask those who decide about a release.

    Args:
        message: `{"run", "family", "model", "version", "owner", "number", "until", "link", "endpoint", "instead_of",
            "instance", "least", "most", "usd_per_hour", "requested_by"}` and the figures of the version's verdict;
            all but run, model, version and endpoint may be missing.
        links: where readers can look.
        since: ISO 8601.
    """
    run, model, version, endpoint = (message[name] for name in ("run", "model", "version", "endpoint"))
    family, number, before = message.get("family", ""), message.get("number", 1), message.get("instead_of")
    deciders = message.get("owner") or f"whoever answers for family {family or '(unknown)'}"
    advice = Advice(
        SCIENCE,
        f"The family wants a person asked before each release (serving.approval). {deciders} must: it serves, or not.",
        "Planned the release, and made nothing yet.",
        f"Look at the figures and decide, until {moment(message.get('until'))}:\n{message.get('link', '')}\n"
        "The link decides once. Do not pass it on: whoever has it can decide. From a terminal: "
        f"boxcar endpoints approve {family}/{model} --why REASON, or reject.",
    )
    facts = [f"in the place of {before}" if before else "nothing serves there yet", _fleet(message)]
    mail = alarm_mail(
        f"release_review:{run}" + (f":{number}" if number > 1 else ""),
        f"{family}/{model} {version}: its release needs a decision",
        advice,
        f"The release of version {version} of model {model} in family {family} to endpoint {endpoint} waits for a "
        f"decision of {deciders}.",
        Cause("\n".join(f"- {line}" for line in [*facts, *figures_of(message)] if line)),
        {**where(message, links, Cause("")), "Version": version, "Endpoint": endpoint,
         "Asked by": str(message.get("requested_by") or "")},
        str(message.get("since") or since),
        "What serves goes on serving until somebody decides.",
        severity="warning",
    )  # fmt: skip
    return replace(mail, actions=question_blocks(str(message.get("link", ""))))


def release_expired_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Say that nobody decided about a release in time."""
    run, model, version, endpoint = (message[name] for name in ("run", "model", "version", "endpoint"))
    family = message.get("family", "")
    advice = Advice(
        SCIENCE,
        "Nobody decided in time, so the release ended without making anything. The link in the mail is void.",
        "Nothing: the version is approved, and does not serve.",
        f"Release it again, with boxcar endpoints release {family}/{model}@{version}, and decide. review_hours in the "
        "family's gate says how long a release waits.",
    )
    return alarm_mail(
        f"release_expired:{run}",
        f"{family}/{model} {version}: nobody decided about its release within {message.get('hours', '?')} hours",
        advice,
        f"The question whether version {version} of {family}/{model} may serve on {endpoint} has expired.",
        Cause(""),
        {**where(message, links, Cause("")), "Version": version, "Endpoint": endpoint},
        str(message.get("since") or since),
        "What serves goes on serving.",
        severity="warning",
    )


def _fleet(message: dict[str, Any]) -> str:
    """Instances, and what they cost, as far as the message says."""
    least, most, cost = message.get("least"), message.get("most"), message.get("usd_per_hour")
    if not message.get("instance"):
        return ""
    count = f"{least}" if least == most else f"{least} to {most}"
    told = f"{count} x {message['instance']}"
    if isinstance(cost, int | float):
        told += f", at least {cost:.2f} USD an hour (EC2 on demand; SageMaker asks more)"
    return told


def invocation_url(region: str, endpoint: str) -> str:
    """Where an endpoint is called over HTTPS, signed."""
    return f"https://runtime.sagemaker.{region}.amazonaws.com/endpoints/{endpoint}/invocations"


def how_to_call(endpoint: str) -> list[str]:
    """A command that calls it."""
    return [
        f"aws sagemaker-runtime invoke-endpoint --endpoint-name {endpoint} \\",
        "    --content-type text/csv --body fileb://row.csv /dev/stdout",
    ]
