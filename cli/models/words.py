"""Figures of a version as text: what terminals and pages show alike."""

from typing import Any

from boxcar.registry.decisions import decisions_of
from boxcar.registry.origins import Origin
from boxcar.verdicts import Verdict

NOT_RECORDED = "not recorded"  # of versions that were registered before there was such a figure


def figure(value: Any, form: str) -> str:
    """A number in a format, or a dash where there is none."""
    return format(value, form) if isinstance(value, int | float) and not isinstance(value, bool) else "–"


def name_of(version: dict[str, Any]) -> str:
    """How people name a version, and what commands take: `packaging/box@1.0.1`."""
    return f"{version['family']}/{version['model']}@{version['version']}"


def score_of(version: dict[str, Any]) -> float | None:
    """The score of a version in the metric of its family's gate, in the metric's own unit."""
    score: float | None = version["metrics"].get(version["verdict"]["metric"])
    return score


def verdict_of(version: dict[str, Any]) -> Verdict:
    """The verdict on a version. Documents of older releases are read, too."""
    return Verdict.model_validate(version["verdict"])


def size(count: int) -> str:
    """Bytes, as people read them: `1.3 MB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def decisions(version: dict[str, Any]) -> list[str]:
    """What people decided about a version, oldest first, a sentence each."""
    return [f"{one.sentence} ({one.at})" for one in decisions_of(version)]


def made_of(version: dict[str, Any]) -> dict[str, str]:
    """What a version came from, as fields of a list."""
    if "origin" not in version:
        return {"made of": NOT_RECORDED}
    origin = Origin.model_validate(version["origin"])
    rows = origin.unloaded
    return {
        "asked for by": origin.source + (f" ({origin.requested_by})" if origin.requested_by else ""),
        "family": f"{origin.family_file}, version {origin.family_version}",
        "data": f"{rows.digest}, {rows.files} files, {size(rows.bytes)}" if rows else "nothing was unloaded",
        "query": rows.query_digest if rows else "–",
        "code": f"{origin.code.digest}, {origin.code.archive}" if origin.code else "none of its own",
        "image": origin.image,
        **(
            {"uses": ", ".join(f"{model}@{used}" for model, used in origin.upstream.items())} if origin.upstream else {}
        ),
    }
