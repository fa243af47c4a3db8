"""An upload becomes one request, however often it is told of; what the endpoint would not take is told with the reason."""

import pytest
from botocore.exceptions import ClientError

from boxcar.documents.record import LEASE_S, StillBeingSentError
from boxcar.documents.sending import OVERDUE_S
from tests.unit.documents.conftest import BUCKET, World


def test_a_document_is_sent_once_and_every_upload_of_it_anew(world: World) -> None:
    assert [world.send("2027/a.txt"), world.send("2027/a.txt")] == ["sent", "known"]
    [request] = world.runtime.requests
    assert (request["EndpointName"], request["InputLocation"]) == ("live", f"s3://{BUCKET}/async/input/2027/a.txt")
    assert (request["ContentType"], request["Accept"]) == ("text/plain", "application/json")
    assert world.send("2027/a.txt", sequencer="2") == "sent"
    assert len(world.runtime.requests) == 2


@pytest.mark.parametrize(
    ("name", "kind", "read_as"),
    [
        ("a.md", "binary/octet-stream", "text/markdown"),
        ("a.json", "application/octet-stream", "application/json"),
        ("a", "text/plain; charset=utf-8", "text/plain"),
    ],
)
def test_the_type_is_that_of_the_upload_else_that_of_the_name(world: World, name: str, kind: str, read_as: str) -> None:
    assert world.send(name, kind=kind) == "sent"
    assert world.runtime.requests[0]["ContentType"] == read_as


@pytest.mark.parametrize(
    ("name", "body", "kind", "words"),
    [
        ("a.pdf", b"%PDF", "application/pdf", "Content-Type is 'application/pdf'; upload one of application/json"),
        ("a", b"x", "binary/octet-stream", "Content-Type is 'binary/octet-stream'"),
        ("a.txt", b"", "text/plain", "is empty"),
        ("a.txt", b"x" * 1001, "text/plain", "has 1001 bytes; send at most 1000, or raise the parameter AsyncMaxBytes"),
        ("ä.txt", b"x", "text/plain", "use at most 900 ASCII characters"),
    ],
)
def test_what_the_endpoint_would_not_take_lands_under_failed_with_its_reason(
    world: World, name: str, body: bytes, kind: str, words: str
) -> None:
    assert world.send(name, body=body, kind=kind) == "refused"
    assert world.runtime.requests == []
    assert world.keys("async/failed/") == [f"async/failed/{name}", f"async/failed/{name}.reason.json"]
    reason = world.read(f"async/failed/{name}.reason.json")
    assert (reason["document"], reason["error"]) == (f"async/input/{name}", "DocumentRefused")
    assert words in reason["reason"]
    [mail] = world.mails()
    assert mail.audiences == ("science",) and words.split(";")[0] in " ".join(mail.text.split())
    assert world.send(name, body=body, kind=kind) == "known" and world.mails() == []


def test_a_folder_of_the_console_is_no_document(world: World) -> None:
    assert world.send("2027/", body=b"", kind="application/x-directory") == "folder"
    assert world.keys("async/failed/") == [] and world.mails() == []


def test_a_document_that_was_deleted_meanwhile_is_told_of_too(world: World) -> None:
    assert world.sending.send("async/input/gone.txt", "1") == "refused"
    assert world.keys("async/failed/") == ["async/failed/gone.txt.reason.json"]


def test_many_failures_of_one_cause_have_one_cause_for_the_counting_of_mails(world: World) -> None:
    for name in ("a.pdf", "b17.pdf", "c.pdf"):
        world.send(name, kind="application/pdf")
    mails = world.mails()
    assert len({mail.id for mail in mails}) == 3
    assert len({mail.cause for mail in mails}) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "ServiceUnavailable", "ValidationError"])
def test_an_endpoint_that_does_not_take_it_now_is_asked_again_at_once(world: World, code: str) -> None:
    world.runtime.refusals = [code]
    with pytest.raises(ClientError, match=code):
        world.send("a.txt")
    assert world.send("a.txt") == "sent"
    assert len(world.runtime.requests) == 1


def test_who_is_killed_while_sending_is_followed_by_another_when_his_lease_is_over(world: World) -> None:
    key = world.upload("a.txt")
    assert world.documents.claim(key, "1", OVERDUE_S) is not None  # … and killed
    with pytest.raises(StillBeingSentError):
        world.sending.send(key, "1")
    world.now += LEASE_S + 1
    assert world.sending.send(key, "1") == "sent"


def test_an_answer_whose_notice_was_lost_is_found_by_the_sweep(world: World) -> None:
    world.send("a.txt")
    world.notice(1)  # written, but nobody hears of it
    assert world.sending.sweep() == {"answered": 0, "failed": 0}  # it is not late yet
    world.now += OVERDUE_S + 1
    assert world.sending.sweep() == {"answered": 1, "failed": 0}
    assert world.read("async/output/a.txt.json") == {"summary": "S."}
    assert world.sending.sweep() == {"answered": 0, "failed": 0}


def test_a_document_that_got_lost_with_its_endpoint_is_told_of_by_the_sweep(world: World) -> None:
    world.send("a.txt")
    world.now += OVERDUE_S + 1
    assert world.sending.sweep() == {"answered": 0, "failed": 1}
    assert "the endpoint was deleted" in world.read("async/failed/a.txt.reason.json")["reason"]
    assert world.status() == "Failed" and len(world.mails()) == 1
