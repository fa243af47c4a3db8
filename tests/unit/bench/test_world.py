"""Virtual time of the simulated stack: what sleeps, in which order, and that it is the same each time."""

import time

import pytest

from tests.bench.simulation.world import START, World, WorldTime, WorldTimers


def test_sleeping_takes_the_worlds_time_only():
    world, seen = World(), []

    def work():
        world.sleep(3600)
        seen.append(world.now - START)

    world.spawn(work)
    world.run(START + 7200)
    assert seen == [3600]
    assert world.now == START + 7200


def test_processes_take_turns_where_they_sleep():
    world, seen = World(), []

    def work(name, seconds):
        for _ in range(3):
            world.sleep(seconds)
            seen.append((world.now - START, name))

    world.spawn(lambda: work("slow", 5))
    world.spawn(lambda: work("quick", 2))
    world.run(START + 100)
    assert seen == [(2, "quick"), (4, "quick"), (5, "slow"), (6, "quick"), (10, "slow"), (15, "slow")]


def test_what_a_process_raises_ends_the_world():
    world = World()

    def work():
        raise KeyError("lost")

    world.spawn(work)
    with pytest.raises(KeyError, match="lost"):
        world.run(START + 1)


def test_nothing_happens_beyond_the_end_of_a_run():
    world, seen = World(), []

    def work():
        world.sleep(10)
        seen.append("late")

    world.spawn(work)
    world.run(START + 9)
    assert seen == []
    world.run(START + 10)
    assert seen == ["late"]


def test_a_timer_that_was_cancelled_does_not_ring():
    world, seen = World(), []
    timers = WorldTimers(world)
    timers.after(5, lambda: seen.append("first"))
    timers.after(6, lambda: seen.append("second")).cancel()
    world.run(START + 10)
    assert seen == ["first"]


def test_code_of_the_world_sees_its_time():
    world, seen = World(), []
    clock = WorldTime(world)

    def work():
        clock.sleep(90)
        seen.append(clock.time() - START)

    world.spawn(work)
    world.run(START + 100)
    assert seen == [90]
    assert clock.monotonic is time.monotonic  # what it does not replace is the real one
