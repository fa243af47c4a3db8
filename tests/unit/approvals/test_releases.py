"""Releases that wait for a person: one question an endpoint, one answer a release, whatever dies or comes twice."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from boxcar.api.calls import Call
from boxcar.approvals.asking import page_link
from boxcar.approvals.calls import DecisionCalls
from boxcar.approvals.deciding import NotOpen
from boxcar.approvals.pages import ReviewPages
from boxcar.approvals.releases import ReleaseAsker, question_of
from boxcar.approvals.reviews import Review
from boxcar.approvals.routes import OF_RELEASES
from boxcar.errors import NotPossible
from boxcar.reports.review_page import gather
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.spec import Serving
from boxcar.versions import Version
from tests.unit.approvals.conftest import NOW, URL, FakeStates, World
from tests.unit.approvals.test_web import click
from tests.unit.judging.conftest import FAMILY, MODEL, Stack
from tests.unit.judging.mortal import KilledError, mortal
from tests.unit.slack.conftest import SlackServer, slack_server  # noqa: F401 - a fixture

HOURS = 4


def execution(run: str) -> str:
    return f"arn:aws:states:eu-west-1:1:execution:boxcar-release:{run}"


@dataclass
class Releases:
    """A world in which releases ask."""

    world: World
    told: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, run: str, version: str = "1.0.0", token: str = "", attempt: int = 0, **plan: Any) -> str:
        """Ask about a release, as its machine does. Returns what became of it."""
        world, token = self.world, token or f"task-{run}"
        world.states.statuses.setdefault(execution(run), "RUNNING")
        world.states.waiting.add(token)
        made = ReleasePlan(
            run=run, family=FAMILY, owner="science", model=MODEL, version=version, endpoint="boxcar-packaging-mailer",
            serving=Serving(approval=True, instance="ml.c5.xlarge", min=2), source="api", requested_by=run,
            deploy_timeout_s=4500, review_hours=HOURS, usd_per_hour=0.34, **plan,
        )  # fmt: skip
        link = lambda token: page_link(URL, token)  # noqa: E731
        asker = ReleaseAsker(world.reviews, world.decisions, world.states, self.told.append, link, world.now)
        question = question_of(made, execution(run), token, attempt)
        return asker.ask(question, {"machine": "release", "owner": "science"})

    @property
    def review(self) -> Review:
        found = self.world.reviews.of_release(FAMILY, MODEL)
        assert found
        return found

    def token(self, number: int = -1) -> str:
        return parse_qs(urlsplit(self.told[number]["link"]).query)["token"][0]

    def answer(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.world.states.answers[f"task-{run}"]
        return found


@pytest.fixture
def releases(stack: Stack) -> Releases:
    """1.0.0 and 1.0.1 are approved; nobody has been asked about a release."""
    stack.judged("run-1")
    stack.judged("run-2")
    return Releases(World(stack, FakeStates()))


def test_who_is_asked_is_told_what_would_serve_where_in_whose_place_and_at_what_cost(releases: Releases) -> None:
    assert releases.ask("r1", "1.0.1", instead_of="1.0.0") == "asked"
    (told,) = releases.told
    assert told["kind"] == "release_review" and told["until"] == NOW + HOURS * 3600
    assert (told["endpoint"], told["instead_of"], told["least"]) == ("boxcar-packaging-mailer", "1.0.0", 2)
    assert told["score"] == 0.9 and told["usd_per_hour"] == 0.34
    assert releases.token() not in str(releases.world.stack.world["dynamodb"].items), "only its digest is stored"
    stack = releases.world.stack
    pages = ReviewPages(
        releases.world.decider, lambda *which: gather(*which, table=stack.table, s3=stack.clients["s3"]), lambda: NOW
    )
    shown = pages.show(Call("GET", "/review", query={"token": [releases.token()]}))
    assert shown["statusCode"] == 200 and releases.review.state == "open", "looking changes nothing"
    for part in ("boxcar-packaging-mailer", "in place of 1.0.0", "2 × ml.c5.xlarge", "0.34 USD an hour", "roc_auc"):
        assert part in shown["body"]


@pytest.mark.parametrize("outcome", ["approved", "rejected"])
def test_the_release_hears_what_was_decided_and_the_version_stays_as_it_is(releases: Releases, outcome: str) -> None:
    releases.ask("r1", "1.0.1")
    releases.world.decider.by_link(releases.token(), releases.world.decision(outcome))
    assert releases.answer("r1")["outcome"] == outcome and releases.answer("r1")["by"] == "Ann (by link)"
    assert releases.world.status() == "Approved" and releases.world.disagreements() == []
    with pytest.raises(NotOpen, match=f"on boxcar-packaging-mailer has been decided: {outcome} by Ann"):
        releases.world.decider.by_link(releases.token(), releases.world.decision("rejected", by="Ben"))
    assert releases.ask("r1", "1.0.1", token="task-again", attempt=1) == "answered", "a retry hears it, too"
    assert releases.world.states.answers["task-again"]["outcome"] == outcome and len(releases.told) == 1


def test_a_link_that_ran_out_a_stopped_run_and_a_tampered_token_change_nothing(releases: Releases) -> None:
    releases.ask("r1")
    with pytest.raises(NotOpen, match="not one of ours"):
        releases.world.decider.by_link(releases.token() + "x", releases.world.decision())
    releases.world.clock[0] += HOURS * 3600
    with pytest.raises(NotOpen, match=r"what serves goes on serving.*boxcar endpoints release .*@1\.0\.0` asks anew"):
        releases.world.decider.by_link(releases.token(), releases.world.decision())
    assert releases.ask("r2") == "asked", "a link that ran out holds up nobody"
    releases.world.states.statuses[execution("r2")] = "ABORTED"
    with pytest.raises(NotOpen, match="r2 was stopped"):
        releases.world.decider.by_link(releases.token(), releases.world.decision())
    assert list(releases.world.states.answers) == ["task-r1"] and releases.review.decision is None
    assert releases.answer("r1")["outcome"] == "replaced"


def test_a_newer_release_takes_the_place_of_one_that_waits_and_its_link_is_void(releases: Releases) -> None:
    releases.ask("r1", "1.0.0")
    releases.ask("r2", "1.0.1")
    assert releases.answer("r1") == {
        "outcome": "replaced", "version": "1.0.0", "why": "run r2 asks about 1.0.1, in its place",
    }  # fmt: skip
    with pytest.raises(NotOpen, match="replaced by that of a newer mail"):
        releases.world.decider.by_link(releases.token(0), releases.world.decision())
    releases.world.decider.by_link(releases.token(1), releases.world.decision())
    assert releases.answer("r2")["outcome"] == "approved"
    assert [(past.version, past.run, past.state) for past in releases.review.earlier] == [("1.0.0", "r1", "replaced")]
    assert releases.ask("r1", "1.0.0", token="task-late", attempt=1) == "answered", "it does not take its place back"
    assert releases.world.states.answers["task-late"]["outcome"] == "replaced" and len(releases.told) == 2


def test_an_event_that_came_twice_makes_one_mail(releases: Releases) -> None:
    releases.ask("r1")
    assert releases.ask("r2") == "answered" and len(releases.told) == 1
    assert releases.answer("r2") == {
        "outcome": "asked", "version": "1.0.0", "why": "run r1 asks about the same already",
    }  # fmt: skip
    releases.world.states.statuses[execution("r1")] = "ABORTED"
    assert releases.ask("r3") == "asked", "whoever asked before is gone"


def test_a_version_that_was_rejected_meanwhile_is_not_released(releases: Releases) -> None:
    world = releases.world
    releases.ask("r1", "1.0.1")
    world.decisions.roll_back(FAMILY, MODEL, Version(1, 0, 0), world.decision(by="Ben"))
    with pytest.raises(NotPossible, match="cannot be released: the version is rejected by now"):
        world.decider.by_link(releases.token(), world.decision())
    world.decider.by_link(releases.token(), world.decision("rejected"))
    assert releases.answer("r1")["outcome"] == "rejected"


class Attempt:
    """Two releases, of which the first has asked, and somebody who dies at one call to AWS."""

    def __init__(self, stack: Stack, call: int, after: bool) -> None:
        self.releases = Releases(World(stack, FakeStates()))
        self.first, self.second, self.said = f"a{call}", f"b{call}", f"call {call}"
        self.unharmed = False
        self._mortal = partial(mortal, stack, call, after)
        self.releases.ask(self.first, "1.0.0")

    def die(self, act: Callable[[World], object]) -> None:
        """Act; perhaps not to the end."""
        dying, countdown = self._mortal()
        with suppress(KilledError):
            act(self.releases.world.seen_through(dying))
            self.unharmed = countdown[0] > 0


def attempts(stack: Stack, after: bool) -> Iterator[Attempt]:
    """One for each call at which somebody can die, until nobody does."""
    for run in ("run-1", "run-2"):
        stack.judged(run)
    for call in range(1, 40):
        attempt = Attempt(stack, call, after)
        yield attempt
        if attempt.unharmed:
            return
    pytest.fail("more calls were made than were tried")


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_one_of_two_releases_is_asked_about_and_the_other_ends(stack: Stack, after: bool) -> None:
    for attempt in attempts(stack, after):
        releases, second = attempt.releases, attempt.second
        attempt.die(lambda world, releases=releases, second=second: replace(releases, world=world).ask(second, "1.0.1"))
        releases.ask(second, "1.0.1", token=f"retry-{second}", attempt=1)
        assert releases.answer(attempt.first)["outcome"] == "replaced", f"{attempt.said}: it would wait for nobody"
        assert len({told["link"] for told in releases.told}) == 2, f"{attempt.said}: one link for each question"
        releases.world.decider.by_link(releases.token(), releases.world.decision())
        assert releases.world.states.answers[f"retry-{second}"]["outcome"] == "approved"


@pytest.mark.parametrize("after", [False, True])
def test_a_decision_over_which_somebody_died_is_finished_by_the_next_release(stack: Stack, after: bool) -> None:
    for attempt in attempts(stack, after):
        releases = attempt.releases
        token, decision = releases.token(), releases.world.decision()
        attempt.die(lambda world, token=token, decision=decision: world.decider.by_link(token, decision))
        written = releases.review.decision is not None
        releases.ask(attempt.second, "1.0.1")
        assert releases.answer(attempt.first)["outcome"] == ("approved" if written else "replaced"), attempt.said
        assert releases.review.earlier[-1].decision == (decision if written else None)


def test_a_click_in_slack_decides_about_a_release(releases: Releases, slack_server: SlackServer) -> None:  # noqa: F811
    releases.ask("r1", "1.0.1")
    releases.world.told.extend(releases.told)
    click(releases.world, slack_server, "reject", "not on a Friday")
    assert releases.answer("r1")["outcome"] == "rejected"
    (said,) = slack_server.messages
    assert said["text"] == (
        f"{FAMILY}/{MODEL} 1.0.1 on boxcar-packaging-mailer: rejected by ann (Slack U1): not on a Friday"
    )


def test_the_command_decides_about_the_release_that_waits(releases: Releases) -> None:
    calls = DecisionCalls(releases.world.decider, releases.world.now)

    def decide(**body: str) -> dict[str, Any]:
        event = {
            "httpMethod": "POST", "resource": OF_RELEASES, "pathParameters": {"family": FAMILY, "model": MODEL},
            "requestContext": {"identity": {"userArn": "arn:aws:sts::1:assumed-role/science/ann"}},
            "body": json.dumps({"decision": "approve", "why": "ok", **body}),
        }  # fmt: skip
        answer = calls.answer(event, "ref")
        return {"status": answer["statusCode"], **json.loads(answer["body"])}

    assert decide()["status"] == 409, "nobody asks"
    releases.ask("r1", "1.0.1")
    assert decide(decision="rollback")["errors"][0]["field"] == "decision"
    assert "is of 1.0.1, not of 1.0.0" in decide(version="1.0.0")["detail"]
    told = decide(version="1.0.1")
    assert (told["status"], told["run"], told["decision"]["by"]) == (200, "r1", "ann")
    assert releases.answer("r1")["identity"].startswith("arn:aws:sts:")
