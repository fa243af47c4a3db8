"""Leases, priorities, and passes that run out of time."""

from dataclasses import replace

import pytest

from boxcar.jobs.items import from_item, to_item
from boxcar.jobs.leases import NoRoom, Room
from boxcar.jobs.table import Conflict
from boxcar.jobs.wakes import Work
from tests.unit.jobs.conftest import SETTINGS, World, make_step
from tests.unit.jobs.fakes import Ending, client_error


def test_a_limit_is_learned_kept_and_forgotten(world: World) -> None:
    world.sagemaker.limits["ml.m5.large"] = 2
    for number in range(6):
        world.submit_own(f"job-{number}", make_step("train"))
    world.launch()
    assert len(world.sagemaker.jobs) == 2 and world.held() == {"training/ml.m5.large": 2}
    assert world.calls.count()["sagemaker.create_training_job"] == 3, "one refusal tells about all six"
    world.launch()
    assert world.calls.count()["sagemaker.create_training_job"] == 3, "and about the next pass"
    world.sagemaker.limits["ml.m5.large"] = 10
    world.clock.time += 30
    world.launch()
    assert len(world.sagemaker.jobs) == 6, "forgotten"
    world.run()
    assert world.held() == {} and world.open_items() == []


def test_freed_capacity_is_used_at_once(world: World) -> None:
    world.sagemaker.limits["ml.m5.large"] = 1
    for number in range(3):
        world.submit_own(f"job-{number}", make_step("train"))
    world.launch()
    for _ in range(2):
        world.clock.time += 66
        world.deliver()
        world.launch()
    assert len(world.sagemaker.jobs) == 3


def test_a_configured_limit_is_never_tried(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 2})
    for number in range(5):
        world.submit_own(f"job-{number}", make_step("train"))
    world.run()
    assert world.sagemaker.busiest == 2 and world.calls.count()["sagemaker.create_training_job"] == 5


def test_instances_count_not_jobs(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 3})
    resources = {"instance_types": ["ml.m5.large"], "instance_count": 2}
    world.submit_own("big-1", make_step("train", resources=resources))
    world.submit_own("big-2", make_step("train", resources=resources))
    world.submit_own("small", make_step("train"))
    world.launch()
    assert world.held() == {"training/ml.m5.large": 2} and len(world.sagemaker.jobs) == 1, "the small one is behind"
    world.run()
    assert len(world.sagemaker.jobs) == 3 and world.held() == {}


def test_priority_then_age(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 1})
    for number, priority in enumerate([50, 90, 50, 5, 50]):
        world.submit_own(f"j{number}", make_step("train", priority=priority))
        world.clock.time += 1
    world.run()
    assert [name.split("-")[2] for name in world.sagemaker.jobs] == ["j3", "j0", "j2", "j4", "j1"]


def test_a_thousand_that_back_off_hide_nobody(world: World) -> None:
    for number in range(300):
        job = world.submit_own(f"later-{number}", make_step("train", priority=10))
        world.table.save(job, replace(job, resting=True, not_before=world.clock() + 3600 + number))
    world.submit_own("now", make_step("train", priority=50))
    world.dynamodb.items_read = 0
    world.launch()
    assert [name.split("-")[2] for name in world.sagemaker.jobs] == ["now"]
    assert world.dynamodb.items_read == 1


def test_a_pass_costs_the_same_with_history(world: World) -> None:
    def cost() -> tuple[int, int]:
        world.calls.log.clear()
        world.dynamodb.items_read = 0
        world.launch()
        return len(world.calls.log), world.dynamodb.items_read

    world.submit_own("first", make_step("train"))
    world.run()
    before = cost()
    for number in range(200):
        world.submit_own(f"done-{number}", make_step("train"))
    world.run()
    assert cost() == before


def test_a_pass_that_runs_out_of_time_says_so(world: World) -> None:
    world.submit_own("one", make_step("train"))
    world.pass_seconds = 10
    assert world.launch().out_of_time and world.sagemaker.jobs == {}
    world.pass_seconds = 100
    assert not world.launch().out_of_time and len(world.sagemaker.jobs) == 1


def test_a_poisonous_item_does_not_block_the_queue(world: World) -> None:
    job = world.submit_own("poison", make_step("train", priority=0))
    item = to_item(job)
    del item["pools"]
    world.dynamodb.put_item(TableName="jobs", Item=item)
    unreadable = world.submit_own("unreadable", make_step("train", priority=1))
    world.table.save(unreadable, replace(unreadable, document="{"))
    world.submit_own("good", make_step("train"))
    world.launch()
    assert [name.split("-")[2] for name in world.sagemaker.jobs] == ["good"]
    failed = world.table.get(unreadable.id)
    assert failed is not None and failed.status == "Failed"


def test_the_table_behaves_the_same_on_moto(moto_world: World) -> None:
    world, pool, now = moto_world, "training/ml.m5.large", moto_world.clock()
    job = world.submit(make_step("train"))
    launched = job.launched(pool, {}, now, 180, 5000)
    taken = world.table.save(job, launched, Room(configured=1, now=now))
    other = world.submit(make_step("train"), run="run-2", token="x")
    with pytest.raises(NoRoom) as full:
        world.table.save(other, other.launched(pool, {}, now, 180, 5000), Room(configured=1, now=now))
    assert full.value.lease.held == 1 and full.value.lease.turns == {50: 0.0}
    with pytest.raises(Conflict):
        world.table.save(job, launched)
    learned = replace(world.table.lease(pool), limit=0, until=now + 60, refusals=2)
    world.table.save(taken, taken.refused(job, None, "no"), learned=learned)
    kept = world.table.lease(pool)
    assert (kept.held, kept.limit, kept.until, kept.refusals) == (0, 0, now + 60, 2)
    with pytest.raises(NoRoom):
        world.table.save(other, other.launched(pool, {}, now, 180, 5000), Room(now=now))
    assert [one.id for one in world.table.waiting(pool, 10)] == [job.id, other.id]
    assert world.table.ahead(other) == 1
    world.table.save(other, other.launched(pool, {}, now + 61, 180, 5000), Room(now=now + 61))
    assert world.table.create(job) is not None
    assert [lease.pool for lease in world.table.leases()] == [pool]


def test_a_busy_lease_is_tried_again(world: World) -> None:
    world.dynamodb.conflicts = 2
    world.submit(make_step("train"))
    world.launch()
    assert len(world.sagemaker.jobs) == 1 and world.held() == {"training/ml.m5.large": 1}


def test_items_and_back(world: World) -> None:
    world.sagemaker.endings["train"] = [Ending("Failed", "AlgorithmError: x"), Ending()]
    world.submit(make_step("train", config={"rate": 0.1, "deep": {"a": [1, None]}}))
    world.run()
    (item,) = world.items()
    assert to_item(from_item(item)) == item


def test_statements_have_a_lease_too(world: World) -> None:
    world.redshift.faults["execute_statement"] = [client_error("ActiveStatementsExceededException")]
    world.submit(make_step("unload", "statement"))
    world.launch()
    assert world.held() == {}
    world.run()
    assert "output" in world.answer()


def test_an_index_that_lags_starts_nothing_twice(world: World) -> None:
    """A global secondary index is eventually consistent: a pass may see yesterday's New and yesterday's leftovers."""
    job = world.submit(make_step("train"))
    (new,) = world.table.waiting("training/ml.m5.large", 10)
    launched = world.table.save(job, job.launched("training/ml.m5.large", {}, world.clock(), 180, 5000))
    world.table.save(launched, launched.acknowledged("arn", world.clock() + 180))
    world.clock.time += 100
    launcher = world.launch()
    launcher._guarded(launcher._consider, new.id, new)
    launcher.run(Work(jobs=[job.id]))
    assert world.sagemaker.jobs == {} and world.held() == {"training/ml.m5.large": 1}


def test_a_job_is_started_before_the_index_lists_it(world: World) -> None:
    listed = world.dynamodb.query
    job = world.submit(make_step("train"))
    world.dynamodb.query = lambda **request: {"Items": []}
    world.launch(pools={"training/ml.m5.large": 1}, new={"training/ml.m5.large": [job.id, "boxcar-unknown-0123456789"]})
    world.dynamodb.query = listed
    assert list(world.sagemaker.jobs) == [f"{job.id}-1"]
    world.launch(new={"training/ml.m5.large": [job.id]})
    assert len(world.sagemaker.jobs) == 1


def test_a_pool_that_gives_nothing_is_asked_less_and_less(world: World) -> None:
    world.sagemaker.limits["ml.m5.large"] = 0
    world.submit(make_step("train"))
    for _ in range(4 * 60):
        world.step(60)
    calls = world.calls.count()["sagemaker.create_training_job"]
    assert 8 <= calls <= 20, "four hours: at first after seconds, at last every half hour"
    world.sagemaker.limits["ml.m5.large"] = 1
    world.run(hours=1)
    assert "output" in world.answer()


def test_a_raised_quota_is_found_while_the_pool_is_full(world: World) -> None:
    world.sagemaker.limits["ml.m5.large"] = 1
    world.sagemaker.endings["train"] = [Ending(seconds=7200)]
    for number in range(3):
        world.submit_own(f"job-{number}", make_step("train", max_runtime_s=10_000))
    world.launch()
    assert len(world.sagemaker.jobs) == 1
    world.sagemaker.limits["ml.m5.large"] = 3
    for _ in range(40):
        world.step(60)
    assert len(world.sagemaker.jobs) == 3


def test_a_fallback_waits_in_the_line_of_its_first_pool_and_goes_where_there_is_room(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 1, "training/ml.m5.xlarge": 1})
    resources = {"instance_types": ["ml.m5.large", "ml.m5.xlarge"]}
    for number in range(3):
        world.submit_own(f"job-{number}", make_step("train", resources=resources))
    world.launch()
    assert world.held() == {"training/ml.m5.large": 1, "training/ml.m5.xlarge": 1}
    (second,) = world.sagemaker.running("ml.m5.xlarge")
    second.stopped_at = world.clock()
    world.deliver()
    world.launch(pools={"training/ml.m5.xlarge": 1})
    assert len(world.sagemaker.running("ml.m5.xlarge")) == 1, "the line of the other pool was looked at, too"


def test_a_line_is_read_as_far_as_there_is_room(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 2})
    for number in range(500):
        world.submit_own(f"job-{number}", make_step("train"))
    world.launch()
    world.clock.time += 100
    world.deliver()
    world.calls.log.clear()
    world.dynamodb.items_read = 0
    launcher = world.launch(pools={"training/ml.m5.large": 2})
    assert launcher.launched == 2 and world.dynamodb.items_read <= 3 + 3
    assert world.calls.count()["dynamodb.query"] == 1


def test_who_waits_longer_than_it_wants_to_is_found_behind_others(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 1})
    world.sagemaker.endings["first"] = [Ending(seconds=7000)]
    world.submit_own("first", make_step("train", max_runtime_s=8000))
    world.submit_own("patient", make_step("train"))
    hasty = world.submit_own("hasty", make_step("train", max_wait_s=600))
    world.launch()
    world.clock.time += 900
    world.launch(everything=True)
    assert world.table.get(hasty.id).status == "New"  # type: ignore[union-attr]
    world.launch(everything=True, old=True)
    failed = world.table.get(hasty.id)
    assert failed is not None and (failed.status, failed.failure) == ("Failed", "CapacityTimeout")


def test_who_has_a_fallback_does_not_wait_behind_those_who_have_none(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 1, "training/ml.m5.xlarge": 1})
    for number in range(3):
        world.submit_own(f"only-{number}", make_step("train"), owner="ann")
    world.submit_own("either", make_step("train", resources={"instance_types": ["ml.m5.large", "ml.m5.xlarge"]}))
    world.launch()
    assert world.held() == {"training/ml.m5.large": 1, "training/ml.m5.xlarge": 1}
    assert any("either" in job.name for job in world.sagemaker.running("ml.m5.xlarge"))


def test_lines_that_begin_with_the_same_pool_share_its_turns(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 1, "training/ml.m5.xlarge": 0})
    either = {"instance_types": ["ml.m5.large", "ml.m5.xlarge"]}
    for number in range(4):
        world.submit_own(f"a{number}", make_step("train"), owner="ann")
        world.submit_own(f"b{number}", make_step("train", resources=either), owner="bob")
    world.run(hours=24)
    owners = [name.split("-")[1] for name in world.sagemaker.jobs]
    assert all(owners[: 2 * n].count("bob") == n for n in range(1, 5))


def test_what_a_pass_has_launched_is_not_launched_again_on_the_same_capacity(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 1})
    resources = {"instance_types": ["ml.m5.xlarge", "ml.m5.large"]}
    first = world.submit_own("first", make_step("train"))
    world.submit_own("second", make_step("train"))
    world.submit_own("third", make_step("train", resources=resources))
    world.calls.log.clear()
    world.launch(jobs=[first.id], pools={"training/ml.m5.large": 1})
    assert world.held() == {"training/ml.m5.large": 1}
    assert world.calls.count()["dynamodb.transact_write_items"] == 1


def test_new_ones_are_not_read_one_by_one_when_their_pool_is_full(world: World) -> None:
    world.settings = replace(SETTINGS, instance_limits={"training/ml.m5.large": 1})
    jobs = [world.submit_own(f"job-{number}", make_step("train")) for number in range(50)]
    world.calls.log.clear()
    world.launch(pools={"training/ml.m5.large": 50}, new={"training/ml.m5.large": [job.id for job in jobs]})
    assert len(world.sagemaker.jobs) == 1 and len(world.calls.log) < 12
