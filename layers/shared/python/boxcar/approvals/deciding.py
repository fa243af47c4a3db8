"""Decide: what a person said about a version becomes true everywhere, and the run that waits goes on.

1. the decision is written into the review, if it is still open: from here on it is this decision and no other;
2. SageMaker's registry and the models table (`boxcar.registry.decisions`);
3. the task token is answered;
4. the review is closed.

Whoever finds a review between 1 and 4 finishes it, whatever they came for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxcar.approvals.asking import answer
from boxcar.approvals.reviews import Changed, Review, Reviews, State
from boxcar.errors import NotPossible
from boxcar.registry.decisions import Decision, Decisions
from boxcar.versions import Version

_TRIES = 8


class NotOpen(NotPossible):
    """A review that cannot be decided any more, or by this link.

    Attributes:
        state: of the review; "" when no review has this link.
        review: it, if there is one.
    """

    def __init__(self, state: State | str, message: str, review: Review | None = None) -> None:
        super().__init__(message)
        self.state = state
        self.review = review


@dataclass(frozen=True)
class Decider:
    """Takes decisions.

    Attributes:
        states: client of Step Functions.
        now: seconds since the epoch.
    """

    reviews: Reviews
    decisions: Decisions
    states: Any
    now: Callable[[], float]

    def review(self, token: str) -> Review:
        """The review of a link, to be shown. Changes nothing.

        Raises:
            NotOpen: there is none.
        """
        review = self.reviews.by_token(token) if token else None
        if review is None:
            raise NotOpen("", "This link is not one of ours, or a newer one has taken its place.")
        return review

    def by_link(self, token: str, decision: Decision) -> Review:
        """Decide by the link of a mail or a button in Slack.

        Returns:
            the review, closed by this decision.

        Raises:
            NotOpen: it has been decided, has expired, or its run was stopped.
            Overtaken: a newer version has been approved.
        """
        for _ in range(_TRIES):
            review = self.review(token)
            state = review.state_at(self.now())
            if state == "open" and not self._waits(review):
                state = "cancelled"
            try:
                if state == "open":
                    return self._take(review, decision)
                self._refuse(review, state, decision)
                return review
            except Changed:
                continue
        raise NotPossible(f"{review.name}: others keep changing it; look at it, and decide again")

    def by_name(self, family: str, model: str, version: Version, decision: Decision) -> None:
        """Decide about a version by its name: one that waits, with or without a run, or one that was rejected.

        Raises:
            UnknownVersion: there is none.
            NotPossible: it has been decided otherwise.
            Overtaken: a newer version has been approved.
        """
        for _ in range(_TRIES):
            review = self.reviews.of(family, model, version)
            try:
                if review is None or review.state == "decided":
                    return self.decisions.decide(family, model, version, decision)
                if review.state == "deciding":
                    return self._refuse(review, "deciding", decision)
                if not self._waits(review):
                    review = review.model_copy(update={"task_token": ""})  # nobody to be answered
                self._take(review, decision)
            except Changed:
                continue
            return None
        raise NotPossible(f"{family}/{model} {version}: others keep changing it; look at it, and decide again")

    def _take(self, review: Review, decision: Decision) -> Review:
        version = Version.parse(review.version)
        self.decisions.check(self.decisions.version(review.family, review.model, version), decision.outcome)
        changes = {"state": "deciding", "decision": decision, "task_token": review.task_token}
        return self._finish(self.reviews.save(review, **changes))

    def _finish(self, review: Review) -> Review:
        """Do what was decided; again, if somebody died over it, or the run came with another token meanwhile."""
        version = Version.parse(review.version)
        for _ in range(_TRIES):
            assert review.decision  # it is being decided
            self.decisions.decide(review.family, review.model, version, review.decision, begun=True)
            if review.task_token:
                answer(self.states, review.task_token, review.version, review.decision)
            try:
                return self.reviews.save(review, state="decided", task_token="", token="")
            except Changed:
                review = self.reviews.of(review.family, review.model, version) or review
                if review.state == "decided":
                    return review
        raise Changed(review.name)

    def _refuse(self, review: Review, state: State, decision: Decision) -> None:
        """Say why a review cannot be decided. What was begun is finished first; the same decision is no refusal.

        Raises:
            NotOpen: why.
        """
        if state == "deciding":
            review, state = self._finish(review), "decided"
        if state == "decided":
            if decision.repeats(review.decision):
                return
            assert review.decision  # it is decided
            raise NotOpen(state, f"{review.name} has been decided: {review.decision.sentence}", review)
        if state == "cancelled" and review.state == "open":
            review = self.reviews.save(review, state="cancelled")
        command = f"`boxcar models approve {review.family}/{review.model} {review.version}`"
        why = {
            "expired": "The time to decide is over. Nothing was changed; the version still waits.",
            "cancelled": f"Run {review.run} was stopped before anybody decided. Nothing was changed.",
        }[state]
        raise NotOpen(state, f"{why} {command}, or reject, decides about it all the same.", review)

    def _waits(self, review: Review) -> bool:
        """Whether the run is still there to hear of a decision."""
        if not review.task_token or review.state_at(self.now()) != "open":
            return False
        try:
            seen = self.states.describe_execution(executionArn=review.execution)
        except self.states.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ExecutionDoesNotExist":
                return False
            raise
        return bool(seen["status"] == "RUNNING")
