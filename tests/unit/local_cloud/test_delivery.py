"""Deliveries to targets: what is retried, what goes to the dead letters, as whom."""

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import ministack_seam
from local.delivery import Deliverer, Delivery

QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue.fifo"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
ROLE = "arn:aws:iam::000000000000:role/scheduler"
RULE = "arn:aws:events:us-east-1:000000000000:rule/r"


class Clock:
    """Waits nothing and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def time(self) -> float:
        return 1000.0 + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def hold(self) -> Any:
        return contextlib.nullcontext()


class Cloud:
    """Clients whose calls fail as told, then succeed; every call is kept."""

    region, account, endpoint, state = "us-east-1", "000000000000", "http://127.0.0.1:1", Path()

    def __init__(self, *failures: str) -> None:
        self.clock = Clock()
        self.failures = list(failures)
        self.calls: list[tuple[str, str | None, str, dict[str, Any]]] = []
        self.called = threading.Event()

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        cloud = self

        class Client:
            def __getattr__(self, action: str) -> Any:
                def call(**arguments: Any) -> None:
                    is_dead_letter = arguments.get("QueueUrl", "").endswith("dead")
                    if cloud.failures and not is_dead_letter:
                        code = cloud.failures.pop(0)
                        raise ClientError({"Error": {"Code": code, "Message": "words"}}, action)
                    cloud.calls.append((service, role_arn, action, arguments))
                    cloud.called.set()

                return call

        return Client()


@pytest.fixture(autouse=True)
def policies(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """ARNs whose own policy lets EventBridge in."""
    allowed = {QUEUE, DEAD}
    monkeypatch.setattr(ministack_seam, "service_may", lambda service, action, arn, *rest: arn in allowed)
    return allowed


def deliver(cloud: Cloud, delivery: Delivery) -> list[tuple[str, str | None, str, dict[str, Any]]]:
    deliverer = Deliverer(cloud)  # type: ignore[arg-type]
    deliverer.submit(delivery)
    deliverer._pool.shutdown(wait=True)
    return cloud.calls


def test_a_rule_sends_to_a_fifo_queue_in_its_group() -> None:
    target = {"Arn": QUEUE, "SqsParameters": {"MessageGroupId": "g"}}
    [(service, role, action, arguments)] = deliver(Cloud(), Delivery(target, "{}", RULE))
    assert (service, role, action) == ("sqs", None, "send_message")
    assert (arguments["MessageGroupId"], arguments["MessageBody"]) == ("g", "{}")


def test_what_may_pass_is_retried_with_backoff() -> None:
    cloud = Cloud("ThrottlingException", "ServiceUnavailable")
    assert len(deliver(cloud, Delivery({"Arn": MACHINE, "RoleArn": ROLE}, "{}", RULE))) == 1
    assert cloud.clock.slept == [1.0, 2.0]


@pytest.mark.parametrize(
    ("failures", "retries", "attempts"),
    [(["AccessDeniedException"], 185, "0"), (["ThrottlingException"] * 9, 2, "2")],
)
def test_what_cannot_be_delivered_is_buried_with_its_reason(failures: list[str], retries: int, attempts: str) -> None:
    target = {
        "Arn": MACHINE,
        "RoleArn": ROLE,
        "DeadLetterConfig": {"Arn": DEAD},
        "RetryPolicy": {"MaximumRetryAttempts": retries},
    }
    [(service, role, _, arguments)] = deliver(Cloud(*failures), Delivery(target, '{"a": 1}', "arn:schedule", "e1"))
    assert (service, role) == ("sqs", ROLE)  # a schedule's dead letters are sent with its role
    told = {name: value["StringValue"] for name, value in arguments["MessageAttributes"].items()}
    assert told["ERROR_CODE"] == failures[0]
    assert told["RETRY_ATTEMPTS"] == attempts
    assert (told["EXECUTION_ID"], told["SCHEDULE_ARN"], told["TARGET_ARN"]) == ("e1", "arn:schedule", MACHINE)
    assert json.loads(arguments["MessageBody"]) == {"a": 1}


def test_without_a_role_the_targets_policy_decides(policies: set[str]) -> None:
    policies.discard(QUEUE)
    target = {"Arn": QUEUE, "DeadLetterConfig": {"Arn": DEAD}}
    [(_, role, _, arguments)] = deliver(Cloud(), Delivery(target, "{}", RULE))
    assert role is None
    assert arguments["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert arguments["MessageAttributes"]["RULE_ARN"]["StringValue"] == RULE


def test_a_dead_letter_queue_that_lets_nobody_in_is_only_logged(policies: set[str], caplog: Any) -> None:
    policies.clear()
    assert deliver(Cloud(), Delivery({"Arn": QUEUE, "DeadLetterConfig": {"Arn": DEAD}}, "{}", RULE)) == []
    assert "its dead-letter queue did not take the event" in caplog.text


def test_a_universal_target_calls_the_api_it_names() -> None:
    target = {"Arn": "arn:aws:scheduler:::aws-sdk:sfn:startExecution", "RoleArn": ROLE}
    call = deliver(Cloud(), Delivery(target, '{"stateMachineArn": "m"}', "arn:schedule", "e1"))
    assert call == [("stepfunctions", ROLE, "start_execution", {"stateMachineArn": "m"})]


def test_whoever_puts_an_event_does_not_wait() -> None:
    cloud = Cloud()
    deliverer = Deliverer(cloud)  # type: ignore[arg-type]
    with cloud_busy(deliverer):
        deliverer.submit(Delivery({"Arn": MACHINE, "RoleArn": ROLE}, "{}", RULE))
        assert cloud.calls == []
    assert cloud.called.wait(30)


@contextlib.contextmanager
def cloud_busy(deliverer: Deliverer) -> Any:
    """Every worker of the deliverer has something else to do."""
    free = threading.Event()
    for _ in range(16):
        deliverer._pool.submit(free.wait)
    yield
    free.set()
