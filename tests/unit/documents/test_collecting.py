"""A notice becomes an answer where the sender looks, once, whatever comes twice, too early, or to somebody else."""

import pytest
from botocore.exceptions import ClientError

from boxcar.documents.collecting import Collecting, NoticeError
from boxcar.documents.record import LEASE_S
from tests.unit.documents.conftest import World


def test_answers_are_put_beside_each_other_and_told_of_together(world: World) -> None:
    for name in ("x/a.txt", "x/b.txt", "x/c.txt", "x/d.txt"):
        world.send(name)
    assert world.collect(*(world.notice(number) for number in (1, 2, 3, 4))) == ["answered"] * 4
    assert world.keys("async/output/") == [f"async/output/x/{name}.txt.json" for name in "abcd"]
    assert world.read("async/output/x/a.txt.json") == {"summary": "S."}
    head = world.s3.head_object(Bucket="data", Key="async/output/x/a.txt.json")
    assert head["ContentType"] == "application/json"
    [mail] = world.mails()
    assert mail.routine and mail.subject == "[Boxcar report] 4 documents answered"
    assert "async/output/x/a.txt.json" in mail.text and "and 1 more" in mail.text


def test_a_notice_that_comes_again_changes_and_tells_nothing(world: World) -> None:
    world.send("a.txt")
    notice = world.notice(1)
    assert world.collect(notice, notice) == ["answered", "known"]
    assert len(world.mails()) == 1
    assert world.collect(notice) == ["known"] and world.mails() == []


def test_what_the_model_said_is_the_reason(world: World) -> None:
    world.send("a.txt")
    assert world.collect(world.notice(1, "ClientError: Received server error (500)", b"text: is missing")) == ["failed"]
    reason = world.read("async/failed/a.txt.reason.json")
    assert reason == {
        "document": "async/input/a.txt",
        "error": "DocumentFailed",
        "reason": "async/input/a.txt: text: is missing",
    }
    assert world.keys("async/failed/") == ["async/failed/a.txt", "async/failed/a.txt.reason.json"]
    [mail] = world.mails()
    assert mail.subject == "[Boxcar alarm] document async/input/a.txt failed" and "text: is missing" in mail.text


def test_without_words_of_the_model_the_reason_is_sagemakers(world: World) -> None:
    world.send("a.txt")
    world.collect(world.notice(1, "ClientError: Your invocation timed out", b""))
    assert world.read("async/failed/a.txt.reason.json")["reason"].endswith("Your invocation timed out")


def test_an_answer_may_come_before_its_sender_has_noted_that_it_was_sent(world: World) -> None:
    world.send("a.txt")
    document = world.documents.find(world.runtime.requests[0]["InferenceId"])
    assert document is not None
    assert world.collect(world.notice(1)) == ["answered"]
    world.documents.note_sent(document, "s3://data/late", "s3://data/later")
    assert world.status() == "Answered"


def test_of_two_answers_to_one_document_one_is_told(world: World) -> None:
    """Whoever sends is killed between the request and its noting: the next one asks again."""
    key = world.upload("a.txt")
    first = world.documents.claim(key, "1", 10.0)
    assert first is not None
    world.runtime.invoke_endpoint_async(InferenceId=first.id, InputLocation=f"s3://data/{key}")  # … and killed
    world.now += LEASE_S + 1
    assert world.sending.send(key, "1") == "sent"
    assert world.collect(world.notice(1)) == ["answered"]
    assert world.collect(world.notice(2, body=b"{}")) == ["known"]
    assert world.read("async/output/a.txt.json") == {"summary": "S."} and len(world.mails()) == 1


def test_an_answer_that_cannot_be_put_in_place_holds_up_no_other(world: World) -> None:
    for name in ("a.txt", "b.txt"):
        world.send(name)
    lost, good = world.notice(1), world.notice(2)
    world.s3.delete_object(Bucket="data", Key="async/answers/1.out")
    collecting = Collecting(world.documents, world.endings)
    with pytest.raises(ClientError, match="NoSuchKey"):
        collecting.take(lost)
    assert collecting.take(good) == "answered"
    collecting.flush()
    assert [world.status(1), world.status(2)] == ["Sent", "Answered"]


def test_requests_of_others_are_left_alone_and_what_is_no_notice_is_a_dead_letter(world: World) -> None:
    assert world.collect({"invocationStatus": "Completed", "inferenceId": "by hand"}) == ["foreign"]
    with pytest.raises(NoticeError, match="invocationStatus: is None"):
        world.collect({"Records": []})


def test_who_is_killed_after_telling_tells_the_same_again(world: World) -> None:
    world.send("a.txt")
    notice, settle = world.notice(1), world.documents.settle
    world.documents.settle = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt())  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.collect(notice)
    world.documents.settle = settle  # type: ignore[method-assign]
    assert world.collect(notice) == ["answered"]
    first, second = world.mails()
    assert first.id == second.id  # so that it is told once
