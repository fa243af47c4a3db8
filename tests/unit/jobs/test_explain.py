from dataclasses import replace
from typing import Any

import pytest

from boxcar.jobs.cache import Caching, changes, in_words
from boxcar.jobs.explain import Surroundings, explain
from boxcar.jobs.leases import Lease
from boxcar.jobs.record import Job

NOON = 1767787200.0  # 2026-01-07T12:00:00Z
LARGE, XLARGE = "training/ml.m5.large", "training/ml.m5.xlarge"


def make_job(**fields: Any) -> Job:
    job = Job(
        id="boxcar-ann-depth-6-0123456789", run="ann/depth-6", model="", step="train", kind="training", family="",
        owner="ann", priority=50, document="{}", pools=(LARGE,), units=1, inputs={}, max_runtime_s=3600,
        max_attempts=2, max_wait_s=86400, created=NOON - 600, not_before=NOON - 600, waiting_since=NOON - 600, expires=0,
    )  # fmt: skip
    return replace(job, **fields)


def launched(**fields: Any) -> Job:
    return replace(make_job().launched(LARGE, {}, NOON - 300, 180, 5400), **fields)


def whats(job: Job) -> dict[str, str | None]:
    return {expected.what: expected.at for expected in explain(job, Surroundings(), NOON).next}


def test_nothing_stands_in_its_way() -> None:
    told = explain(make_job(), Surroundings(leases={LARGE: Lease(LARGE)}, ahead=0), NOON)
    assert told.waiting
    assert told.waiting.why == "launcher"
    assert "next pass" in told.text
    assert told.failure is None
    assert told.cache is None


def test_a_hit_says_whose_outputs_it_has_and_a_miss_what_differs() -> None:
    hit = Caching("hit", key="k", job="boxcar-bag-train-0", run="w12", saved_s=35.2)
    job = make_job().taken_up(hit, {"model": "s3://data/m"}, NOON, 0.0)
    told = explain(job, Surroundings(), NOON)
    assert told.cache and told.text == "Completed 2026-01-07 12:00:00 UTC, at once."
    assert told.cache.text == "Taken from run w12 (job boxcar-bag-train-0), where it ran 35 s."

    found = changes({"code": "a", "config.rate": "0.2", "outputs": "x"}, {"code": "b", "config.rate": "0.3"})
    miss = Caching("miss", why=f"since run w12: {in_words(found)}", changes=found)
    told = explain(make_job(caching=miss), Surroundings(), NOON)
    assert told.cache and told.cache.text == (
        "Since run w12: code: other content; config.rate 0.2 → 0.3; outputs is gone."
    )
    assert told.cache.differences[1].model_dump() == {"component": "config.rate", "before": "0.2", "now": "0.3"}


def test_a_backoff_says_until_when_and_why() -> None:
    why = "attempt 1 ended with AlgorithmError: exit 1"
    job = make_job(resting=True, not_before=NOON + 45, waiting_for=why, attempt=1)
    told = explain(job, Surroundings(leases={LARGE: Lease(LARGE)}), NOON)
    assert told.waiting
    assert (told.waiting.why, told.waiting.until) == ("backoff", "2026-01-07T12:00:45.000Z")
    assert why in told.text
    assert told.waiting.ahead is None, "who backs off is not in line"
    assert whats(job)["it is tried again"] == "2026-01-07T12:00:45.000Z"


def test_a_backoff_that_is_over_is_none() -> None:
    job = make_job(resting=True, not_before=NOON - 1)
    told = explain(job, Surroundings(leases={LARGE: Lease(LARGE)}), NOON)
    assert told.waiting
    assert told.waiting.why == "launcher"


def test_a_pool_that_is_full_as_aws_said() -> None:
    lease = Lease(LARGE, held=4, limit=4, until=NOON + 90, refusals=1)
    told = explain(make_job(), Surroundings(leases={LARGE: lease}, ahead=7, whose_turn="ben"), NOON)
    assert told.waiting
    assert (told.waiting.why, told.waiting.until) == ("pool_full", "2026-01-07T12:01:30.000Z")
    (pool,) = told.waiting.pools
    assert (pool.held, pool.limit, pool.known, pool.until, pool.room) == (
        4,
        4,
        "learned",
        "2026-01-07T12:01:30.000Z",
        False,
    )
    assert "4 of 4" in told.text
    assert "7 stand before it" in told.text
    assert "ben" in told.text


def test_a_pool_that_is_full_as_configured() -> None:
    lease = Lease(LARGE, held=2, limit=8, until=NOON + 90)
    told = explain(make_job(), Surroundings({LARGE: lease}, {LARGE: 2}, ahead=0), NOON)
    assert told.waiting
    (pool,) = told.waiting.pools
    assert (pool.limit, pool.known, pool.until) == (2, "configured", None)
    assert told.waiting.until is None
    assert "the first in line" in told.text


def test_a_limit_that_is_forgotten_is_no_limit() -> None:
    lease = Lease(LARGE, held=4, limit=4, until=NOON - 1)
    told = explain(make_job(), Surroundings({LARGE: lease}, ahead=0), NOON)
    assert told.waiting
    assert (told.waiting.why, told.waiting.pools[0].limit) == ("launcher", None)


def test_room_is_for_all_its_machines() -> None:
    lease = Lease(LARGE, held=3, limit=4, until=NOON + 90)
    told = explain(make_job(units=2), Surroundings({LARGE: lease}, ahead=0), NOON)
    assert told.waiting
    assert told.waiting.why == "pool_full"


def test_one_pool_of_several_with_room_is_enough() -> None:
    leases = {LARGE: Lease(LARGE, held=4, limit=4, until=NOON + 90), XLARGE: Lease(XLARGE)}
    told = explain(make_job(pools=(LARGE, XLARGE)), Surroundings(leases, ahead=0), NOON)
    assert told.waiting
    assert told.waiting.why == "launcher"
    assert [pool.room for pool in told.waiting.pools] == [False, True]


def test_owners_take_turns() -> None:
    """Ben's next turn is over; Cleo's and Ann's are to come."""
    owners = {(50, "ann"): 900.0, (50, "ben"): 10.0, (50, "cleo"): 20.0, (10, "dora"): 99.0}
    lease = Lease(LARGE, held=4, limit=4, until=NOON + 90, turns={50: 12.0}, owners=owners)
    told = explain(make_job(turn=880.0), Surroundings({LARGE: lease}, ahead=1000, whose_turn="cleo"), NOON)
    assert told.waiting
    assert told.waiting.owners == 2
    assert "2 owners" in told.text
    assert "1000 or more" in told.text


def test_it_gives_up_in_the_end() -> None:
    assert whats(make_job())["it gives up waiting: Failed, CapacityTimeout (max_wait_s)"] == "2026-01-08T11:50:00.000Z"


def test_a_launch_that_was_not_heard_of() -> None:
    job = launched()
    told = explain(job, Surroundings(), NOON)
    assert "being created" in told.text
    assert told.waiting is None
    assert whats(job)["the next launcher goes on with its launch, if this one died"] == "2026-01-07T11:56:00.000Z"


def test_a_job_that_runs() -> None:
    job = launched().acknowledged("arn:1", NOON + 60).progressed("arn:1", NOON - 200, NOON + 400)
    told = whats(job)
    assert told["the sweep asks AWS about it, if nothing was heard of it by then"] == "2026-01-07T12:06:40.000Z"
    assert told["it is stopped for good: TimeLimitExceeded (max_runtime_s)"] == "2026-01-07T12:56:40.000Z"
    assert told["should its own code fail, it is tried again, 1 more time (max_attempts 2)"] is None
    assert "running on training/ml.m5.large since 2026-01-07 11:56:40 UTC" in explain(job, Surroundings(), NOON).text


def test_the_last_attempt_is_told_as_such() -> None:
    assert "should its own code fail, it has Failed (max_attempts 2)" in whats(launched(failures=1))


def test_a_job_that_is_being_stopped() -> None:
    job = launched().acknowledged("arn:1", NOON + 60).stopping_for("Stopped", NOON + 60)
    assert "being stopped" in explain(job, Surroundings(), NOON).text


@pytest.mark.parametrize(
    ("failure", "reason", "word"),
    [
        ("AlgorithmError", "exit 1", "log"),
        ("CapacityTimeout", "ResourceLimitExceeded", "quota"),
        ("TimeLimitExceeded", "", "max_runtime_s"),
        ("AccessDenied", "User: x is not authorized to perform: y", "role"),
    ],
)
def test_why_it_failed_and_what_to_do(failure: str, reason: str, word: str) -> None:
    job = launched().failed(failure, reason, NOON, 90 * 86400.0)
    told = explain(job, Surroundings(), NOON)
    assert told.failure
    assert (told.failure.failure, told.failure.reason, told.failure.attempts) == (failure, reason, 1)
    assert word in told.failure.action
    assert failure in told.text
    assert whats(job)["nothing by itself; `retry` tries the same again, with attempts anew"] is None
    assert whats(job)["its record moves to the archive"] == "2026-04-07T12:00:00.000Z"


def test_what_a_finished_job_still_owes() -> None:
    job = replace(launched(token="t").failed("ClientError", "no", NOON, 1e6), look=NOON + 60)
    assert whats(job)["the run that waits for it is answered again"] == "2026-01-07T12:01:00.000Z"


def test_a_completed_job_has_nothing_to_explain() -> None:
    running = launched().acknowledged("arn:1", NOON)
    job = running.completed(replace(running.attempts[-1], started=NOON - 250, ended=NOON), NOON, 1e6)
    told = explain(job, Surroundings(), NOON)
    assert told.text == "Completed 2026-01-07 12:00:00 UTC, after 4 min in attempt 1."
    assert told.failure is told.waiting is None
