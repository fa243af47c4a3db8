"""Alarms that the machine could not send are sent by Report."""

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.reports.untold import untold
from tests.unit.reports.conftest import whole_run

LINKS = Links("https://console.test", "us-east-1", "data", "boxcar", "123456789012")


def test_only_what_was_not_told_is_made_up_for_and_can_be_read() -> None:
    facts, _ = whole_run()
    results = [
        [
            {"model": "mailer", "status": "approved", "version": "1.2.1"},
            {"model": "box", "status": "rejected", "version": "1.2.1", "told": False},
            {"model": "bag", "status": "failed", "error": "InputError", "cause": "no labels", "told": False},
        ],
        [{"model": "own_container", "status": "review", "version": "1.0.0", "told": False}],
    ]
    messages = untold(facts, "training", results)
    assert [(one["kind"], one["model"]) for one in messages] == [
        ("model_rejected", "box"), ("model_failed", "bag"), ("review_expired", "own_container"),
    ]  # fmt: skip
    assert messages[0]["reasons"]
    mails = [read_message(message, LINKS, "2026-01-05T03:00:00+00:00") for message in messages]
    assert [mail.id for mail in mails if mail] == [
        f"model_rejected:{facts.run}/box", f"model_failed:{facts.run}/bag", f"review_expired:{facts.run}/own_container",
    ]  # fmt: skip
