"""A version that waits for a decision, the run that waits with it, and everybody who may decide."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from boxcar.approvals.asking import Asker, Question, page_link
from boxcar.approvals.deciding import Decider
from boxcar.approvals.reviews import Reviews
from boxcar.plans import Gate
from boxcar.registry.decisions import Decision, Decisions
from boxcar.registry.differences import differences
from boxcar.versions import Version
from tests.unit.judging.conftest import FAMILY, MODEL, MODELS, Stack, model_plan
from tests.unit.judging.memory import MemoryDynamoDB, MemoryRegistry, MemoryS3, refusal

URL = "https://reviews.test/v1"
NOW = 1_767_603_600.0
HOURS = 72
UNSURE = model_plan(gate=Gate(max_calibration_error=0.05))  # which the evaluation does not tell


class FakeStates:
    """Executions and the task tokens that wait in them."""

    class exceptions:  # noqa: N801 - as boto3 names it
        ClientError = type(refusal("", ""))

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self.waiting: set[str] = set()
        self.answers: dict[str, dict[str, Any]] = {}

    def describe_execution(self, *, executionArn: str) -> dict[str, str]:  # noqa: N803
        if executionArn not in self.statuses:
            raise refusal("ExecutionDoesNotExist", "DescribeExecution")
        return {"status": self.statuses[executionArn]}

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        if taskToken not in self.waiting:
            raise refusal("TaskTimedOut", "SendTaskSuccess")
        self.waiting.discard(taskToken)
        self.answers[taskToken] = json.loads(output)


@dataclass
class World:
    """The stack and those around it. `stack` may be one whose clients die."""

    stack: Stack
    states: Any
    told: list[dict[str, Any]] = field(default_factory=list)
    clock: list[float] = field(default_factory=lambda: [NOW])

    def now(self) -> float:
        return self.clock[0]

    @property
    def reviews(self) -> Reviews:
        return Reviews(self.stack.clients["dynamodb"], MODELS)

    @property
    def decisions(self) -> Decisions:
        return Decisions(self.stack.table, self.stack.packages)

    @property
    def decider(self) -> Decider:
        return Decider(self.reviews, self.decisions, self.states, self.now)

    def seen_through(self, stack: Stack, states: Any = None) -> "World":
        return replace(self, stack=stack, states=states or self.states)

    def review(
        self,
        run: str,
        task_token: str = "task-1",
        attempt: int = 0,
        tell: Callable[..., None] | None = None,
        restart_of: str = "",
    ) -> str:
        """Ask about the version of a run, as the state machine does. Returns what became of it.

        A restart asks about the version of the run that it goes on from."""
        arn = f"arn:aws:states:eu-west-1:1:execution:boxcar-training:{run}"
        self.states.statuses.setdefault(arn, "RUNNING")
        self.states.waiting.add(task_token)
        held = self.stack.table.reserve(FAMILY, MODEL, restart_of or run, "", "")
        question = Question(run, arn, FAMILY, MODEL, held.version, task_token, attempt, HOURS)
        link = lambda token: page_link(URL, token)  # noqa: E731
        return Asker(self.reviews, self.decisions, self.states, tell or self.told.append, link, self.now).ask(
            question, {"machine": "training", "owner": "science"}
        )

    def token(self, number: int = -1) -> str:
        """What the link of a mail holds."""
        return parse_qs(urlsplit(self.told[number]["link"]).query)["token"][0]

    def decision(
        self, outcome: str = "approved", why: str = "the shift is real", by: str = "Ann (by link)"
    ) -> Decision:
        return Decision(outcome=outcome, by=by, identity="link", why=why, at=f"at {self.now()}")

    def stop(self, run: str = "run-2") -> None:
        self.states.statuses[f"arn:aws:states:eu-west-1:1:execution:boxcar-training:{run}"] = "ABORTED"
        self.states.waiting.clear()

    def status(self, version: str = "1.0.1") -> str:
        return str(self.stack.table.version(FAMILY, MODEL, Version.parse(version))["status"])

    def predicts(self) -> str:
        return str(self.stack.table.approved(FAMILY, MODEL)["version"])

    def disagreements(self, family: str = FAMILY) -> list[str]:
        stack = self.stack
        return differences(family, MODEL, stack.table, stack.packages, stack.world["s3"])


@pytest.fixture
def stack() -> Stack:
    """In memory: calls are killed one by one here. moto's registry forgets, at an update, what that does not name."""
    clients = {"s3": MemoryS3(), "dynamodb": MemoryDynamoDB(), "sagemaker": MemoryRegistry()}
    return Stack(clients, clients)


@pytest.fixture
def world(stack: Stack) -> World:
    """1.0.0 predicts; 1.0.1 of run-2 waits, and somebody has been asked."""
    world = World(stack, FakeStates())
    stack.judged("run-1")
    stack.judged("run-2", UNSURE)
    world.review("run-2")
    return world
