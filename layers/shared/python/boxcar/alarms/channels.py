"""Slack beside the mails: what somebody should see today, and never at the cost of a mail."""

from collections.abc import Callable
from functools import cache

from boxcar.mails import Mail
from boxcar.slack import SlackError, message, post

SHOWN = {"error", "warning"}  # severities; what is routine stays out of the channel
NEWS = {"release"}  # kinds that are worth a message, though nobody has to do anything
PRIVATE = {"jobs"}  # kinds of mails that are about one owner's own work
MOST_S = 8.0  # that one batch of mails may wait for Slack in all


class SlackChannel:
    """One Slack channel for the length of one batch.

    One that is down or slow is asked no more in this batch: the mails go out, and messages come back for Slack alone.
    """

    def __init__(self, webhook_url: Callable[[], str], clock: Callable[[], float]) -> None:
        self._url = cache(webhook_url)
        self._clock = clock
        self._spent_s = 0.0
        self._failed = ""

    def __call__(self, mail: Mail) -> None:
        """Post a mail, if it is one for Slack.

        Raises:
            SlackError: it was not posted; the alarm should come back.
        """
        severity, kind = mail.attributes.get("severity"), mail.attributes.get("kind")
        if kind in PRIVATE or (severity not in SHOWN and kind not in NEWS):
            return
        if self._failed or self._spent_s > MOST_S:
            raise SlackError(f"Slack is not asked again in this batch: {self._failed or 'it is slow'}")
        began = self._clock()
        try:
            title = f"{mail.subject} (for {', '.join(mail.audiences)})"
            post(self._url(), message(title, mail.text, mail.actions))
        except Exception as error:
            self._failed = str(error)
            raise
        finally:
            self._spent_s += self._clock() - began
