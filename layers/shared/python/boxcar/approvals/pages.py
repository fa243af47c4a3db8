"""The page on which a version, or its release, is decided: GET shows, POST decides. What goes wrong is a page, too."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from boxcar.api.calls import Call
from boxcar.approvals.deciding import Decider, NotOpen
from boxcar.approvals.reviews import Review
from boxcar.errors import Refused
from boxcar.registry.decisions import WHO_LENGTH, WHY_LENGTH, Decision, Outcome, plain
from boxcar.reports.review_page import render_notice, render_review
from boxcar.versions import Version

OUTCOMES: dict[str, Outcome] = {"approve": "approved", "reject": "rejected"}
MOST_FIELDS = 20
_STATUSES = {"": 404, "decided": 409, "expired": 410, "cancelled": 409, "replaced": 410}
_TITLES = {
    "": "This link leads nowhere",
    "decided": "This has been decided",
    "expired": "The time to decide is over",
    "cancelled": "The run was stopped",
    "replaced": "This link was replaced",
}
# Nothing from elsewhere, no scripts, no frames around it; the address, which holds the token, is told to nobody.
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
log = logging.getLogger("boxcar")


@dataclass(frozen=True)
class ReviewPages:
    """Answers browsers.

    Attributes:
        figures: everything that a page shows of a version (`boxcar.reports.review_page.gather`).
        now: seconds since the epoch.
    """

    decider: Decider
    figures: Callable[[str, str, Version], dict[str, Any]]
    now: Callable[[], float]

    def show(self, call: Call) -> dict[str, Any]:
        """The page of a link. Changes nothing, whoever follows it."""
        token = (call.query.get("token") or [""])[0]
        try:
            review = self.decider.review(token)
        except NotOpen as refused:
            return _refusal(refused)
        if review.state == "decided" and review.decision:
            return _notice(200, review.decision.outcome, review.decision.sentence, review)
        state = review.state_at(self.now())
        if state in ("expired", "cancelled"):
            words = f"Nothing was changed; {review.kept}."
            return _notice(_STATUSES[state], _TITLES[state], words, review)
        return self._form(200, review, token, {})

    def decide(self, call: Call) -> dict[str, Any]:
        """Take the decision that a form brings."""
        try:
            form = parse_qs(call.text, max_num_fields=MOST_FIELDS)
        except ValueError:
            form = {}
        given = {name: (form.get(name) or [""])[0] for name in ("token", "decision", "name", "why")}
        name, why = plain(given["name"], WHO_LENGTH // 2), plain(given["why"], WHY_LENGTH)
        try:
            review = self.decider.review(given["token"])
            outcome = OUTCOMES.get(given["decision"])
            missing = [
                words
                for words, there in (("your name", name), ("why", why), ("approve or reject", outcome))
                if not there
            ]
            if missing or outcome is None:
                given["fault"] = f"Nothing was decided yet. Write {' and '.join(missing)}, then press a button."
                return self._form(400, review, given["token"], given)
            by = f"{name} (by link)"
            decision = Decision(outcome=outcome, by=by, identity="link", why=why, at=moment(self.now()))
            review = self.decider.by_link(given["token"], decision)
        except NotOpen as refused:
            return _refusal(refused)
        except Refused as refused:  # overtaken, or decided elsewhere
            return _notice(409, "This cannot be decided", str(refused))
        log.info("decided", extra={"version": review.name, "outcome": outcome, "via": "link"})
        return _notice(200, outcome, decision.sentence, review)

    def _form(self, status: int, review: Review, token: str, given: dict[str, str]) -> dict[str, Any]:
        figures = self.figures(review.family, review.model, Version.parse(review.version))
        return page(status, render_review(review.model_dump(mode="json"), figures, token, given))


def page(status: int, html: str) -> dict[str, Any]:
    """As API Gateway takes it from a function."""
    return {"statusCode": status, "headers": HEADERS, "body": html, "isBase64Encoded": False}


def moment(now: float) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")


def _refusal(refused: NotOpen) -> dict[str, Any]:
    return _notice(_STATUSES.get(refused.state, 409), _TITLES.get(refused.state, ""), str(refused), refused.review)


def _notice(status: int, title: str, words: str, review: Review | None = None) -> dict[str, Any]:
    return page(status, render_notice(title, words, review.model_dump(mode="json") if review else None))
