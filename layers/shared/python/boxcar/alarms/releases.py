"""The mail of a release that went well: what serves now, where, and how it is called."""

from typing import Any

from boxcar.alarms.links import Links
from boxcar.mails import Mail, section

AUDIENCES = ("science", "engineering")


def released_mail(message: dict[str, Any], links: Links, since: str) -> Mail:
    """Say that a version serves.

    Args:
        message: `{"run", "family", "model", "version", "endpoint", "number", "instead_of", "tested", "requested_by"}`;
            all but run, model, version and endpoint may be missing.
        links: where readers can look.
        since: when it began to serve (ISO 8601).
    """
    run, model, version, endpoint = (message[name] for name in ("run", "model", "version", "endpoint"))
    family, before = message.get("family", ""), message.get("instead_of")
    tested = message.get("tested") or 0
    happened = [
        f"Version {version} of {family}/{model} serves on endpoint {endpoint}"
        + (f", in the place of {before}." if before else "."),
        f"{tested} golden request{'' if tested == 1 else 's'} answered as they should be."
        if tested
        else "It was not asked any golden request.",
    ]
    where = {
        "Endpoint": endpoint,
        "URL": invocation_url(links.region, endpoint),
        "Run": run,
        "Asked by": message.get("requested_by"),
        "Since": since,
        "Link": links.execution(links.execution_arn("release", run)),
    }
    parts = [
        section("What happened", happened),
        section("Where", [f"{name + ':':9} {value}" for name, value in where.items() if value]),
        "\n".join(["How to call it", *(f"  {line}" for line in how_to_call(endpoint))]),
    ]
    return Mail(
        f"released:{endpoint}:{message.get('number', 0)}:{version}",
        AUDIENCES,
        f"[Boxcar release] {family}/{model} {version} serves on {endpoint}",
        "\n\n".join(parts) + "\n",
        {"kind": "release", "severity": "info"},
    )


def invocation_url(region: str, endpoint: str) -> str:
    """Where an endpoint is called over HTTPS, signed."""
    return f"https://runtime.sagemaker.{region}.amazonaws.com/endpoints/{endpoint}/invocations"


def how_to_call(endpoint: str) -> list[str]:
    """A command that calls it."""
    return [
        f"aws sagemaker-runtime invoke-endpoint --endpoint-name {endpoint} \\",
        "    --content-type text/csv --body fileb://row.csv /dev/stdout",
    ]
