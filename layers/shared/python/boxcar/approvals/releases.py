"""Ask before a release: an endpoint has one question at a time, and the newest release has it.

A release that asks while another one waits for its answer takes its place: the other ends, and its link is void. One
that would ask the very same is ended itself, so that an event that came twice makes one mail.
"""

from dataclasses import dataclass
from typing import Any

from boxcar.approvals.asking import Asker, Question, answer, told_of
from boxcar.approvals.reviews import PAST, Owed, Placement, Review
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.turns import is_running
from boxcar.versions import Version


def question_of(plan: ReleasePlan, execution: str, task_token: str, attempt: int) -> Question:
    """What a release asks before it makes anything."""
    return Question(
        run=plan.run,
        execution=execution,
        family=plan.family,
        model=plan.model,
        version=Version.parse(plan.version),
        task_token=task_token,
        attempt=attempt,
        hours=plan.review_hours,
        release=Placement(
            endpoint=plan.endpoint,
            instance=plan.serving.instance,
            least=plan.serving.min,
            most=plan.serving.most,
            instead_of=plan.instead_of,
            usd_per_hour=plan.usd_per_hour,
            requested_by=plan.requested_by,
        ),
    )


@dataclass(frozen=True)
class ReleaseAsker(Asker):
    """Asks about releases."""

    def before(self, question: Question) -> Review | None:
        """The last question about this endpoint."""
        return self.reviews.of_release(question.family, question.model)

    def known(self, question: Question, review: Review | None, item: dict[str, Any]) -> dict[str, Any] | None:
        """What was decided about this very release, or that another one asks the same, or in its place."""
        if review is None:
            return None
        if review.execution == question.execution:
            decided = review.decision if review.state in ("deciding", "decided") else None
            return told_of(decided, review.version) if decided else None
        if self._asks(review) and _same(review, question):
            return _made_room("asked", review.version, f"run {review.run} asks about the same already")
        if any(past.run == question.run and past.state == "replaced" for past in review.earlier):  # it died meanwhile
            return _replaced(str(question.version), review.run, review.version)
        return None

    def is_over(self, question: Question, review: Review) -> bool:
        """Another release's question makes room for this one's."""
        return review.execution != question.execution or super().is_over(question, review)

    def new(self, question: Question, before: Review | None) -> Review:
        """The review of a question, which remembers those before it."""
        review = super().new(question, before)
        if before is None:
            return review
        past = before.past(self.now())
        if past.state == "open" and before.execution != question.execution:
            past = past.model_copy(update={"state": "replaced"})
        earlier = [*before.earlier, past][-PAST:]
        return review.model_copy(update={"earlier": earlier, "owed": self._owed(question, before)})

    def asked(self, review: Review) -> Review:
        """End the release whose place this one has taken."""
        if not review.owed:
            return review
        answer(self.states, review.owed.task_token, review.owed.output)
        return self.reviews.save(review, owed=None)

    def message(self, review: Review, verdict: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
        """What the alarm queue is told."""
        assert review.release  # it is about one
        told = super().message(review, verdict, {**about, **review.release.model_dump(mode="json")})
        return {**told, "kind": "release_review"}

    def _owed(self, question: Question, before: Review) -> Owed | None:
        if before.execution == question.execution or not before.task_token:
            return before.owed
        output = _replaced(before.version, question.run, str(question.version))
        if before.decision:  # somebody died over it
            output = told_of(before.decision, before.version)
        return Owed(task_token=before.task_token, output=output)

    def _asks(self, review: Review) -> bool:
        return review.state_at(self.now()) == "open" and is_running(self.states, review.execution)


def _replaced(version: str, run: str, newer: str) -> dict[str, Any]:
    return _made_room("replaced", version, f"run {run} asks about {newer}, in its place")


def _made_room(outcome: str, version: str, why: str) -> dict[str, Any]:
    """What a release is answered that asks nobody."""
    return {"outcome": outcome, "version": version, "why": why}


def _same(review: Review, question: Question) -> bool:
    """Whether two questions are about the same version at the same place, whoever asks."""
    assert review.release and question.release  # both are about releases
    asked = {"requested_by": ""}
    return review.version == str(question.version) and (
        review.release.model_copy(update=asked) == question.release.model_copy(update=asked)
    )
