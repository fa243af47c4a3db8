"""Routine success is a digest; whatever asks for somebody is a mail of its own."""

import pytest

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from tests.unit.alarms.conftest import Killed, Path

LINKS = Links("", "eu-west-1", "boxcar-data", "boxcar", "123456789012")


def report(run: str, status: str = "succeeded", *models: str):
    told = [{"model": f"m{number}", "status": status} for number, status in enumerate(models or ("approved",))]
    message = {"kind": "report", "machine": "training", "run": run, "family": "f", "status": status, "models": told}
    return read_message(message, LINKS, "")


def test_a_day_is_one_mail_to_business_and_science(path: Path):
    assert [path.deliver(report(f"run-{number}")) for number in range(3)] == ["put by"] * 3
    assert path.deliver(report("run-1")) == "known" and path.sent == []
    assert path.digest() == 3
    (mail,) = path.sent
    assert mail.audiences == ("business", "science")
    assert mail.subject == "[Boxcar digest] 3 reports without anything to decide"
    for number in range(3):
        assert f"run-{number}" in mail.text
    assert mail.attributes == {"kind": "digest", "severity": "info"}


def test_nothing_to_tell_is_no_mail(path: Path):
    assert path.digest() == 0 and path.sent == []
    path.deliver(report("run-1"))
    path.digest()
    assert path.digest() == 0 and len(path.sent) == 1


@pytest.mark.parametrize(
    ("status", "models"),
    [
        ("succeeded", ("approved", "review")),
        ("succeeded", ("rejected",)),
        ("partial", ("approved", "failed")),
        ("succeeded", ("approved", "unfinished")),
        ("failed", ("failed",)),
    ],
)
def test_what_asks_for_somebody_is_mailed_at_once(path: Path, status: str, models: tuple[str, ...]):
    assert path.deliver(report("run-1", status, *models)) == "sent"
    assert path.digest() == 0


def test_what_comes_after_the_schedule_is_in_the_next_digest(path: Path):
    path.deliver(report("run-1"))
    path.now += 1
    at = path.now
    path.now += 1
    path.deliver(report("run-2"))
    path.now = at
    assert path.digest() == 1
    path.now += 86400
    assert path.digest() == 1
    assert ["run-2" in mail.text for mail in path.sent] == [False, True]


@pytest.mark.parametrize("at", [1, 2])
def test_killed_while_it_notes_what_was_mailed_it_repeats_rather_than_loses(path: Path, at: int):
    for number in range(2):
        path.deliver(report(f"run-{number}"))
    with pytest.raises(SystemExit):
        path.digest(Killed(path.dynamodb, at))
    path.deliver(report("run-2"))
    path.digest()
    assert all(any(f"run-{number}" in mail.text for mail in path.sent) for number in range(3))
    assert path.digest() == 0


def test_a_digest_that_is_killed_and_comes_back_as_it_was_is_one_mail(path: Path):
    path.deliver(report("run-1"))
    with pytest.raises(SystemExit):
        path.digest(Killed(path.dynamodb, 1))
    path.digest()
    assert len(path.sent) == 1 and path.digest() == 0


def test_a_day_of_very_many_fits_into_one_mail(path: Path):
    models = ["approved"] * 40
    for number in range(60):
        path.deliver(report(f"run-{number:03}", "succeeded", *models))
    assert path.digest() == 60
    text = path.sent[0].text
    assert len(text.encode()) < 250_000 and "run-059" in text and "The other reports lie" in text
