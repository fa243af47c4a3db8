"""The five parts of the proof. Each runs in a process of its own: python -m tests.bench.simulation.scenarios NAME …

A part prints tables for people; its last line is JSON for `tests/bench/jobs.py`.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local.ministack_seam import simulation
from tests.bench.simulation import figures
from tests.bench.simulation.baselines import Schedule, ideal, poller
from tests.bench.simulation.campaign import Campaign, Conditions, Outcome, campaign
from tests.bench.simulation.stack import TABLE, Events
from tests.bench.simulation.wire import Weather
from tests.bench.simulation.workload import (
    COMPLETED,
    DAY,
    HOUR,
    LONGEST_S,
    Attempt,
    Mix,
    Plan,
    Quotas,
    jobs,
    quotas,
)
from tests.bench.simulation.world import START

SEED = 4
DAYS = 3
BUSY_H = 50.0  # what the jobs need on these quotas, of the 72 hours
QUICK_H = 10.0  # … of a quick look with fewer jobs
KILL_RATE = 0.02  # of the launcher's calls, while there are kills left, and ten minutes after the last one
SHORT, LONG = (0.0, 600.0), (7 * HOUR, LONGEST_S)
KIND = "ml.m5.xlarge"
POOL = f"training/{KIND}"


# ── 1 to 3: three days with everything that goes wrong


def three_days(deployed: Path, count: int) -> dict[str, Any]:
    """So many jobs in three simulated days; quotas are short nearly throughout."""
    hours = BUSY_H if count >= 1000 else QUICK_H
    plans = jobs(count, SEED, Mix(submitted_within_s=hours / 5 * HOUR))
    limits = quotas(plans, hours, SEED)
    kills = max(10, count // 100)
    weather = Weather(throttled=0.005, throttled_in_bursts=0.15, kills=kills, kill_rate=KILL_RATE)
    events = Events(lost=0.01, doubled=0.05, late=0.03)
    conditions = Conditions(SEED, weather, events, horizon_s=DAYS * DAY)
    with campaign(deployed, conditions) as world:
        world.set_quotas(limits)
        world.submit(plans)
        outcome = world.finish(plans, limits)
        return _three_days(outcome, conditions)


def _three_days(outcome: Outcome, conditions: Conditions) -> dict[str, Any]:
    plans, counts, events = outcome.plans, outcome.counts, conditions.events
    ended = figures.ends(outcome)
    told = figures.digests(outcome)
    print(
        f"{len(plans)} training jobs of 5 minutes to 8 hours; the last one ended after {outcome.ended_at / HOUR:.1f} h"
    )
    _table(
        [
            ("machines at first, by type", ", ".join(f"{k} {s[0][1]}" for k, s in outcome.quotas.steps.items())),
            ("changes of a quota", sum(len(steps) - 1 for steps in outcome.quotas.steps.values())),
            ("attempts made", len(outcome.attempts)),
            ("events lost, doubled, late", f"{events.was_lost}, {events.was_doubled}, {events.was_late}"),
            ("calls throttled", sum(n for (_, _, code), n in counts.refused.items() if "hrottl" in code)),
            ("writes that met a transaction", counts.collisions),
            ("launcher killed", counts.kills),
            ("jobs lost, doubled, stuck", f"{len(ended.lost)}, {len(ended.doubled)}, {len(ended.stuck)}"),
            ("mails", told.mails),
            ("owners whose mails are wrong", len(told.wrong)),
            ("dead letters", {name: len(bodies) for name, bodies in outcome.dead.items()} or 0),
            ("errors logged by the functions", len(outcome.lambdas.errors)),
            *(
                (f"invocations of {name}", f"{function.invocations}, {function.failed} of them failed")
                for name, function in outcome.lambdas.functions.items()
            ),
        ]
    )
    dead = [f"{name}: {body}" for name, bodies in outcome.dead.items() for body in bodies[:3]]
    wrong = [ended.lost, ended.doubled, ended.stuck, told.wrong, dead, outcome.lambdas.errors]
    for line in [line for lines in wrong for line in lines[:6]]:
        print(f"    {line[:400]}")
    return {
        "jobs": len(plans),
        "lost": len(ended.lost),
        "doubled": len(ended.doubled),
        "stuck": len(ended.stuck),
        "digests_wrong": len(told.wrong),
        "mails": told.mails,
        "kills": counts.kills,
        **_capacity(outcome),
        **_calls(outcome),
    }


def _capacity(outcome: Outcome) -> dict[str, Any]:
    ours = figures.schedule(outcome)
    order = {use.job: place for place, use in enumerate(sorted(ours.uses, key=lambda use: use.start))}
    order |= {plan.name: len(order) + place for place, plan in enumerate(outcome.plans) if plan.name not in order}
    best, theirs = ideal(outcome.plans, outcome.quotas, order), poller(outcome.plans, outcome.quotas)
    types = {plan.name: plan.types for plan in outcome.plans}
    saturated = figures.last_waiting(best.uses)
    most = figures.machine_seconds(best.uses, saturated)
    rows, found = [], {}
    for name, schedule in (("ideal", best), ("ours", ours), ("one-minute poller", theirs)):
        used, allowed = figures.use_while_waiting(schedule.uses, outcome.quotas, types)
        latencies = figures.launch_latencies(schedule.uses, outcome.quotas)
        done = figures.machine_seconds(schedule.uses, saturated)
        row = {
            "in use while waited for": used / allowed if allowed else 1.0,
            "of the ideal's machine time": done / most if most else 1.0,
            "ideal's length by its own": best.end / schedule.end,
        }
        found[name] = row | {"latencies": latencies}
        rows.append((name, *row.values(), schedule.end / HOUR, *_percentiles(latencies)))
    print("\nCapacity, and the time from a free machine to its next job")
    heads = ("", "in use while waited for", f"work by hour {saturated / HOUR:.1f}", "length", "hours", "p50 s", "p99 s")
    _rows(heads, rows, ("", "8.4f", "8.4f", "8.4f", "8.2f", "8.1f", "8.1f"))
    capacity = {name: value for name, value in found["ours"].items() if name != "latencies"}
    p50, p99 = _percentiles(found["ours"]["latencies"])
    return {
        "capacity_used": min(capacity.values()),
        "launch_p50_s": p50,
        "launch_p99_s": p99,
        "poller_calls": _long_calls(outcome, theirs),
    }


def _percentiles(latencies: list[float]) -> tuple[float, float]:
    return figures.percentile(latencies, 0.5), figures.percentile(latencies, 0.99)


def _long_calls(outcome: Outcome, theirs: Schedule) -> float:
    """Calls of the poller for one 8-hour job that needs one attempt."""
    chosen = [plan for plan in outcome.plans if LONG[0] <= plan.seconds <= LONG[1] and len(plan.attempts) == 1]
    return sum(theirs.calls[plan.name] for plan in chosen) / max(1, len(chosen))


def _calls(outcome: Outcome) -> dict[str, Any]:
    counts, jobs_made = outcome.counts, len(outcome.plans)
    total = sum(counts.calls.values())
    clock = outcome.idle_calls * (outcome.ended_at / HOUR + 10)
    print("\nCalls by the stack's functions, a job (what Lambda's pollers ask of SQS is Lambda's)")
    by_action = sorted(counts.calls.items(), key=lambda entry: -entry[1])
    _rows(
        ("function", "service", "action", "calls", "a job"),
        [(*key, count, count / jobs_made) for key, count in by_action],
        ("", "", "", "8d", "8.3f"),
    )
    refused = [(*key, count) for key, count in counts.refused.most_common(12)]
    _rows(("refused by", "action", "with", "times"), refused, ("", "", "", "8d"))
    (short_jobs, short), (long_jobs, long) = figures.calls_by_length(outcome, [SHORT, LONG])
    shared = counts.shared / jobs_made
    reads, writes = sum(counts.read_units.values()), sum(counts.write_units.values())
    _table(
        [
            ("calls a job, all", f"{total / jobs_made:.2f}"),
            ("… of it by the clock, whatever there is to do", f"{clock / jobs_made:.2f}"),
            (f"calls that name a job, {short_jobs} jobs of 5 to 10 minutes", f"{short:.2f}"),
            (f"calls that name a job, {long_jobs} jobs of 7 to 8 hours", f"{long:.2f}"),
            ("calls that name none or several, a job", f"{shared:.2f}"),
            ("read units a job", f"{reads / jobs_made:.2f}"),
            ("write units a job", f"{writes / jobs_made:.2f}"),
        ]
    )
    return {
        "calls_per_job": total / jobs_made,
        "calls_short": short + shared,
        "calls_long": long + shared,
        "read_units": reads / jobs_made,
        "write_units": writes / jobs_made,
    }


# ── 4: what a pass costs, whatever has finished

WAITING = 400


def passes(deployed: Path, count: int) -> dict[str, Any]:
    """The launcher's pass when a job has ended, with a thousand finished jobs in the table, and with `count`."""
    lengths = [300.0] * 5 + [4 * HOUR + number * 1130.0 for number in range(WAITING)]
    plans = [_plan(number, "ann", KIND, 0.0, seconds) for number, seconds in enumerate(lengths)]
    found: list[tuple[int, str, tuple[int, int, int]]] = []
    with campaign(deployed, Conditions(SEED)) as world:
        world.set_quotas(Quotas({KIND: ((0.0, 10),)}))
        world.submit(plans)
        world.run(2 * HOUR)  # five have ended, ten run, the others wait
        finished = next(item for item in simulation.items(TABLE) if item.get("status") == {"S": "Completed"})
        filled = 5
        for size in (1000, count):
            filled += simulation.fill(TABLE, _copies(finished, filled, size))
            found.append((size, "a job has ended", _after_an_end(world)))
            found.append((size, "a look at every line", _look_at_everything(world)))
    print(f"One pass of the launcher, about {WAITING} jobs in one line")
    heads = ("finished jobs", "why", "calls", "items read", "launched")
    _rows(heads, [(f"{size:,}", why, *row) for size, why, row in found], ("", "", "6d", "10d", "8d"))
    calls = {size: row[0] for size, why, row in found if why == "a job has ended"}
    return {"pass_calls_1000": calls[1000], "pass_calls_1000000": calls[count], "finished": count}


def _after_an_end(world: Campaign) -> tuple[int, int, int]:
    """Calls, items read and jobs launched of the one pass that follows the end of a job."""
    counts, launcher = world.stack.wire.counts, world.lambdas.functions["launch-jobs"]
    for _ in range(50):
        running = [job for job in world.stack.training_jobs().values() if job["TrainingJobStatus"] == "InProgress"]
        due = min(job["CreationTime"] + 60.0 + float(job["HyperParameters"]["work_seconds"]) for job in running)
        world.run(due - START - 3.0)
        before, made = launcher.invocations, len(world.stack.training_jobs())
        counts.forget()
        world.run(world.seconds() + 15.0)
        if launcher.invocations == before + 1:  # else a look at everything, or at a limit, came between
            return _launchers(world, len(world.stack.training_jobs()) - made)
    raise RuntimeError("no pass of the launcher came alone")


def _look_at_everything(world: Campaign) -> tuple[int, int, int]:
    """The same of a pass over every line, when there is no room."""
    event = {"Records": [{"messageId": "bench", "body": '{"wake": "bench", "everything": true}', "attributes": {}}]}
    for _ in range(2):  # the first may have a limit to learn
        world.run(world.seconds() + 65.0)
        world.stack.wire.counts.forget()
        answers: list[Any] = []
        world.world.spawn(lambda answers=answers: answers.append(world.lambdas.invoke("launch-jobs", event)))
        world.run(world.seconds() + 8)
    return _launchers(world, answers[0]["launched"])


def _launchers(world: Campaign, launched: int) -> tuple[int, int, int]:
    counts = world.stack.wire.counts
    calls = sum(count for (function, _, _), count in counts.calls.items() if function == "launch-jobs")
    return calls, counts.items_read["launch-jobs"], launched


def _copies(item: dict[str, Any], start: int, stop: int) -> Iterator[dict[str, Any]]:
    """A finished job's item under other names, on other days, of other owners; what is the same is shared."""
    days = [{"S": f"2025-{month:02d}-{day:02d}"} for month in range(1, 13) for day in range(1, 29)]
    owners = [{"S": f"owner-{number:02d}"} for number in range(12)]
    small = {name: value for name, value in item.items() if name not in ("document", "inputs", "attempts", "outputs")}
    for number in range(start, stop):
        key = f"boxcar-old-{number:07d}-0000000000"
        job, day = {"S": key}, days[number % len(days)]
        yield {
            **small,
            "pk": {"S": f"job#{key}"},
            "job": job,
            "run": job,
            "owner": owners[number % 12],
            "day": day,
            "created": {"S": f"{day['S']}T00:00:00.{number % 1000:03d}Z"},
        }


# ── 5: fair shares


NINE = 9
MACHINES = 10


def share(deployed: Path, case: str) -> dict[str, Any]:
    """When the jobs of nine owners with ten each have ended: `alone`, with a sweep of 1,000 `at once`, or `after` it."""
    late = HOUR if case == "after" else 0.0
    nine = [
        _plan(owner * 10 + number, f"owner-{owner}", KIND, late, 900.0 + (owner * 7 + number * 13) % 31 * 30.0)
        for owner in range(NINE)
        for number in range(10)
    ]
    sweep = [_plan(1000 + n, "greedy", KIND, 0.0, 900.0 + n * 17 % 31 * 30.0) for n in range(1000)]
    plans = nine if case == "alone" else sorted(nine + sweep, key=lambda plan: plan.at)
    with campaign(deployed, Conditions(SEED)) as world:
        world.set_quotas(Quotas({KIND: ((0.0, MACHINES),)}))
        world.submit(plans)
        while not all(_ended(world, plan) for plan in nine) and world.seconds() < 2 * DAY:
            world.run(world.seconds() + 600)
        attempts = world.stack.training_jobs()
        ends = {plan.owner: 0.0 for plan in nine}
        for plan in nine:
            last = figures.attempts_of(plan, attempts)[-1]["TrainingEndTime"] - START
            ends[plan.owner] = max(ends[plan.owner], last - late)
    return {"last": max(ends.values()), "mean": sum(ends.values()) / len(ends), "owners": ends}


def _ended(world: Campaign, plan: Plan) -> bool:
    item = simulation.item(TABLE, {"pk": {"S": f"job#{plan.id}"}}) if plan.id else None
    return item is not None and item["status"]["S"] == "Completed"


def _plan(number: int, owner: str, kind: str, at: float, seconds: float) -> Plan:
    attempt = Attempt(COMPLETED, 60.0, seconds)
    return Plan(f"job-{number:05d}", owner, f"{owner}-sweep", at, (kind,), 50, seconds, 60.0, (attempt,))


# ── printing


def _table(rows: list[tuple[str, Any]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:{width}}  {value}")


def _rows(heads: tuple[str, ...], rows: list[tuple[Any, ...]], formats: tuple[str, ...]) -> None:
    texts = [heads, *(tuple(format(v, f) for v, f in zip(row, formats, strict=True)) for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(heads))]
    for row in texts:
        cells = zip(row, widths, formats, strict=True)
        print("  " + "  ".join(f"{text:>{width}}" if how else f"{text:<{width}}" for text, width, how in cells))


PARTS: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "three-days": lambda deployed, count: three_days(deployed, int(count)),
    "passes": lambda deployed, count: passes(deployed, int(count)),
    "share": share,
}


def main(arguments: list[str]) -> None:
    """NAME, the folder of the deployed cloud, and the part's own argument."""
    name, deployed, argument = arguments
    began = time.monotonic()
    found = PARTS[name](Path(deployed), argument)
    print(f"\n  ({name} {argument}: {time.monotonic() - began:.0f} s)")
    print(json.dumps(found), flush=True)
    import os

    os._exit(0)  # nothing here is worth the seconds that saving the cloud would take


if __name__ == "__main__":
    main(sys.argv[1:])
