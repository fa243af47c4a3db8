"""Ask: the run waits with a task token, and one mail with one link goes to those who decide.

A repeat (the function died, or the run was redriven) finds the review, and only hands over the new task token. Another
run that waits for the same version, since the one that asked before has ended, asks anew, with a link of its own. The
link's token is kept in the review until the mail is on its way, so that a repeat sends the same mail again, whose id is
sent once; after that only its digest is left.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from boxcar.approvals.reviews import Changed, Placement, Review, Reviews, digest, new_token
from boxcar.errors import StepError, Throttled
from boxcar.jobs.answers import GONE
from boxcar.registry.decisions import WAITING, Decision, Decisions, decisions_of
from boxcar.serving.turns import is_running
from boxcar.versions import Version

_TRIES = 8
_FIGURES = ("reasons", "metric", "score", "score_before", "label_shift", "row_change", "compared_with")


@dataclass(frozen=True)
class Question:
    """What the state machine asks."""

    run: str
    execution: str
    family: str
    model: str
    version: Version
    task_token: str
    attempt: int  # grows with every retry and redrive of the Task
    hours: float  # the link is good for so long
    release: Placement | None = None  # None: the question is about the version itself


@dataclass(frozen=True)
class Asker:
    """Asks about candidates, and keeps what was asked. `boxcar.approvals.releases` asks about releases.

    Attributes:
        tell: puts a message on the alarm queue.
        link: makes the address of a page from a token.
        now: seconds since the epoch.
    """

    reviews: Reviews
    decisions: Decisions
    states: Any
    tell: Callable[[dict[str, Any]], None]
    link: Callable[[str], str]
    now: Callable[[], float]

    def ask(self, question: Question, about: dict[str, Any]) -> str:
        """Ask once, however often it is called.

        Args:
            question: who asks about which version.
            about: what the message says besides: machine and owner.

        Returns:
            `asked`, `waits` (asked before), or `answered`: nobody has to be asked.

        Raises:
            StepError: another run that goes on asks about the same version.
            Throttled: others kept changing the review.
        """
        for _ in range(_TRIES):
            review = self.before(question)
            item = self.decisions.version(question.family, question.model, question.version)
            try:
                known = self.known(question, review, item)
                if known is not None:
                    answer(self.states, question.task_token, known)
                    return "answered"
                if review is None or self.is_over(question, review):
                    review = self.reviews.ask(self.new(question, review), review)
                elif review.execution != question.execution or review.attempt <= question.attempt:
                    waits = ("run", "execution", "attempt", "task_token")
                    review = self.reviews.save(review, **{name: getattr(question, name) for name in waits})
                review = self.asked(review)
                if not review.token:
                    return "waits"
                self.tell(self.message(review, item.get("verdict") or {}, about))
                self.reviews.save(review, token="")
            except Changed:
                continue
            return "asked"
        raise Throttled(f"review of {question.family}/{question.model} {question.version}: others keep changing it")

    def before(self, question: Question) -> Review | None:
        """What was asked before."""
        return self.reviews.of(question.family, question.model, question.version)

    def known(self, question: Question, review: Review | None, item: dict[str, Any]) -> dict[str, Any] | None:
        """What the run is answered without asking; None: a person has to be asked."""
        return None if item["status"] == WAITING else told_of(decisions_of(item)[-1], item["version"])

    def is_over(self, question: Question, review: Review) -> bool:
        """Whether what was asked before has to be asked anew.

        Raises:
            StepError: another run that goes on asks about the same version.
        """
        state = review.state_at(self.now())
        if state == "open" and review.execution != question.execution:
            if is_running(self.states, review.execution):
                raise StepError(
                    f"review of {review.name}: run {review.run} has asked already, and goes on; decide there, or stop "
                    f"it and start run {question.run} again"
                )
            return True
        return state in ("cancelled", "expired")

    def asked(self, review: Review) -> Review:
        """What is still to be done for a question that is stored, before anybody is told of it."""
        return review

    def new(self, question: Question, before: Review | None) -> Review:
        """The review of a question."""
        token = new_token()
        return Review(
            family=question.family,
            model=question.model,
            version=str(question.version),
            run=question.run,
            execution=question.execution,
            attempt=question.attempt,
            task_token=question.task_token,
            number=before.number + 1 if before else 1,
            token=token,
            token_digest=digest(token),
            until=int(self.now() + question.hours * 3600),
            release=question.release,
        )

    def message(self, review: Review, verdict: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
        """What the alarm queue is told."""
        return {
            **about,
            **{name: verdict.get(name) for name in _FIGURES},
            "kind": "model_review",
            "run": review.run,
            "family": review.family,
            "model": review.model,
            "version": review.version,
            "number": review.number,
            "until": review.until,
            "link": self.link(review.token),
        }


def told_of(decision: Decision, version: str) -> dict[str, Any]:
    """A decision, as a run is told of it."""
    return {**decision.model_dump(mode="json"), "version": version}


def answer(states: Any, task_token: str, output: dict[str, Any]) -> None:
    """Tell the run what was decided. That nobody waits any more is as good as told."""
    try:
        states.send_task_success(taskToken=task_token, output=json.dumps(output))
    except states.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") not in GONE:
            raise


def page_link(reviews_url: str, token: str) -> str:
    """Address of the page on which a review is decided.

    The token is behind the question mark: API Gateway's access log has the path only.
    """
    return f"{reviews_url}/review?{urlencode({'token': token})}"
