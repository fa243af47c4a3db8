"""Mails about jobs of scientists: one in full, many by outcome."""

from typing import Any

from boxcar.alarms.digests import digest_mail
from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message

LINKS = Links("https://console.aws.amazon.com", "eu-west-1", "data", "boxcar", "123456789012")
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/boxcar-ann-depth-1-0123456789-2"


def _example(outcome: str, **fields: Any) -> dict[str, Any]:
    return {
        "outcome": outcome, "job": "boxcar-ann-depth-1-0123456789", "step": "train", "reason": "", "attempts": [],
        "attempts_made": 1, "seconds": 61.4, "arn": ARN, "outputs": {}, **fields,
    }  # fmt: skip


def _message(counts: dict[str, int], *examples: dict[str, Any], sweep: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "kind": "jobs_digest", "owner": "ann", "number": 3, "sweeps": {sweep: counts}, "since": 1_767_225_600.0,
        "until": 1_767_225_660.0, "examples": list(examples), **fields,
    }  # fmt: skip


def test_one_job_is_told_in_full() -> None:
    attempts = [{"name": "a-1", "failure": "AlgorithmError", "reason": "first"},
                {"name": "a-2", "failure": "AlgorithmError", "reason": "second"}]  # fmt: skip
    example = _example("AlgorithmError", reason="AlgorithmError: exit code 1", attempts=attempts, attempts_made=2)
    mail = read_message(_message({"AlgorithmError": 1}, example), LINKS, "")
    assert mail is not None
    assert mail.subject == "[Boxcar jobs] train of ann: AlgorithmError (boxcar-ann-depth-1-0123456789)"
    assert mail.audiences == ("science",)
    assert mail.attributes == {"kind": "jobs", "severity": "warning", "owner": "ann"}
    for words in ("Failed: AlgorithmError", "2 attempts", "exit code 1", "a-1: AlgorithmError: first",
                  "submit it under another name", "#/jobs/boxcar-ann-depth-1-0123456789-2", "boxcar jobs explain"):  # fmt: skip
        assert words in " ".join(mail.text.split()), words


def test_many_are_counted_with_an_example_of_each() -> None:
    counts = {"AlgorithmError": 12, "Completed": 980, "CapacityTimeout": 8}
    mail = digest_mail(_message(counts, _example("Completed"), _example("CapacityTimeout"), sweep="depth"), LINKS)
    assert mail.subject == "[Boxcar jobs] sweep depth of ann: 980 Completed, 12 AlgorithmError, 8 CapacityTimeout"
    assert "1000 jobs of sweep depth of ann ended" in mail.text
    assert "CapacityTimeout, for example boxcar-ann-depth-1-0123456789" in mail.text
    assert "boxcar jobs list --sweep depth" in mail.text


def test_good_news_is_not_a_warning_and_says_where_the_outputs_are() -> None:
    mail = digest_mail(
        _message({"Completed": 1}, _example("Completed", outputs={"model": "s3://data/m.tar.gz"})), LINKS
    )
    assert mail.attributes["severity"] == "info" and "model: s3://data/m.tar.gz" in mail.text


def test_mails_of_one_digest_are_told_apart_by_number() -> None:
    ids = {digest_mail(_message({"Completed": 1}, number=number), LINKS).id for number in (1, 2, 2)}
    assert len(ids) == 2


def test_a_quarantined_job_is_an_alarm_to_engineering() -> None:
    message = {"kind": "job_quarantined", "owner": "ann", **_example("Quarantined", reason="the launcher died 5 times")}
    mail = read_message(message, LINKS, "2026-01-01T00:00:00Z")
    assert mail is not None and mail.audiences == ("engineering",) and "died 5 times" in mail.text
    assert mail.subject.startswith("[Boxcar alarm]")


def test_several_sweeps_are_one_mail() -> None:
    message = _message({"Completed": 3}) | {"sweeps": {"depth": {"Completed": 3}, "": {"Stopped": 1}}}
    mail = digest_mail(message, LINKS)
    assert mail.subject == "[Boxcar jobs] jobs of ann: 3 Completed, 1 Stopped"
    assert "depth" in mail.text and "(none)" in mail.text
