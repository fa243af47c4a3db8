"""What callers with credentials send to decide about a version or a release, and what they get, and the routes."""

from typing import Any, Literal

from pydantic import Field

from boxcar.api.openapi import Route
from boxcar.registry.decisions import WHY_LENGTH, Decision
from boxcar.steps import Document
from boxcar.versions import WRITTEN

OF_VERSIONS = "/models/{family}/{model}/decisions"
OF_RELEASES = "/endpoints/{family}/{model}/decisions"
EXAMPLE: dict[str, Any] = {"decision": "approve", "version": "1.0.2", "why": "the drop is the holiday week"}


class NewReleaseDecision(Document):
    """A decision about a release."""

    decision: Literal["approve", "reject"]
    version: str | None = Field(default=None, pattern=WRITTEN, description="the one that waits, if it is left out")
    why: str = Field(min_length=1, max_length=WHY_LENGTH)


class NewDecision(NewReleaseDecision):
    """A decision about a version. A rollback names the version that it goes back to."""

    decision: Literal["approve", "reject", "rollback"]  # type: ignore[assignment]


class DecidedVersion(Document):
    """A version about which somebody has decided."""

    family: str
    model: str
    version: str
    status: str = Field(description="as in SageMaker's registry: Approved, Rejected")
    predicts: str | None = Field(description="the version that predicts now; null: none")
    decisions: list[Decision] = Field(description="about this version, oldest first")
    warning: str = Field(default="", description="what its figures do not say, if it was approved in spite of that")


class DecidedRelease(Document):
    """A release about which somebody has decided."""

    family: str
    model: str
    version: str
    endpoint: str
    run: str = Field(description="of the release machine")
    decision: Decision


ROUTES = (
    Route(
        "POST", OF_VERSIONS, "decide_version", "Approve or reject a version of a model, or go back to one",
        {200: ("Decided, now or before.", DecidedVersion)},
        "The same decision again, by the same caller, changes nothing.",
        body=(NewDecision,), problems=(404, 409), examples={"one": EXAMPLE}, tag="decisions",
    ),
    Route(
        "POST", OF_RELEASES, "decide_release", "Approve or reject a release that waits for a decision",
        {200: ("Decided, now or before.", DecidedRelease)},
        "The same decision again, by the same caller, changes nothing.",
        body=(NewReleaseDecision,), problems=(404, 409), examples={"one": EXAMPLE}, tag="decisions",
    ),
)  # fmt: skip
