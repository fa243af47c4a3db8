"""Virtual time: it stands still while anything runs and jumps to what is due when nothing does."""

import asyncio
import threading
import time

from local.clock import RealClock, VirtualClock
from tests.conformance.machinery import Engine, lambda_task, machine


def test_a_week_passes_at_once_and_in_order() -> None:
    clock = VirtualClock(0)
    loop = clock.new_loop()
    woken: list[tuple[float, str]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((clock.time(), name))

    async def all_of_them() -> None:
        await asyncio.gather(sleeper("week", 7 * 86400), sleeper("hour", 3600), sleeper("second", 1))

    loop.run_until_complete(all_of_them())
    loop.close()
    assert woken == [(1, "second"), (3600, "hour"), (7 * 86400, "week")]


def test_time_stands_still_while_a_thread_works() -> None:
    with Engine() as engine:
        seen: list[float] = []

        def work(payload: object) -> None:
            seen.append(engine.clock.time())
            time.sleep(0.1)
            seen.append(engine.clock.time())

        engine.aws.functions["work"] = work
        branches = [
            {"StartAt": "T", "States": {"T": lambda_task("work")}},
            {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1000, "End": True}}},
        ]
        engine.run(machine({"P": {"Type": "Parallel", "Branches": branches, "End": True}}))
        assert seen[0] == seen[1]


def test_a_holder_outside_keeps_time_from_passing() -> None:
    clock = VirtualClock(0)
    loop = clock.new_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(clock.sleep(10)))
    with clock.hold():
        thread.start()
        time.sleep(0.05)
        assert clock.time() == 0
    thread.join(30)
    assert clock.time() == 10
    loop.close()


def test_two_loops_wait_for_each_other() -> None:
    clock = VirtualClock(0)
    loops = [clock.new_loop(), clock.new_loop()]
    order: list[str] = []

    async def steps(name: str, pause: float, count: int) -> None:
        for _ in range(count):
            await clock.sleep(pause)
            order.append(f"{name}{clock.time():.0f}")

    threads = [
        threading.Thread(target=lambda: loops[0].run_until_complete(steps("a", 2, 3))),
        threading.Thread(target=lambda: loops[1].run_until_complete(steps("b", 3, 2))),
    ]
    with clock.hold():
        for thread in threads:
            thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join(30)
    assert sorted(order) == ["a2", "a4", "a6", "b3", "b6"]
    assert order.index("b3") < order.index("a4") < order.index("b6")


def test_real_time_can_be_faster() -> None:
    clock = RealClock(scale=100)
    begun, wall = clock.time(), time.monotonic()
    asyncio.run(clock.sleep(5))
    assert clock.time() - begun >= 5
    assert time.monotonic() - wall < 5


def test_a_week_of_scheduled_runs_passes_in_seconds() -> None:
    clock = VirtualClock()
    with Engine(clock) as engine:
        arn = engine.create(machine({"W": {"Type": "Wait", "Seconds": 1800, "End": True}}))
        loop = clock.new_loop()

        async def every_hour() -> None:
            for number in range(7 * 24):
                await clock.sleep(3600)
                with clock.hold():
                    await loop.run_in_executor(None, lambda n=number: engine.start(arn, name=f"run-{n}"))

        first = clock.time()
        loop.run_until_complete(every_hour())
        loop.close()
        engine.wait(f"arn:aws:states:us-east-1:123456789012:execution:machine:run-{7 * 24 - 1}")
        done = engine("ListExecutions", stateMachineArn=arn, statusFilter="SUCCEEDED", maxResults=1000)["executions"]
        assert len(done) == 7 * 24
        assert {round(run["stopDate"] - run["startDate"]) for run in done} == {1800}
        assert clock.time() - first == 7 * 86400 + 1800
