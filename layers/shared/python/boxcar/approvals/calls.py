"""Decisions over the API that knows its callers: `POST /models/{family}/{model}/decisions`."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from boxcar.api.calls import Answer, Call
from boxcar.api.problems import CONTENT_TYPE, Refused, internal, invalid, refused
from boxcar.approvals.deciding import Decider
from boxcar.approvals.pages import OUTCOMES, moment
from boxcar.registry.decisions import WHO_LENGTH, WHY_LENGTH, Decision, plain
from boxcar.steps import Document
from boxcar.versions import Version

log = logging.getLogger("boxcar")


class NewDecision(Document):
    """What a caller sends."""

    decision: Literal["approve", "reject", "rollback"]
    version: str | None = Field(default=None, pattern=r"^\d+\.\d+\.\d+$")  # None: the one that waits
    why: str = Field(min_length=1, max_length=WHY_LENGTH)


@dataclass(frozen=True)
class DecisionCalls:
    """Answers callers with credentials.

    Attributes:
        now: seconds since the epoch.
    """

    decider: Decider
    now: Callable[[], float]

    def answer(self, event: dict[str, Any], reference: str) -> dict[str, Any]:
        """Answer one event of API Gateway. What goes wrong is a problem document."""
        try:
            return self._decide(Call.of(event)).event()
        except Exception as error:
            problem = refused(error)
            if problem is None:
                log.exception("call not answered", extra={"reference": reference})
            problem = problem or internal(reference)
            return Answer(problem.status, problem.problem, problem.headers, CONTENT_TYPE).event()

    def _decide(self, call: Call) -> Answer:
        try:
            asked = NewDecision.model_validate(call.body())
        except ValidationError as error:
            raise invalid(error) from None
        family, model, why = call.path["family"], call.path["model"], plain(asked.why, WHY_LENGTH)
        if not why:
            raise Refused(400, "The request is not valid", [("why", "it is empty; write a reason")])
        if asked.decision == "rollback" and asked.version is None:
            raise Refused(
                400, "The request is not valid", [("version", "a rollback names the version it goes back to")]
            )
        decisions = self.decider.decisions
        version = Version.parse(asked.version) if asked.version else decisions.waiting(family, model)
        who = plain(call.who or "somebody", WHO_LENGTH)
        outcome = OUTCOMES.get(asked.decision, "approved")
        decision = Decision(outcome=outcome, by=who, identity=call.caller, why=why, at=moment(self.now()))
        if asked.decision == "rollback":
            decisions.roll_back(family, model, version, decision)
        else:
            self.decider.by_name(family, model, version, decision)
        log.info("decided", extra={"version": f"{family}/{model} {version}", "outcome": asked.decision, "via": "call"})
        item, approved = decisions.version(family, model, version), decisions.table.approved(family, model)
        document = {
            "family": family,
            "model": model,
            "version": str(version),
            "status": item["status"],
            "predicts": approved["version"] if approved else None,
            "decisions": item.get("decisions", []),
        }
        return Answer(200, document)
