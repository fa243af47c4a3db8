"""Decide: what a person said about a version becomes true everywhere, and the run that waits goes on.

1. the decision is written into the review, if it is still open: from here on it is this decision and no other;
2. SageMaker's registry and the models table (`boxcar.registry.decisions`); for a release, the review is all there is;
3. the task token is answered;
4. the review is closed.

Whoever finds a review between 1 and 4 finishes it, whatever they came for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxcar.approvals.asking import answer, told_of
from boxcar.approvals.reviews import Changed, Review, Reviews, State
from boxcar.errors import NotPossible
from boxcar.registry.decisions import Decision, Decisions
from boxcar.serving.turns import is_running
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
        if review is None and token and self.reviews.has_given(token):
            words = "The question was asked anew: this link was replaced by that of a newer mail. Nothing was changed."
            raise NotOpen("replaced", words)
        if review is None:
            raise NotOpen("", "This link is not one of ours.")
        return review

    def by_link(self, token: str, decision: Decision) -> Review:
        """Decide by the link of a mail or a button in Slack.

        Returns:
            the review, closed by this decision.

        Raises:
            NotOpen: it has been decided, has expired, or its run was stopped.
            Overtaken: a newer version has been approved.
        """
        return self._decide(lambda: self.review(token), decision)

    def by_endpoint(self, family: str, model: str, version: Version | None, decision: Decision) -> Review:
        """Decide about the release of a model that waits.

        Args:
            family: of the model.
            model: its name.
            version: that is to be released; None: whichever it is.
            decision: what, by whom, and why.

        Returns:
            the review, closed by this decision.

        Raises:
            NotOpen: it has been decided, has expired, or was stopped.
            NotPossible: none waits, or one of another version does.
        """

        def find() -> Review:
            review = self.reviews.of_release(family, model)
            if review is None:
                raise NotPossible(f"no release of {family}/{model} has asked for a decision")
            if version is not None and str(version) != review.version:
                raise NotPossible(f"version: the release that asks is of {review.version}, not of {version}")
            return review

        return self._decide(find, decision)

    def _decide(self, find: Callable[[], Review], decision: Decision) -> Review:
        for _ in range(_TRIES):
            review = find()
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
        item = self.decisions.version(review.family, review.model, Version.parse(review.version))
        if review.release is None:
            self.decisions.check(item, decision.outcome)
        elif decision.outcome == "approved" and item["status"] != "Approved":
            raise NotPossible(f"{review.name} cannot be released: the version is {item['status'].lower()} by now")
        changes = {"state": "deciding", "decision": decision, "task_token": review.task_token}
        return self._finish(self.reviews.save(review, **changes))

    def _finish(self, review: Review) -> Review:
        """Do what was decided; again, if somebody died over it, or the run came with another token meanwhile."""
        version = Version.parse(review.version)
        for _ in range(_TRIES):
            assert review.decision  # it is being decided
            if review.release is None:
                self.decisions.decide(review.family, review.model, version, review.decision, begun=True)
            if review.task_token:
                answer(self.states, review.task_token, told_of(review.decision, review.version))
            try:
                return self.reviews.save(review, state="decided", task_token="", token="")
            except Changed:
                now = self.reviews.again(review) or review
                if now.number != review.number:  # another release asks, and has seen to this one first
                    return review
                review = now
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
        why = {
            "expired": f"The time to decide is over. Nothing was changed; {review.kept}.",
            "cancelled": f"Run {review.run} was stopped before anybody decided. Nothing was changed.",
        }[state]
        name = f"{review.family}/{review.model}"
        hint = f"`boxcar models approve {name} {review.version}`, or reject, decides about it all the same."
        if review.release:
            hint = f"`boxcar endpoints release {name}@{review.version}` asks anew."
        raise NotOpen(state, f"{why} {hint}", review)

    def _waits(self, review: Review) -> bool:
        """Whether the run is still there to hear of a decision."""
        if not review.task_token or review.state_at(self.now()) != "open":
            return False
        return is_running(self.states, review.execution)
