"""Decisions over the API that knows its callers: about versions, and about releases that wait."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from boxcar.api.calls import Answer, Call
from boxcar.api.problems import CONTENT_TYPE, Refused, internal, invalid, refused
from boxcar.approvals.deciding import Decider
from boxcar.approvals.pages import OUTCOMES, moment
from boxcar.approvals.routes import OF_RELEASES, DecidedRelease, DecidedVersion, NewDecision, NewReleaseDecision
from boxcar.registry.decisions import WHO_LENGTH, WHY_LENGTH, Decision, decisions_of, plain
from boxcar.versions import Version

log = logging.getLogger("boxcar")


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
        of_a_release = call.resource == OF_RELEASES
        try:
            asked = (NewReleaseDecision if of_a_release else NewDecision).model_validate(call.body())
        except ValidationError as error:
            raise invalid(error) from None
        family, model, why = call.path["family"], call.path["model"], plain(asked.why, WHY_LENGTH)
        if not why:
            raise Refused(400, "The request is not valid", [("why", "it is empty; write a reason")])
        if asked.decision == "rollback" and asked.version is None:
            raise Refused(
                400, "The request is not valid", [("version", "a rollback names the version it goes back to")]
            )
        if of_a_release:
            return self._release(call, asked, why)
        decisions = self.decider.decisions
        version = Version.parse(asked.version) if asked.version else decisions.waiting(family, model)
        decision, approved = self._decision(call, asked, why), decisions.table.approved(family, model)
        if asked.decision == "rollback":
            decisions.roll_back(family, model, version, decision)
        else:
            self.decider.by_name(family, model, version, decision)
        log.info("decided", extra={"version": f"{family}/{model} {version}", "outcome": asked.decision, "via": "call"})
        item = decisions.version(family, model, version)
        warning = _not_compared(item, approved) if asked.decision == "approve" else ""
        approved = decisions.table.approved(family, model)
        decided = DecidedVersion(
            family=family,
            model=model,
            version=str(version),
            status=item["status"],
            predicts=approved["version"] if approved else None,
            decisions=decisions_of(item),
            warning=warning,
        )
        return Answer(200, decided.model_dump(mode="json"))

    def _release(self, call: Call, asked: NewReleaseDecision, why: str) -> Answer:
        family, model, decision = call.path["family"], call.path["model"], self._decision(call, asked, why)
        version = Version.parse(asked.version) if asked.version else None
        review = self.decider.by_endpoint(family, model, version, decision)
        assert review.release and review.decision  # it is decided
        log.info("decided", extra={"version": review.name, "outcome": asked.decision, "via": "call"})
        decided = DecidedRelease(
            family=family,
            model=model,
            version=review.version,
            endpoint=review.release.endpoint,
            run=review.run,
            decision=review.decision,
        )
        return Answer(200, decided.model_dump(mode="json"))

    def _decision(self, call: Call, asked: NewReleaseDecision, why: str) -> Decision:
        who, outcome = plain(call.who or "somebody", WHO_LENGTH), OUTCOMES.get(asked.decision, "approved")
        return Decision(outcome=outcome, by=who, identity=call.caller, why=why, at=moment(self.now()))


def _not_compared(item: dict[str, Any], approved: dict[str, Any] | None) -> str:
    """What a version's figures do not say: whether it is better than the one that was approved when it was decided."""
    before = (item.get("verdict") or {}).get("compared_with")
    if approved is None or approved["version"] in (before, item["version"]):
        return ""
    return (
        f"{item['family']}/{item['model']} {item['version']} was compared with {before or 'no version'}, and "
        f"{approved['version']} was the approved version: the figures do not say which is better"
    )
