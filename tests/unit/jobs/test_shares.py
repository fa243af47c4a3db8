"""Who goes next in a full pool: fair between owners, within a priority."""

from dataclasses import replace

import pytest

from boxcar.jobs import leases
from boxcar.jobs.stop import stop
from tests.unit.jobs.conftest import SETTINGS, World, make_step
from tests.unit.jobs.fakes import Ending

POOL = "training/ml.m5.large"


@pytest.fixture(autouse=True)
def one_at_a_time(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={POOL: 1})


def _order(world: World) -> list[str]:
    """Names by which the owners asked, in the order of their start."""
    return ["-".join(name.split("-")[1:3]) for name in world.sagemaker.jobs]


def test_owners_alternate_however_many_jobs_one_of_them_has(world: World) -> None:
    for number in range(20):
        world.submit_own(f"a{number}", make_step("train"), owner="ann")
    for number in range(3):
        world.submit_own(f"b{number}", make_step("train"), owner="bob")
    world.run(hours=24)
    assert [owner for owner, _ in (name.split("-") for name in _order(world)[:7])].count("bob") == 3


def test_who_comes_later_has_no_turns_saved_up_and_none_to_make_up_for(world: World) -> None:
    for number in range(12):
        world.submit_own(f"a{number}", make_step("train"), owner="ann")
    world.launch()
    while len(world.sagemaker.jobs) < 6:
        world.step()
    for number in range(4):
        world.submit_own(f"b{number}", make_step("train"), owner="bob")
    world.run(hours=24)
    later = [name.split("-")[0] for name in _order(world)[6:]]
    assert later[:8].count("bob") == 4 and later[:8].count("ann") == 4


def test_a_share_of_two_gets_two_turns_for_one(world: World) -> None:
    world.settings = replace(world.settings, owner_shares={"ann": 2.0})
    for number in range(12):
        world.submit_own(f"a{number}", make_step("train"), owner="ann")
        world.submit_own(f"b{number}", make_step("train"), owner="bob")
    world.run(hours=24)
    assert [name.split("-")[0] for name in _order(world)[:9]].count("ann") == 6


def test_an_urgent_job_goes_before_everybodys_turn(world: World) -> None:
    for number in range(5):
        world.submit_own(f"a{number}", make_step("train"), owner="ann")
    world.launch()
    world.submit_own("urgent", make_step("train", priority=0), owner="ann")
    world.run(hours=24)
    assert _order(world)[1] == "ann-urgent"


def test_a_retry_does_not_go_to_the_end_of_the_line(world: World) -> None:
    world.sagemaker.endings["a0"] = [Ending("Failed", "CapacityError: none"), Ending()]
    for number in range(5):
        world.submit_own(f"a{number}", make_step("train"), owner="ann")
    world.run(hours=24)
    assert _order(world)[:3] in (["ann-a0", "ann-a1", "ann-a0"], ["ann-a0", "ann-a0", "ann-a1"])


def test_who_stops_a_sweep_is_not_behind_it_with_the_next(world: World) -> None:
    wrong = [world.submit_own(f"wrong{number}", make_step("train"), owner="ann") for number in range(50)]
    for number in range(10):
        world.submit_own(f"b{number}", make_step("train"), owner="bob")
    world.launch()
    for job in wrong[1:]:
        stop(world.table, job.id, "ann", world.clock(), 86400.0)
    world.submit_own("right", make_step("train"), owner="ann")
    world.run(hours=24)
    assert _order(world).index("ann-right") <= 3


def test_turns_of_owners_who_left_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "MOST_OWNERS", 20)
    for number in range(30):
        world.submit_own("one", make_step("train"), owner=f"owner{number}")
    world.run(hours=100)
    for _ in range(8):
        world.launch(everything=True, old=True)
    assert len(world.table.lease(POOL).owners) <= 20


def test_a_hundred_jobs_at_once_are_in_the_order_of_the_file_and_cost_a_call_each(world: World) -> None:
    from boxcar.jobs.submit import JobRequest

    requests = [JobRequest(job=f"j{number}", step=make_step("train"), owner="ann") for number in range(30)]
    world.submitter().submit_jobs(requests)
    counted = world.calls.count()
    assert counted["dynamodb.put_item"] == 30 and sum(counted.values()) <= 34
    world.run(hours=24)
    assert _order(world) == [f"ann-j{number}" for number in range(30)]
    assert [submitted.created for submitted in world.submitter().submit_jobs(requests)] == [False] * 30
