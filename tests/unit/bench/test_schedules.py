"""The ideal schedule, the poller, and the figures of schedules, on cases small enough to be worked out by hand."""

import pytest

from tests.bench.simulation.baselines import POLLER_EACH, POLLER_ONCE, Use, ideal, poller
from tests.bench.simulation.figures import (
    last_waiting,
    launch_latencies,
    machine_seconds,
    percentile,
    read_mail,
    use_while_waiting,
)
from tests.bench.simulation.workload import CAPACITY, COMPLETED, HOUR, Attempt, Mix, Plan, Quotas, jobs, quotas


def plan(name, at, seconds, types=("a",), failed=()):
    attempts = (*(Attempt(CAPACITY, each, 0.0) for each in failed), Attempt(COMPLETED, 0.0, seconds))
    return Plan(name, "ann", "", at, types, 50, seconds, 0.0, attempts)


ONE = Quotas({"a": ((0.0, 1),)})


def test_ideal_runs_one_after_another_without_a_gap():
    plans = [plan("x", 0, 100), plan("y", 10, 50)]
    found = ideal(plans, ONE, {"x": 0, "y": 1})
    assert found.uses == [Use("x", "a", 0, 0, 100), Use("y", "a", 10, 100, 150)]
    assert found.end == 150


def test_ideal_takes_a_fallback_and_follows_quotas():
    limits = Quotas({"a": ((0.0, 0), (500.0, 1)), "b": ((0.0, 1),)})
    plans = [plan("x", 0, 100, ("a", "b")), plan("y", 0, 100, ("a",))]
    found = {use.job: (use.instance_type, use.start) for use in ideal(plans, limits, {"x": 0, "y": 1}).uses}
    assert found == {"x": ("b", 0), "y": ("a", 500)}


def test_ideal_tries_again_at_once():
    found = ideal([plan("x", 0, 100, failed=(30.0,))], ONE, {"x": 0})
    assert [(use.start, use.end) for use in found.uses] == [(0, 30), (30, 130)]


def test_the_poller_acts_once_a_minute():
    found = poller([plan("x", 0, 90), plan("y", 0, 30)], ONE)
    assert [(use.job, use.start, use.end) for use in found.uses] == [("x", 60, 150), ("y", 180, 210)]
    # x is looked at by the ticks of 120 and 180 s, y by that of 240 s
    assert found.calls == {"x": POLLER_ONCE + POLLER_EACH + 2, "y": POLLER_ONCE + POLLER_EACH + 1}


def test_use_counts_only_while_somebody_waits():
    uses = [Use("x", "a", 0, 0, 100), Use("y", "a", 10, 120, 200)]
    # y waits from 10 to 120, and the machine is in use until 100
    assert use_while_waiting(uses, ONE, {"x": ("a",), "y": ("a",)}) == (90, 110)


def test_who_waits_for_either_of_two_waits_for_both():
    limits = Quotas({"a": ((0.0, 1),), "b": ((0.0, 1),)})
    uses = [Use("x", "b", 0, 50, 100)]
    assert use_while_waiting(uses, limits, {"x": ("a", "b")}) == (0, 100)


def test_latency_is_from_the_machine_or_from_the_job_whichever_came_later():
    limits = Quotas({"a": ((0.0, 1), (300.0, 2))})
    uses = [
        Use("x", "a", 0, 5, 100),  # came when the machine was free
        Use("y", "a", 10, 107, 400),  # the machine was free at 100
        Use("z", "a", 20, 311, 420),  # the quota rose at 300
    ]
    assert sorted(launch_latencies(uses, limits)) == [5, 7, 11]


def test_a_lowered_quota_frees_nothing():
    limits = Quotas({"a": ((0.0, 2), (50.0, 1))})
    uses = [Use("x", "a", 0, 0, 100), Use("y", "a", 0, 0, 200), Use("z", "a", 10, 205, 300)]
    assert sorted(launch_latencies(uses, limits)) == [0, 0, 5]


def test_machine_time_and_the_last_that_waited():
    uses = [Use("x", "a", 0, 0, 100), Use("y", "a", 10, 120, 200)]
    assert machine_seconds(uses, 150) == 130
    assert last_waiting(uses) == 120


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.99, 4), (0.25, 1)])
def test_nearest_rank(share, expected):
    assert percentile([4, 1, 3, 2], share) == expected


def test_quotas_over_time():
    limits = Quotas({"a": ((0.0, 4), (100.0, 2))})
    assert [limits.at("a", time) for time in (0, 99, 100)] == [4, 4, 2]
    assert limits.machine_seconds(200) == 600
    assert limits.changes() == [(0.0, "a", 4), (100.0, "a", 2)]


def test_a_workload_is_the_same_each_time_and_what_the_mix_says():
    plans = jobs(4000, 7, Mix())
    assert plans == jobs(4000, 7, Mix())
    assert len({each.name for each in plans}) == 4000
    assert {len(each.types) for each in plans} == {1, 2}
    assert all(300 <= each.seconds <= 8 * HOUR for each in plans)
    attempts = [attempt.outcome for each in plans for attempt in each.attempts]
    assert 0.04 < attempts.count(CAPACITY) / len(attempts) < 0.06
    assert 0.01 < attempts.count("AlgorithmError") / len(attempts) < 0.03
    limits = quotas(plans, 58, 7)
    needed = sum(each.machine_seconds for each in plans)
    assert 0.7 < needed / limits.machine_seconds(58 * HOUR) < 1.4
    assert len(limits.changes()) == 4 + 6


def test_mails_are_read_as_a_reader_would():
    many = "What happened\n\nOutcomes\n  outcome         jobs\n  --------------  ----\n  Completed       12\n\nWhen\n"
    assert read_mail("[Boxcar jobs] sweep s-1 of ann: 12 Completed", many) == ("ann", {"Completed": 12})
    one = read_mail("[Boxcar jobs] train of bob: AlgorithmError (boxcar-x-1)", "What happened\n")
    assert one == ("bob", {"AlgorithmError": 1})
