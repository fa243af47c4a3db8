"""Retry and Catch: delays, counters, and which errors match which names."""

from typing import Any

import pytest

from local.stepfunctions.definition import Retrier
from local.stepfunctions.errors import StateFailure, TimedOut
from local.stepfunctions.recovery import Retries, backoff
from tests.conformance.machinery import Engine, FunctionError, lambda_task, machine

MATCHES = [
    ("Custom", ("Custom",), True),
    ("Custom", ("States.TaskFailed",), True),
    ("Custom", ("States.ALL",), True),
    ("Custom", ("Other",), False),
    ("States.Timeout", ("States.TaskFailed",), False),
    ("States.Timeout", ("States.ALL",), True),
    ("States.Runtime", ("States.ALL",), False),
    ("States.Runtime", ("States.Runtime",), True),
    ("States.DataLimitExceeded", ("States.ALL",), False),
    ("States.DataLimitExceeded", ("States.TaskFailed",), False),
    ("States.QueryEvaluationError", ("States.ALL",), True),
]


@pytest.mark.parametrize(("error", "names", "matched"), MATCHES)
def test_error_equals(error: str, names: tuple[str, ...], matched: bool) -> None:
    assert StateFailure(error).matches(names) is matched


def test_a_missed_heartbeat_has_two_names() -> None:
    assert TimedOut(heartbeat=True).matches(("States.HeartbeatTimeout",))
    assert TimedOut(heartbeat=True).matches(("States.Timeout",))
    assert not TimedOut().matches(("States.HeartbeatTimeout",))


def test_delays_grow_up_to_their_limit() -> None:
    retrier = Retrier(("E",), interval=2, attempts=5, backoff=3.0, max_delay=10)
    assert [backoff(retrier, used) for used in range(4)] == [2, 6, 10, 10]
    assert backoff(Retrier(("E",), backoff=1000.0), 10**6) < 10**8


def test_jitter_stays_below_the_delay() -> None:
    delays = [Retries((Retrier(("E",), interval=4, jitter=True),)).delay(StateFailure("E")) for _ in range(50)]
    assert all(0 <= delay <= 4 for delay in delays if delay is not None)
    assert min(delays) < 3 < 4.1  # type: ignore[type-var]


def test_every_retrier_counts_for_itself() -> None:
    retries = Retries((Retrier(("A",), attempts=1), Retrier(("B", "C"), attempts=2)))
    said = [retries.delay(StateFailure(name)) is not None for name in ("B", "A", "C", "A", "B")]
    assert said == [True, True, True, False, False]


def test_no_attempts_means_no_retry() -> None:
    assert Retries((Retrier(("A",), attempts=0), Retrier(("States.ALL",)))).delay(StateFailure("A")) is None


def test_the_time_of_retries_is_virtual() -> None:
    with Engine() as engine:
        times: list[float] = []

        def broken(payload: Any) -> Any:
            times.append(engine.clock.time())
            raise FunctionError("E")

        engine.aws.functions["broken"] = broken
        engine.run(
            machine(
                {
                    "T": lambda_task(
                        "broken",
                        Retry=[{"ErrorEquals": ["E"], "IntervalSeconds": 60, "MaxAttempts": 3, "BackoffRate": 2}],
                    )
                }
            )
        )
        assert [round(time - times[0]) for time in times] == [0, 60, 180, 420]


def test_the_retry_count_is_in_the_context() -> None:
    with Engine() as engine:
        seen: list[Any] = []

        def broken(payload: Any) -> Any:
            seen.append(payload)
            if len(seen) < 3:
                raise FunctionError("E")
            return "ok"

        engine.aws.functions["broken"] = broken
        engine.run(
            machine(
                {"T": lambda_task("broken", "{% $states.context.State.RetryCount %}", Retry=[{"ErrorEquals": ["E"]}])}
            )
        )
        assert seen == [0, 1, 2]


def test_runtime_errors_pass_states_all_by() -> None:
    with Engine() as engine:
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Arguments": {"Queue": 1},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Z"}],
            "End": True,
        }
        ended = engine.run(machine({"T": task, "Z": {"Type": "Succeed"}}))
        assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
        assert "Queue" in ended["cause"]
