"""Slack beside the mails: it gets what matters, and a Slack that is down or slow costs no mail."""

import pytest

from boxcar.alarms import channels
from boxcar.alarms.channels import SlackChannel
from boxcar.mails import Mail
from boxcar.slack import SlackError
from tests.unit.alarms.conftest import Path

ALARM = Mail("run:r-1", ("science",), "[Boxcar alarm] x", "text", {"kind": "alarm", "severity": "error"})


@pytest.fixture
def slack(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Posts that were made; `answers` are raised by the next, or add seconds to the clock."""

    class Slack:
        def __init__(self) -> None:
            self.posted: list[str] = []
            self.answers: list[Exception | float] = []
            self.time = 0.0
            self.next_batch()

        def next_batch(self) -> None:
            path.others["slack"] = SlackChannel(lambda: "https://hooks.test/x", lambda: self.time)

        def post(self, url: str, message: dict) -> None:
            answer = self.answers.pop(0) if self.answers else 0.0
            if isinstance(answer, Exception):
                raise answer
            self.time += answer
            self.posted.append(message["text"])

    fake = Slack()
    monkeypatch.setattr(channels, "post", fake.post)
    return fake


def alarm(number: int, **attributes: str) -> Mail:
    return Mail(f"run:r-{number}", ("science",), f"[Boxcar alarm] {number}", "text", {**ALARM.attributes, **attributes})


@pytest.mark.parametrize(
    ("attributes", "posted"),
    [
        ({}, 1),
        ({"severity": "warning", "kind": "report"}, 1),
        ({"severity": "info", "kind": "release"}, 1),
        ({"severity": "info", "kind": "digest"}, 0),
        ({"severity": "warning", "kind": "jobs"}, 0),
    ],
)
def test_what_is_routine_or_of_one_owner_stays_out_of_the_channel(path: Path, slack, attributes, posted):
    path.deliver(alarm(1, **attributes))
    assert (len(path.sent), len(slack.posted)) == (1, posted)


def test_slack_down_the_mail_goes_out_and_the_message_comes_back_for_slack_alone(path: Path, slack):
    slack.answers = [SlackError("Slack answered 500")]
    with pytest.raises(SlackError, match="500"):
        path.deliver(alarm(1))
    assert len(path.sent) == 1 and slack.posted == []
    slack.next_batch()
    assert path.deliver(alarm(1)) == "sent", "at once: nobody holds it any more"
    assert len(path.sent) == 1 and len(slack.posted) == 1
    assert path.deliver(alarm(1)) == "known"


def test_mail_down_slack_has_it_and_the_message_comes_back_for_the_mail_alone(path: Path, slack):
    path.refusals = [ConnectionError("SNS")]
    with pytest.raises(ConnectionError):
        path.deliver(alarm(1))
    path.deliver(alarm(1))
    assert len(path.sent) == 1 and len(slack.posted) == 1


def test_one_that_fails_is_not_asked_again_in_the_same_batch_and_no_mail_waits(path: Path, slack):
    slack.answers = [SlackError("Slack could not be reached")]
    for number in range(5):
        with pytest.raises(SlackError, match="Slack could not be reached"):
            path.deliver(alarm(number))
    assert len(path.sent) == 5 and slack.answers == [] and slack.posted == []


def test_one_that_is_slow_gets_so_many_seconds_a_batch(path: Path, slack):
    slack.answers = [4.5] * 5
    outcomes = []
    for number in range(5):
        try:
            outcomes.append(path.deliver(alarm(number)))
        except SlackError:
            outcomes.append("later")
    assert outcomes == ["sent", "sent", "later", "later", "later"] and len(path.sent) == 5
