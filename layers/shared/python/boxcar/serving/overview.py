"""What is worth knowing of endpoints: what serves, what is about to change, and what people decided about releases."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from boxcar.approvals.reviews import Past, Review, Reviews
from boxcar.serving.planning import describe
from boxcar.serving.records import Endpoint, Endpoints, Trial
from boxcar.steps import Document


class OpenQuestion(Document):
    """A release that waits for a person's decision."""

    version: str
    run: str
    until: str = Field(description="ISO 8601, UTC; it ends unreleased then")


class EndpointDocument(Document):
    """One endpoint."""

    family: str
    model: str
    endpoint: str
    version: str | None = Field(description="that serves; null: none")
    status: str = Field(description="SageMaker's; `none` before the first release, `gone` if somebody deleted it")
    instances: int
    since: str | None = Field(description="ISO 8601, UTC; when the version began to serve")
    releasing: str | None = Field(description="version and run of the release that may change it now")
    waiting: list[str] = Field(description="runs of releases that wait for their turn")
    trial: str | None = Field(
        description="the version that is tried beside the one that serves, and what was seen of it"
    )
    asks: OpenQuestion | None = Field(description="the release that waits for a person's decision")
    decisions: list[Past] = Field(description="questions about releases, and their answers, newest first")
    failure: str | None = Field(description="SageMaker's reason, if the last deployment failed")


@dataclass(frozen=True)
class Overview:
    """Looks at endpoints.

    Attributes:
        sagemaker: client.
        now: seconds since the epoch.
    """

    endpoints: Endpoints
    reviews: Reviews
    sagemaker: Any
    now: Callable[[], float]

    def all(self) -> list[EndpointDocument]:
        """Every endpoint that a release has had the turn of, by name."""
        return [self._told(record, self._review(record)) for record in self.endpoints.all()]

    def one(self, name: str, family: str, model: str) -> EndpointDocument | None:
        """The endpoint of a model, also one whose first release is still being decided about; None: there is none.

        Args:
            name: of the endpoint.
            family: of the model.
            model: its name.
        """
        record = self.endpoints.get(name)
        review = self.reviews.of_release(family, model)
        if record is None and review is None:
            return None
        return self._told(record or Endpoint(endpoint=name, family=family, model=model), review)

    def _review(self, record: Endpoint) -> Review | None:
        return self.reviews.of_release(record.family, record.model)

    def _told(self, record: Endpoint, review: Review | None) -> EndpointDocument:
        seen = describe(self.sagemaker, record.endpoint) or {}
        variants = seen.get("ProductionVariants", [])
        past, asks = list(review.earlier) if review else [], None
        if review and review.state_at(self.now()) == "open":
            until = datetime.fromtimestamp(review.until, UTC).isoformat(timespec="seconds")
            asks = OpenQuestion(version=review.version, run=review.run, until=until)
        elif review:
            past.append(review.past(self.now()))
        return EndpointDocument(
            family=record.family,
            model=record.model,
            endpoint=record.endpoint,
            version=record.live.version if record.live else None,
            status=seen.get("EndpointStatus", "gone" if record.live else "none"),
            instances=sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
            since=record.live.since if record.live else None,
            releasing=f"{record.holder.version} ({record.holder.run})" if record.holder else None,
            waiting=[turn.run for turn in record.waiting],
            trial=_trial(record.trial),
            asks=asks,
            decisions=past[::-1],
            failure=seen.get("FailureReason"),
        )


def _trial(trial: Trial | None) -> str | None:
    return f"{trial.version}, a {trial.kind}: {trial.seen or 'not looked at yet'}" if trial else None
