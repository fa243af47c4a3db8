"""A release that asks a person first: by the link, Slack and the command; and what becomes of those that wait."""

import re

from local.client import wait_for
from tests.e2e.deployed import Deployed
from tests.e2e.served import Served, served_by
from tests.e2e.test_reviews import command, fetch

LINK = re.compile(r"https?://\S+/review\?token=\S+")


def questions(served: Served) -> list[str]:
    """Links of the mails that ask about releases of a model, oldest first."""
    mails = [mail for mail in served.stack.cloud.mails() if f"{served.family}/mailer" in mail.subject]
    return [link for mail in mails if "needs a decision" in mail.subject for link in LINK.findall(mail.text)]


def test_a_release_asks_a_person_first_and_ends_well_without_anything_made_when_that_says_no(
    empty_stack: Deployed,
) -> None:
    served = served_by(empty_stack, approval=True)
    first = served.start(served.version("1.0.0"))
    (link,) = wait_for(lambda: questions(served), 120, why="nobody was asked")
    post, token = link.partition("?")[0], link.partition("token=")[2]
    status, page = fetch(link)
    assert status == 200 and served.name in page and "ml.m5.large" in page
    assert fetch(post, {"token": token + "x", "decision": "approve", "name": "Eve", "why": "x"})[0] == 404
    form = {"token": token, "decision": "reject", "name": "Ann", "why": "not on a Friday"}
    assert fetch(post, form)[0] == 200
    ended = served.stack.wait(first)
    assert (ended.status, ended.output["status"]) == ("SUCCEEDED", "rejected"), ended
    assert (ended.output["by"], ended.output["why"]) == ("Ann (by link)", "not on a Friday")
    assert not any(served.things().values()), "something was made"
    status, page = fetch(post, {**form, "decision": "approve", "name": "Ben"})
    assert status == 409 and "rejected by Ann" in page, "a second click"

    older = served.start("1.0.0")
    wait_for(lambda: len(questions(served)) == 2, 120, why="nobody was asked again")
    newer = served.start(served.version("1.0.1"))
    wait_for(lambda: len(questions(served)) == 3, 120, why="nobody was asked about the newer one")
    assert served.stack.wait(older).output["status"] == "replaced"
    assert fetch(questions(served)[1])[0] == 404, "the older release's link is void"
    assert "approved by" in command(served.stack, "endpoints", "approve", f"{served.family}/mailer", "--why", "go")
    assert served.stack.wait(newer).output["status"] == "released"
    assert served.answer() == "hello from 1.0.1"
    shown = command(served.stack, "endpoints", "show", f"{served.family}/mailer")
    assert "rejected by Ann (by link): not on a Friday" in shown and ": go" in shown
