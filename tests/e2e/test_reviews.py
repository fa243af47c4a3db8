"""A run that asks a person: the link of a mail in a real browser on a phone, a scanner, a stopped run, the command."""

import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from boxcar.approvals.reviews import Reviews
from boxcar.registry.decisions import decisions_of
from boxcar.versions import FIRST
from local.client import wait_for
from tests.browser import EXECUTABLE, Browser
from tests.e2e.deployed import ROOT, Deployed

UNSURE = {"min_rows": 1_000_000, "on_breach": {"rows": "review"}}


def asked(stack: Deployed, run: str) -> str:
    """Wait for the mail of a run that asks; its link."""
    found = wait_for(lambda: [mail for mail in stack.mails(run) if "needs a decision" in mail.subject], 120)
    assert len(found) == 1, [mail.text for mail in found]
    assert found[0].to == "science@boxcar.local"
    (link,) = re.findall(r"https?://\S+/review\?token=\S+", found[0].text)
    return str(link)


def fetch(link: str, form: dict[str, str] | None = None, method: str | None = None) -> tuple[int, str]:
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.urlopen(urllib.request.Request(link, data, method=method), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def command(stack: Deployed, *arguments: str) -> str:
    whole = [sys.executable, "-m", "cli", "--local", "--state", str(stack.session.state), *arguments]
    done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def start(stack: Deployed, family: str) -> str:
    before = set(stack.executions())
    stack.upload({"family": family})
    return stack.started_since(before)


@pytest.mark.skipif(
    EXECUTABLE is None, reason="no browser on this machine; `make setup-browser` installs one on Debian"
)
def test_what_the_gate_cannot_decide_a_person_decides_on_a_phone(stack: Deployed, tmp_path: Path) -> None:
    family = stack.small_family("mailer", "bag", models__bag__gate=UNSURE)
    # The function dies after the mail is on its way: its retry must not ask again, nor spoil the link.
    stack.cloud.add_fault(service="sqs", action="SendMessage", caller="boxcar-AskReview*", kill="after", count=1)
    run = start(stack, family)
    link = asked(stack, run)
    reviews = Reviews(stack.session.client("dynamodb"), stack.session.outputs["ModelsTableName"])
    wait_for(lambda: reviews.of(family, "bag", FIRST).attempt == 1, 30, why="the task was not tried again")
    assert len(stack.cloud.faults()["fired"]) == 1

    for method in ("GET", "HEAD", "GET"):  # a mail scanner follows links
        fetch(link, method=method)
    assert fetch(link + "x")[0] == 404 and fetch(link.replace("token=", "token=x"))[0] == 404
    token = link.partition("token=")[2]
    post = link.partition("?")[0]
    assert fetch(post, {"token": token + "x", "decision": "approve", "name": "Eve", "why": "x"})[0] == 404
    assert fetch(post, {"token": token, "decision": "approve", "why": "x"})[0] == 400, "who it is has to be said"
    assert stack.versions(family, "bag")[0]["status"] == "PendingManualApproval"

    browser = Browser(tmp_path / "profile", width=390)
    try:
        browser.open(link)
        browser.screenshot(tmp_path / "review.png")
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390, "nobody scrolls sideways"
        overflowing = (
            "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 391).length"
        )
        assert browser.evaluate(overflowing) == 0
        heights = "[...document.querySelectorAll('button')].map(e => e.getBoundingClientRect().height)"
        assert all(height >= 44 for height in browser.evaluate(heights))
        words = browser.evaluate("document.body.innerText")
        for part in (f"{family}/bag 1.0.0", "at least 1,000,000 are asked for", "Labels of bag", "Calibration"):
            assert part in words
        browser.type("input[name=name]", "Ann <b>Lee</b>")
        browser.type("textarea[name=why]", "few rows, but the right ones")
        browser.click("button.approve")
        browser.wait("!document.querySelector('form')")
        assert "approved by Ann <b>Lee</b> (by link): few rows" in browser.evaluate("document.body.innerText")
        browser.open(link)
        assert "approved by Ann" in browser.evaluate("document.body.innerText")
        assert not browser.evaluate("!!document.querySelector('form')")
    finally:
        browser.close()

    ended = stack.wait(run)
    assert (ended.status, ended.output["status"]) == ("SUCCEEDED", "succeeded")
    (version,) = stack.versions(family, "bag")
    assert (version["status"], version["is_approved"]) == ("Approved", True)
    (decision,) = decisions_of(version)
    assert (decision.outcome, decision.identity) == ("approved", "link")
    package = stack.session.client("sagemaker").describe_model_package(ModelPackageName=version["package_arn"])
    assert package["ApprovalDescription"] == decision.sentence
    assert stack.disagreements(family, "bag") == []
    status, page = fetch(post, {"token": token, "decision": "reject", "name": "Ben", "why": "no"})
    assert status == 409 and "approved by Ann" in page
    report = wait_for(lambda: stack.session.read_json(f"reports/{run}/report.json"), 30)
    assert next(model for model in report["models"] if model["model"] == "bag")["decision"] == decision.sentence
    logs = stack.session.client("logs").filter_log_events(logGroupName="/aws/apigateway/boxcar-reviews")["events"]
    assert logs and not any(token in event["message"] for event in logs)
    assert asked(stack, run) == link, "one mail, whatever died"


def stopped_while_asked(stack: Deployed, family: str) -> tuple[str, str]:
    """A run that was stopped while it waited for a person, and the link of its mail."""
    run = start(stack, family)
    link = asked(stack, run)
    stack.session.client("stepfunctions").stop_execution(executionArn=stack.execution_arn(run))
    stack.wait(run)
    return run, link


def approved_by(link: str) -> tuple[int, str]:
    """What the page of a link answers to whoever approves by it."""
    form = {"token": link.partition("token=")[2], "decision": "approve", "name": "Ann", "why": "x"}
    return fetch(link.partition("?")[0], form)


def test_a_stopped_run_is_said_and_the_command_decides_all_the_same(stack: Deployed) -> None:
    family = stack.small_family("mailer", models__mailer__gate=UNSURE)
    _, link = stopped_while_asked(stack, family)
    status, page = approved_by(link)
    assert status == 409 and "was stopped" in page
    assert stack.versions(family, "mailer")[0]["status"] == "PendingManualApproval"

    assert "1.0.0 is Approved; 1.0.0 predicts" in command(stack, "models", "approve", f"{family}/mailer", "--why", "ok")
    assert "is approved already" in command(stack, "models", "reject", f"{family}/mailer", "1.0.0", "--why", "no")
    (version,) = stack.versions(family, "mailer")
    assert decisions_of(version)[0].identity.startswith("arn:aws:iam:") and version["is_approved"]

    again = start(stack, family)
    asked(stack, again)
    assert "1.0.1 is Approved; 1.0.1 predicts" in command(stack, "models", "approve", f"{family}/mailer", "--why", "ok")
    assert stack.wait(again).output["status"] == "succeeded"
    assert "1.0.0 is Approved; 1.0.0 predicts" in command(
        stack, "models", "rollback", f"{family}/mailer", "--why", "no"
    )
    newest, first = stack.versions(family, "mailer")
    assert (newest["status"], first["is_approved"]) == ("Rejected", True)
    assert stack.disagreements(family, "mailer") == []


def test_the_restart_of_a_run_that_was_stopped_while_it_waited_asks_with_a_link_of_its_own(stack: Deployed) -> None:
    family = stack.small_family("mailer", models__mailer__gate=UNSURE)
    run, old = stopped_while_asked(stack, family)
    again = command(stack, "runs", "restart", run).splitlines()[0]
    new = asked(stack, again)
    for link, expected in ((old, 410), (new, 200)):
        status, page = approved_by(link)
        assert status == expected and ("This link was replaced" in page) == (link == old)
    assert stack.wait(again).output["status"] == "succeeded"
    assert [(one["version"], one["is_approved"]) for one in stack.versions(family, "mailer")] == [("1.0.0", True)]


def test_what_the_gate_approved_against_another_version_than_the_approved_one_is_left_to_a_person(
    stack: Deployed,
) -> None:
    family = stack.small_family("mailer", cached=True)
    for _ in range(2):
        assert stack.wait(start(stack, family)).output["status"] == "succeeded"
    stack.cloud.add_fault(
        service="sagemaker", action="CreateModelPackage", caller="boxcar-RegisterVersion*", error="ThrottlingException"
    )
    run = start(stack, family)
    wait_for(lambda: stack.cloud.faults()["fired"], 120, why="Register was not reached")
    assert "1.0.0 predicts" in command(stack, "models", "rollback", f"{family}/mailer", "--why", "returns went up")
    stack.cloud.forget_faults()
    link = asked(stack, run)
    status, page = fetch(link)
    assert status == 200 and "The figures compare with 1.0.1, but 1.0.0 is the approved version by now" in page
    said = command(stack, "models", "approve", f"{family}/mailer", "--why", "it is better all the same")
    assert "1.0.2 was compared with 1.0.1, and 1.0.0 was the approved version" in said and "1.0.2 predicts" in said
    assert stack.wait(run).output["status"] == "succeeded"
    report = wait_for(lambda: stack.session.read_json(f"reports/{run}/report.json"), 30)
    (model,) = report["models"]
    assert model["status"] == "approved" and model["reasons"][0].startswith("compared with version 1.0.1, but 1.0.0")
    assert stack.disagreements(family, "mailer") == []
