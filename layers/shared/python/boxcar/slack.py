"""Slack: one message into a channel by a webhook, and proof that a click on a button comes from Slack.

Webhook address and signing secret are one JSON secret in Secrets Manager, read when they are needed and kept nowhere.
"""

import hashlib
import hmac
import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from boxcar.errors import BoxcarError

OLDEST_S = 300  # docs.slack.dev, "Verifying requests from Slack": what is older may be a replay
TIMEOUT_S = 5.0
_HEADER_LENGTH, _TEXT_LENGTH = 150, 3000  # characters of a header block and of a section block
_CODE_LENGTH = _TEXT_LENGTH - len("```\n\n```")


class SlackError(BoxcarError):
    """Slack did not take a message, or the secret does not hold what is needed."""


@dataclass(frozen=True)
class SlackSecret:
    """What the stack knows of one Slack app."""

    webhook_url: str = field(repr=False)
    signing_secret: str = field(repr=False)


def read_secret(secrets: Any, arn: str) -> SlackSecret:
    """Read `{"webhook_url", "signing_secret"}` from Secrets Manager.

    Raises:
        SlackError: the secret holds something else; what it holds is not said.
    """
    text = secrets.get_secret_value(SecretId=arn).get("SecretString") or ""
    example = 'write {"webhook_url": "https://hooks.slack.com/…", "signing_secret": "…"}'
    try:
        document = json.loads(text)
    except ValueError:
        raise SlackError(f"{arn}: is not JSON; {example}") from None
    known = document if isinstance(document, dict) else {}
    missing = [name for name in ("webhook_url", "signing_secret") if not isinstance(known.get(name), str)]
    if missing:
        raise SlackError(f"{arn}: has no {' and no '.join(missing)}; {example}")
    return SlackSecret(known["webhook_url"], known["signing_secret"])


def post(url: str, message: dict[str, Any]) -> None:
    """Send a message to a webhook, or to the response address of a click.

    Raises:
        SlackError: Slack refused, or could not be reached. The address is a secret, and not said.
    """
    if not url.startswith(("https://", "http://")):
        raise SlackError("webhook_url: is not a web address; write the one that Slack shows for the app's webhook")
    request = urllib.request.Request(  # noqa: S310 - checked above
        url, json.dumps(message).encode(), {"Content-Type": "application/json; charset=utf-8"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        said = error.read(200).decode(errors="replace")
        raise SlackError(f"Slack answered {error.code}: {said or 'nothing more'}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:  # the latter two: no address
        raise SlackError(f"Slack could not be reached: {type(error).__name__}") from None


def message(title: str, text: str, actions: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A message of a title and a plain text, which keeps its lines; `actions` are blocks that follow it.

    Nothing in title and text is read as Slack's markup. What is longer than Slack takes is cut.
    """
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER_LENGTH) or " ", "emoji": False}},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"```\n{_cut(escaped(text), _CODE_LENGTH)}\n```"}},
        *actions,
    ]
    return {"text": _cut(escaped(title), _TEXT_LENGTH), "blocks": blocks}


def escaped(text: str) -> str:
    """Text in which Slack finds no markup: docs.slack.dev, "Formatting message text", escapes these three."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("```", "'''")


def is_signed(secret: str, timestamp: str, signature: str, body: str, now: float) -> bool:
    """Whether Slack signed a request with this secret within the last five minutes (signature version v0).

    Args:
        secret: the app's signing secret.
        timestamp: header X-Slack-Request-Timestamp, seconds since the epoch.
        signature: header X-Slack-Signature.
        body: as it came, byte for byte.
        now: seconds since the epoch.
    """
    if not (secret and timestamp.isascii() and timestamp.isdigit() and abs(now - int(timestamp)) <= OLDEST_S):
        return False
    return hmac.compare_digest(signature_of(secret, timestamp, body).encode(), signature.encode())


def signature_of(secret: str, timestamp: str, body: str) -> str:
    """What Slack writes into X-Slack-Signature."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
