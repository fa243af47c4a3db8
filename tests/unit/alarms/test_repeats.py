"""The same cause within an hour is one mail with a count, and nothing counted is lost, whoever dies when."""

from dataclasses import replace

import pytest

from boxcar.alarms.delivery import LEASE_S
from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.mails import Mail
from tests.unit.alarms.conftest import Killed, Path

LINKS = Links("", "eu-west-1", "boxcar-data", "boxcar", "123456789012")
ALARM = Mail(
    "run:r-0",
    ("science",),
    "[Boxcar alarm] x failed",
    "What happened",
    {"severity": "error"},
    cause="c",
    place="run r-0",
)


def alarm(number: int) -> Mail:
    return replace(ALARM, id=f"run:r-{number}", place=f"run r-{number}")


def told(path: Path) -> int:
    """How many happenings mails have told of."""
    return sum(1 if mail.id.startswith("run:") else int(mail.subject.split()[2]) for mail in path.sent)


def next_hour(path: Path) -> None:
    """An hour later the sweep looks, and what it says is mailed."""
    path.now += path.quiet_s
    path.sweep()
    for message in path.queue:
        path.deliver(read_message(message, LINKS, ""))
    path.queue.clear()


def test_the_first_is_mailed_at_once_and_the_others_are_one_mail_an_hour_later(path: Path):
    assert [path.deliver(alarm(number)) for number in range(4)] == ["sent", "counted", "counted", "counted"]
    assert path.deliver(alarm(2)) == "known", "told twice, it counts once"
    assert [mail.id for mail in path.sent] == ["run:r-0"]
    path.sweep()
    assert path.queue == [], "the hour is not over"
    next_hour(path)
    mail = path.sent[-1]
    assert mail.subject == "[Boxcar alarm] 3 more: x failed" and mail.audiences == ("science",)
    for part in ("3 more times", "run r-1", "run r-3", "What happened"):
        assert part in mail.text
    assert mail.cause == "", "it is not counted itself"


def test_while_it_goes_on_there_is_one_mail_an_hour_and_after_a_quiet_hour_the_next_is_mailed_at_once(path: Path):
    for number in range(3):
        path.deliver(alarm(number))
    next_hour(path)
    path.deliver(alarm(3))
    next_hour(path)
    assert [mail.subject.split()[2] for mail in path.sent] == ["x", "2", "1"]
    next_hour(path)
    assert len(path.sent) == 3 and path.due() == []
    assert path.deliver(alarm(4)) == "sent"


def test_of_very_many_ten_places_are_named_and_the_rest_is_a_number(path: Path):
    for number in range(15):
        path.deliver(alarm(number))
    next_hour(path)
    assert path.sent[-1].text.count("run r-") == 10 and "and 4 more" in path.sent[-1].text


def test_nought_seconds_mail_each(path: Path):
    path.quiet_s = 0
    assert [path.deliver(alarm(number)) for number in range(2)] == ["sent", "sent"]


@pytest.mark.parametrize("at", range(1, 5))
def test_a_function_killed_at_any_write_loses_no_alarm_and_counts_none_twice(path: Path, at: int):
    path.deliver(alarm(0))
    killed = Killed(path.dynamodb, at)
    try:
        for number in (1, 2):
            path.deliver(alarm(number), killed)
    except SystemExit:
        path.now += LEASE_S
        for number in (1, 2):
            path.deliver(alarm(number))
    next_hour(path)
    assert told(path) == 3


def test_the_first_that_dies_before_it_was_mailed_is_mailed_when_it_comes_back(path: Path):
    path.refusals.append(SystemExit("killed"))
    with pytest.raises(SystemExit):
        path.deliver(alarm(0))
    assert path.deliver(alarm(1)) == "counted"
    path.now += LEASE_S
    assert path.deliver(alarm(0)) == "sent"
    next_hour(path)
    assert told(path) == 2


@pytest.mark.parametrize("at", [1, 2])
def test_the_first_that_is_killed_before_it_opened_the_hour_leaves_that_to_another(path: Path, at: int):
    with pytest.raises(SystemExit):
        path.deliver(alarm(0), Killed(path.dynamodb, at))
    assert path.deliver(alarm(1)) == "sent"
    path.now += LEASE_S
    assert path.deliver(alarm(0)) == "counted"
    next_hour(path)
    assert told(path) == 2


@pytest.mark.parametrize("at", [1, 2])
def test_a_sweep_killed_at_any_write_is_followed_by_another_and_the_count_is_mailed_once(path: Path, at: int):
    for number in range(3):
        path.deliver(alarm(number))
    path.now += path.quiet_s
    with pytest.raises(SystemExit):
        path.sweep(dynamodb=Killed(path.dynamodb, at))
    path.deliver(alarm(3))
    next_hour(path)
    next_hour(path)
    assert told(path) == 4


def test_a_queue_that_does_not_take_the_count_gets_it_from_the_next_sweep(path: Path):
    def refuse(message):
        raise ConnectionError("SQS")

    for number in range(2):
        path.deliver(alarm(number))
    path.now += path.quiet_s
    with pytest.raises(ConnectionError):
        path.sweep(refuse)
    next_hour(path)
    assert told(path) == 2


def test_what_is_counted_after_the_sweep_has_read_the_index_stays_counted(path: Path):
    path.deliver(alarm(0))
    path.now += path.quiet_s
    stale = path.due()
    path.deliver(alarm(1))
    path.due = lambda: stale  # type: ignore[method-assign]
    path.sweep()
    del path.due
    next_hour(path)
    assert told(path) == 2


def failed(run: str, cause: str = "x", **fields: str) -> str:
    message = {"kind": "model_failed", "machine": "training", "run": run, "family": "f", "model": "bag", **fields}
    return read_message({**message, "error": "AccessDenied", "cause": cause}, LINKS, "").cause


def test_what_makes_the_same_cause():
    first = failed("run-1", "Step train of model bag failed after 2 attempts: no (job boxcar-run-1-train-0123456789)")
    again = "Step train of model mailer failed after 3 attempts: no (job boxcar-run-2-train-9876543210)"
    assert failed("run-2", again, model="mailer") == first, "another run and model"
    assert failed("run-2", again, model="mailer", family="g") != first
    assert failed("run-2", again.replace(": no", ": never"), model="mailer") != first
    assert failed("run-2", again.replace("Step train", "Step prepare"), model="mailer") != first


def test_verdicts_are_each_mailed_for_each_needs_a_decision():
    for kind in ("model_review", "model_rejected"):
        message = {"kind": kind, "run": "r", "model": "m", "version": "1.0.0", "reasons": ["x"], "machine": "training"}
        assert read_message(message, LINKS, "").cause == ""
