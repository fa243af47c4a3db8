"""The mails about a release: it waits for a decision, nobody decided, it serves."""

from typing import Any

import pytest

from boxcar.alarms.messages import UnknownMessageError, read_message
from boxcar.mails import Mail
from tests.unit.alarms.test_messages import LINKS

RELEASE = {
    "machine": "release", "run": "packaging-box-1", "family": "packaging", "model": "box", "version": "1.0.1",
    "endpoint": "boxcar-packaging-box",
}  # fmt: skip


def mail(kind: str, **fields: Any) -> tuple[Mail, str]:
    """The mail, and its text as it is read, wherever its lines end."""
    found = read_message({**RELEASE, "kind": kind, **fields}, LINKS, "2026-01-05T09:00:00+00:00")
    assert found
    return found, " ".join(found.text.split())


def test_who_decides_reads_what_would_serve_where_and_what_it_costs() -> None:
    found, words = mail(
        "release_review", owner="packaging-science", number=2, until=1.8e9, link="https://r.test/v1/review?token=abc",
        instead_of="1.0.0", instance="ml.c5.xlarge", least=2, most=6, usd_per_hour=0.34, requested_by="ann",
        metric="roc_auc", score=0.91, score_before=0.9,
    )  # fmt: skip
    assert found.audiences == ("science",) and found.id == "release_review:packaging-box-1:2"
    assert "packaging/box 1.0.1: its release needs a decision" in found.subject
    for part in (
        "to endpoint boxcar-packaging-box waits for a decision of packaging-science", "in the place of 1.0.0",
        "2 to 6 x ml.c5.xlarge, at least 0.34 USD an hour", "roc_auc 0.9000 -> 0.9100", "until 2027-01-15",
        "https://r.test/v1/review?token=abc", "boxcar endpoints approve packaging/box --why REASON", "Asked by: ann",
    ):  # fmt: skip
        assert part in words
    pressed = {button["action_id"]: button.get("value") for button in found.actions[1]["elements"]}
    assert pressed == {"approve": "abc", "reject": "abc", "page": None}


def test_a_first_release_at_a_price_that_nobody_knows_says_neither() -> None:
    found, words = mail("release_review", instance="ml.m5.large", least=1, most=1)
    assert "nothing serves there yet" in words and "- 1 x ml.m5.large" in words and "USD" not in words
    assert found.actions == (), "without a link there is nothing to press"


def test_that_nobody_decided_says_how_to_ask_anew() -> None:
    found, words = mail("release_expired", hours=72)
    assert found.audiences == ("science",) and found.id == "release_expired:packaging-box-1"
    assert "nobody decided about its release within 72 hours" in found.subject
    assert "boxcar endpoints release packaging/box@1.0.1" in words and "What serves goes on serving" in words


def test_what_serves_says_how_it_was_tried_and_what_is_not_watched() -> None:
    report = "https://console.test/reports/packaging-box-1/index.html"
    found, words = mail("released", instead_of="1.0.0", tested=3, report=report, drift_unmeasured=True)
    assert found.audiences == ("science", "engineering")
    assert "in the place of 1.0.0" in words and "3 golden requests" in words and report in words
    assert "drift of its scores is not measured" in words and "score_bins" in words
    _, words = mail("released", report="", drift_unmeasured=False)
    assert "Trial" not in words and "not measured" not in words
    _, words = mail("released", instead_of="1.0.1")
    assert "stays on endpoint boxcar-packaging-box, with the instances and limits" in words and "golden" not in words


@pytest.mark.parametrize("kind", ["release_review", "release_expired", "released"])
def test_a_message_without_its_endpoint_ends_among_the_dead_letters(kind: str) -> None:
    with pytest.raises(UnknownMessageError, match="endpoint: is None"):
        mail(kind, endpoint=None)
