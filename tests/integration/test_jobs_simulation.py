"""Eighty jobs in virtual time with every fault of `make bench NAME=jobs`: none lost, none doubled, all told."""

from pathlib import Path

from tests.bench.jobs import part

JOBS = 80


def test_nothing_is_lost_whatever_goes_wrong(deployed_once: Path):
    found = part("three-days", deployed_once, JOBS)
    assert found["kills"] == 10, found["printed"]
    assert (found["lost"], found["doubled"], found["stuck"], found["digests_wrong"]) == (0, 0, 0, 0), found["printed"]
    assert found["mails"] < 3 * JOBS
    # few machines and few jobs: the proof's own figures are those of ten thousand
    assert found["capacity_used"] > 0.7, found["printed"]


def test_a_pass_costs_the_same_whatever_has_finished(deployed_once: Path):
    found = part("passes", deployed_once, 3000)
    assert found["pass_calls_1000"] == found["pass_calls_1000000"] <= 6, found["printed"]
