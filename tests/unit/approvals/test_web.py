"""What a browser, Slack and the command are answered."""

import json
from urllib.parse import urlencode

import pytest

from boxcar.api.calls import Call
from boxcar.approvals.calls import DecisionCalls
from boxcar.approvals.pages import ReviewPages
from boxcar.approvals.slack_actions import SlackActions
from boxcar.reports.review_page import gather, render_review
from boxcar.slack import SlackSecret, post, signature_of
from boxcar.versions import Version
from tests.unit.approvals.conftest import HOURS, UNSURE, World
from tests.unit.judging.conftest import FAMILY, MODEL
from tests.unit.slack.conftest import SlackServer, slack_server  # noqa: F401 - a fixture

CALLER = "arn:aws:sts::1:assumed-role/science/ann"
SECRET = SlackSecret("https://hooks.slack.com/x", "s3cret")


def pages(world: World) -> ReviewPages:
    stack = world.stack
    return ReviewPages(
        world.decider, lambda *which: gather(*which, table=stack.table, s3=stack.clients["s3"]), world.now
    )


def get(world: World, token: str) -> dict:
    return pages(world).show(Call("GET", "/review", query={"token": [token]}))


def submit(world: World, **form: str) -> dict:
    return pages(world).decide(Call("POST", "/review", text=urlencode({"token": world.token(), **form})))


def test_the_page_shows_the_question_and_may_be_framed_cached_or_told_by_nobody(world):
    answer = get(world, world.token())
    assert answer["statusCode"] == 200 and "packaging/mailer 1.0.1" in answer["body"]
    assert "calibration" in answer["body"] and "<svg" in answer["body"] and "<script" not in answer["body"]
    headers = answer["headers"]
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"] and headers["X-Frame-Options"] == "DENY"
    assert world.status() == "PendingManualApproval"


def test_the_pictures_compare_both_versions(world):
    verdict = world.stack.table.version(FAMILY, MODEL, Version(1, 0, 1))["verdict"]
    drop = next(one for one in verdict["criteria"] if one["name"] == "score_drop")
    drop |= {"low": -0.01, "high": 0.02}
    figures = {
        "verdict": {**verdict, "drift": {"price <b>": 0.213, "brand": 0.01}}, "change": "patch", "created": "", "label": "y",
        "approved": "1.0.0", "overtaken": False, "calibration": [{"score": 0.2, "ones": 0.3}, {"score": "x"}], "history": [],
    }  # fmt: skip
    review = world.decider.review(world.token()).model_dump(mode="json")
    page = render_review(review, figures, "t", {})
    assert "price &lt;b&gt;" in page and "0.213" in page and "Calibration" in page
    assert "95 % interval" in page and "in place of 1.0.0" in page
    without = render_review(review, {**figures, "verdict": {}, "calibration": []}, "t", {})
    assert "<svg" not in without and "<form" in without, "a version without figures can be decided all the same"


def test_a_form_decides_and_what_was_typed_stays_text(world):
    answer = submit(world, decision="approve", name="<script>x</script>", why="a\n<b>")
    assert answer["statusCode"] == 200 and "<script>" not in answer["body"]
    assert "approved by &lt;script&gt;x&lt;/script&gt; (by link): a &lt;b&gt;" in answer["body"]
    assert world.status() == "Approved"
    assert "approved by" in get(world, world.token())["body"] and "<form" not in get(world, world.token())["body"]


@pytest.mark.parametrize(
    "form", [{"decision": "approve", "name": "Ann"}, {"decision": "approve", "why": "x"}, {"name": "Ann", "why": "x"},
             {"decision": "delete", "name": "Ann", "why": "x"}, {"decision": "approve", "name": " ", "why": "\x00"}],
)  # fmt: skip
def test_a_form_that_lacks_something_comes_back_and_decides_nothing(world, form):
    answer = submit(world, **form)
    assert answer["statusCode"] == 400 and "Nothing was decided yet" in answer["body"] and "<form" in answer["body"]
    assert world.status() == "PendingManualApproval" and world.states.answers == {}


def test_what_cannot_be_decided_has_a_page_of_its_own(world):
    form = {"decision": "approve", "name": "Ann", "why": "x"}
    assert get(world, "nonsense")["statusCode"] == 404 == submit(world, **form, token="nonsense")["statusCode"]
    world.clock[0] += HOURS * 3600
    for answer in (get(world, world.token()), submit(world, **form)):
        assert answer["statusCode"] == 410 and "The time to decide is over" in answer["body"]
    world.clock[0] -= HOURS * 3600
    world.stop()
    answer = submit(world, **form)
    assert answer["statusCode"] == 409 and "The run was stopped" in answer["body"]
    assert get(world, world.token())["statusCode"] == 409
    assert world.status() == "PendingManualApproval"
    world.review("run-3", "task-3", restart_of="run-2")
    for answer in (get(world, world.token(0)), submit(world, **form, token=world.token(0))):
        assert answer["statusCode"] == 410 and "This link was replaced" in answer["body"]
    assert get(world, world.token())["statusCode"] == 200 and world.status() == "PendingManualApproval"


def test_a_version_that_was_overtaken_can_only_be_rejected(world):
    world.stack.judged("run-3")
    assert 'value="approve" disabled' in get(world, world.token())["body"]
    answer = submit(world, decision="approve", name="Ann", why="x")
    assert answer["statusCode"] == 409 and "1.0.2, which is newer" in answer["body"]
    assert submit(world, decision="reject", name="Ann", why="x")["statusCode"] == 200


def test_who_decides_is_warned_when_the_figures_compare_with_another_version_than_the_approved_one(world):
    assert "the approved version by now" not in get(world, world.token())["body"]
    world.decider.by_name(FAMILY, MODEL, Version(1, 0, 1), world.decision())
    world.stack.judged("run-3", UNSURE)
    world.review("run-3", "task-3")
    assert call(world, {"decision": "rollback", "version": "1.0.0", "why": "no"})[0] == 200
    page = get(world, world.token())["body"]
    assert (
        "The figures compare with 1.0.1, but 1.0.0 is the approved version by now" in page
        and 'approve" disabled' not in page
    )
    status, told = call(world, {"decision": "approve", "version": "1.0.2", "why": "fine"})
    assert (status, told["predicts"]) == (200, "1.0.2")
    assert "1.0.2 was compared with 1.0.1, and 1.0.0 was the approved version" in told["warning"]
    assert call(world, {"decision": "approve", "version": "1.0.2", "why": "fine"})[1]["warning"] == "", "a repeat"


def click(world: World, server: SlackServer, action: str = "approve", why: str = "fine", **changes: str) -> dict:
    payload = {
        "type": "block_actions",
        "user": {"id": "U1", "username": "ann"},
        "team": {"id": "T1"},
        "response_url": server.url,
        "actions": [{"action_id": action, "value": world.token()}],
        "state": {"values": {"why": {"why": {"type": "plain_text_input", "value": why or None}}}},
    }
    body = urlencode({"payload": json.dumps(payload)})
    at = str(int(world.now()))
    headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": signature_of("s3cret", at, body), **changes}
    return SlackActions(world.decider, lambda: SECRET, world.now, post).answer(headers, body)


def test_a_click_in_slack_decides_and_everybody_sees_who(world, slack_server):  # noqa: F811
    assert click(world, slack_server)["statusCode"] == 200
    assert world.status() == "Approved" and world.states.answers["task-1"]["identity"] == "slack:T1:U1"
    (said,) = slack_server.messages
    assert said["replace_original"] and said["text"].endswith("approved by ann (Slack U1): fine")
    assert click(world, slack_server, "reject")["statusCode"] == 200
    assert "has been decided" in slack_server.messages[1]["text"] and world.status() == "Approved"


def test_a_click_without_a_reason_or_without_slacks_signature_decides_nothing(world, slack_server):  # noqa: F811
    assert click(world, slack_server, why="")["statusCode"] == 200
    assert slack_server.messages[0]["response_type"] == "ephemeral" and "write why" in slack_server.messages[0]["text"]
    assert click(world, slack_server, **{"X-Slack-Signature": "v0=0"})["statusCode"] == 401
    assert click(world, slack_server, "page")["statusCode"] == 200
    nobody = SlackActions(world.decider, lambda: None, world.now)
    assert nobody.answer({}, "payload=x")["statusCode"] == 401
    assert world.status() == "PendingManualApproval"


def test_a_decision_stands_though_slack_does_not_take_the_reply(world, slack_server):  # noqa: F811
    slack_server.answers.append((500, "no"))
    assert click(world, slack_server)["statusCode"] == 200 and world.status() == "Approved"


def call(world: World, body: dict, model: str = MODEL) -> tuple[int, dict]:
    event = {
        "httpMethod": "POST", "resource": "/models/{family}/{model}/decisions", "body": json.dumps(body),
        "pathParameters": {"family": FAMILY, "model": model}, "requestContext": {"identity": {"userArn": CALLER}},
    }  # fmt: skip
    answer = DecisionCalls(world.decider, world.now).answer(event, "r-1")
    return answer["statusCode"], json.loads(answer["body"])


def test_the_command_decides_in_the_name_of_its_caller(world):
    status, told = call(world, {"decision": "approve", "why": "fine"})
    assert (status, told["version"], told["status"], told["predicts"]) == (200, "1.0.1", "Approved", "1.0.1")
    assert (told["decisions"][0]["by"], told["decisions"][0]["identity"]) == ("ann", CALLER)
    assert call(world, {"decision": "approve", "version": "1.0.1", "why": "fine"})[0] == 200, "repeated"
    assert call(world, {"decision": "reject", "version": "1.0.1", "why": "no"})[0] == 409
    status, told = call(world, {"decision": "rollback", "version": "1.0.0", "why": "no"})
    assert (status, told["predicts"]) == (200, "1.0.0") and world.disagreements() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"decision": "approve"}, 400), ({"decision": "maybe", "why": "x"}, 400), ({"decision": "rollback", "why": "x"}, 400),
        ({"decision": "approve", "why": " \t"}, 400), ({"decision": "approve", "why": "x", "who": "eve"}, 400),
        ({"decision": "approve", "why": "x", "version": "one"}, 400), ({"decision": "approve", "why": "x", "version": "9.0.0"}, 404),
    ],
)  # fmt: skip
def test_a_call_that_is_not_understood_is_told_why(world, body, status):
    assert call(world, body)[0] == status
    assert call(world, {"decision": "approve", "why": "x"}, "nobody")[0] == 404
    assert world.status() == "PendingManualApproval"
