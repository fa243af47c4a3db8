"""Clicks on the buttons of a review in Slack (`boxcar.alarms.reviews` sends them), which Slack signs."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from boxcar.alarms.reviews import WHY
from boxcar.approvals.deciding import Decider
from boxcar.approvals.pages import MOST_FIELDS, OUTCOMES, moment
from boxcar.errors import Refused
from boxcar.registry.decisions import WHO_LENGTH, WHY_LENGTH, Decision, plain
from boxcar.slack import SlackError, SlackSecret, escaped, is_signed, post

log = logging.getLogger("boxcar")


@dataclass(frozen=True)
class SlackActions:
    """Answers Slack.

    Attributes:
        secret: reads the app's secret; None: no Slack.
        post: sends a message to the response address of a click.
        now: seconds since the epoch.
    """

    decider: Decider
    secret: Callable[[], SlackSecret | None]
    now: Callable[[], float]
    post: Callable[[str, dict[str, Any]], None] = post

    def answer(self, headers: Mapping[str, str], body: str) -> dict[str, Any]:
        """Take one request to the app's interactivity address.

        Args:
            headers: of the request, in any case.
            body: as it came, byte for byte.
        """
        known = {name.lower(): value for name, value in headers.items()}
        secret = self.secret()
        at, signature = known.get("x-slack-request-timestamp", ""), known.get("x-slack-signature", "")
        if secret is None or not is_signed(secret.signing_secret, at, signature, body, self.now()):
            return {"statusCode": 401, "headers": {"Cache-Control": "no-store"}, "body": "not signed by Slack"}
        try:
            payload = json.loads((parse_qs(body, max_num_fields=MOST_FIELDS).get("payload") or [""])[0])
            self._click(payload)
        except (ValueError, KeyError, TypeError, AttributeError):
            log.exception("a request of Slack that is not understood")
            return {"statusCode": 400, "headers": {"Cache-Control": "no-store"}, "body": "not understood"}
        return {"statusCode": 200, "headers": {"Cache-Control": "no-store"}, "body": ""}

    def _click(self, payload: dict[str, Any]) -> None:
        if payload["type"] != "block_actions":
            return
        clicked = next((action for action in payload["actions"] if action["action_id"] in OUTCOMES), None)
        if clicked is None:  # the button that opens the page
            return
        user = payload["user"]
        values = payload.get("state", {}).get("values", {})
        why = plain(values.get(WHY, {}).get(WHY, {}).get("value") or "", WHY_LENGTH)
        if not why:
            self._reply(payload, "Nothing was decided yet: write why into the field, then press the button.", False)
            return
        name = plain(str(user.get("username") or user.get("name") or user["id"]), WHO_LENGTH // 2)
        decision = Decision(
            outcome=OUTCOMES[clicked["action_id"]],
            by=f"{name} (Slack {user['id']})",
            identity=f"slack:{payload.get('team', {}).get('id', '')}:{user['id']}",
            why=why,
            at=moment(self.now()),
        )
        try:
            review = self.decider.by_link(clicked["value"], decision)
        except Refused as refused:
            self._reply(payload, str(refused), getattr(refused, "state", "open") == "decided")
            return
        log.info("decided", extra={"version": review.name, "outcome": decision.outcome, "via": "slack"})
        self._reply(payload, f"{review.name}: {decision.sentence}", True)

    def _reply(self, payload: dict[str, Any], text: str, final: bool) -> None:
        """Tell everybody by replacing the message, or the one who clicked."""
        reply: dict[str, Any] = {"text": escaped(text), "replace_original": final}
        if not final:
            reply["response_type"] = "ephemeral"
        try:
            self.post(payload["response_url"], reply)
        except SlackError:  # it is decided, or not, all the same
            log.exception("a reply to Slack was lost")
