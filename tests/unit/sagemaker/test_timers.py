"""Calls that are due, in virtual time: order, cancelling, and timers that come from other threads."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator

import pytest

from local.clock import RealClock, VirtualClock
from local.sagemaker.timers import Timers


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(0)


@pytest.fixture
def timers(clock: VirtualClock) -> Iterator[Timers]:
    made = Timers(clock)
    yield made
    made.close()


def test_calls_come_in_order_of_time_then_of_asking(clock: VirtualClock, timers: Timers) -> None:
    rung: list[tuple[str, float]] = []
    done = threading.Event()
    with clock.hold():
        for name, seconds in (("c", 30), ("a", 10), ("b", 10), ("never", 20)):
            timer = timers.after(seconds, lambda name=name: rung.append((name, clock.time())))
        timer.cancel()
        timers.after(40, done.set)
    assert done.wait(30)
    assert rung == [("a", 10), ("b", 10), ("c", 30)]


def test_a_call_that_fails_does_not_stop_the_others(clock: VirtualClock, timers: Timers) -> None:
    done = threading.Event()
    with clock.hold():
        timers.after(1, lambda: 1 / 0)
        timers.after(2, done.set)
    assert done.wait(30)


def test_a_chain_of_calls_goes_on_in_the_timers_own_thread(clock: VirtualClock, timers: Timers) -> None:
    seen: list[float] = []
    done = threading.Event()

    def step() -> None:
        seen.append(clock.time())
        if len(seen) < 1000:
            timers.after(3600, step)
        else:
            done.set()

    timers.after(3600, step)
    assert done.wait(10)
    assert seen == [3600.0 * number for number in range(1, 1001)]


def test_each_timer_of_many_threads_rings_at_its_own_time(clock: VirtualClock, timers: Timers) -> None:
    late: list[tuple[float, float]] = []
    rung, ready = threading.Semaphore(0), threading.Barrier(8)

    def work(seed: int) -> None:
        die = random.Random(seed)
        ready.wait()
        for _ in range(200):
            with clock.hold():  # as the service does while it answers a call
                seconds = die.choice((0.0, 0.5, 7.0, 3600.0, 86_400.0))
                due = clock.time() + seconds

                def ring(due: float = due) -> None:
                    if abs(clock.time() - due) > 1e-6:
                        late.append((due, clock.time()))
                    rung.release()

                timers.after(seconds, ring)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(8 * 200):
        assert rung.acquire(timeout=10)
    assert late == []


def test_an_earlier_call_from_another_thread_is_not_slept_over(clock: VirtualClock, timers: Timers) -> None:
    order: list[float] = []
    done = threading.Event()
    with clock.hold():
        timers.after(86_400, lambda: (order.append(clock.time()), done.set()))
        time.sleep(0.05)  # the timers' thread sleeps by now, until tomorrow
        timers.after(60, lambda: order.append(clock.time()))
    assert done.wait(30)
    assert order == [60, 86_400]


def test_work_given_to_a_loop_keeps_time_from_passing_until_it_is_taken_up() -> None:
    """Between `call_soon_threadsafe` and the waking of the loop there is a moment in which the loop looks idle."""
    for _ in range(100):
        clock = VirtualClock(0)
        loops = [clock.new_loop(), clock.new_loop()]
        threads = [threading.Thread(target=loop.run_forever) for loop in loops]
        for thread in threads:
            thread.start()
        woken: list[float] = []

        async def sleep(seconds: float, clock: VirtualClock = clock, woken: list[float] = woken) -> None:
            await clock.sleep(seconds)
            woken.append(clock.time())

        with clock.hold():
            far = asyncio.run_coroutine_threadsafe(sleep(1000), loops[0])
            time.sleep(0.001)
            near = asyncio.run_coroutine_threadsafe(sleep(1), loops[1])
        near.result(30)
        far.result(30)
        for loop, thread in zip(loops, threads, strict=True):
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)
            loop.close()
        assert woken == [1, 1000]


def test_on_a_wall_clock_they_ring_when_it_is_time() -> None:
    timers = Timers(RealClock(scale=100))
    rung = threading.Event()
    begun = time.monotonic()
    timers.after(20, rung.set)
    timers.after(10_000, lambda: None)
    assert rung.wait(20)
    assert time.monotonic() - begun > 0.15
    timers.close()
    timers.close()
