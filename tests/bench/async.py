"""10,000 documents to the asynchronous endpoint, from no instance and back: first result, instance-minutes, once each.

In virtual time, with the policies and defaults of template.yaml; a simulated model works WORK_S on each document, and an
instance takes PROVISION_S to start.
"""

import os
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.asyncs_world import Course, draw, endpoint

DOCUMENTS = int(os.environ.get("BOXCAR_BENCH_DOCUMENTS", "10000"))
WORK_S = 20.0  # of one document, four at once on an instance
PROVISION_S = 240.0
FEW = 3  # documents, fewer than the target
PATIENCE_S = 3600.0  # after which a first result is called never
STEP_S = 30.0
PICTURES = Path(".boxcar/bench")


def main() -> dict[str, Any]:
    """All documents with both policies; then only the first result, of many and of few, with and without waking."""
    with endpoint(WORK_S, PROVISION_S) as live:
        live.send(DOCUMENTS)
        course = live.watch(STEP_S)
        notices = live.answered()
        times = Counter(notice["inferenceId"] for notice in notices)
        once = sum(count == 1 for count in times.values())
        concurrency, most = int(live.parameters["AsyncConcurrency"]), int(live.parameters["AsyncMaxInstances"])
    # all were sent at once, so the latency of a document is also when it was answered
    latencies = sorted(_seconds(notice) for notice in notices)
    first = latencies[0]
    with endpoint(WORK_S, PROVISION_S, waking=False) as live:
        live.send(DOCUMENTS)
        tracking = live.first_result(PATIENCE_S)
    few = {}
    for waking in (True, False):
        with endpoint(WORK_S, PROVISION_S, waking) as live:
            live.send(FEW)
            few[waking] = live.first_result(PATIENCE_S)
    paid = _minutes(course, course.desired)
    ideal = DOCUMENTS * WORK_S / concurrency / 60
    pictures = draw(course, latencies, PICTURES)
    drained = next(at for at, left in zip(course.at, course.backlog, strict=True) if not left)
    print(
        f"{DOCUMENTS} documents at once, {WORK_S:g} s each, {concurrency} at once on each of {most} instances at most"
    )
    print(f"{'':34} {'waking + tracking':>18} {'tracking alone':>15}")
    print(f"{'first result of ' + str(DOCUMENTS):34} {_told(first):>18} {_told(tracking):>15}")
    print(f"{'first result of ' + str(FEW):34} {_told(few[True]):>18} {_told(few[False]):>15}")
    print(f"last result {drained / 3600:.2f} h; all instances gone after {course.at[-1] / 3600:.2f} h")
    print(f"instance-minutes {paid:.0f}, ideal {ideal:.0f}: {paid / ideal:.2f} times")
    print(f"answered exactly once: {once} of {DOCUMENTS}")
    print(f"pictures: {', '.join(map(str, pictures))}")
    return {
        "documents": DOCUMENTS,
        "answered_once": once,
        "first_result_s": first,
        "first_result_target_tracking_s": tracking,
        "instance_minutes_over_ideal": round(paid / ideal, 3),
        "first_result_of_few_s": few[True],
        "first_result_of_few_target_tracking_s": few[False],  # null: never
    }


def _seconds(notice: dict[str, Any]) -> float:
    """From sending to the answer."""
    ended, received = (datetime.fromisoformat(notice[name]) for name in ("eventTime", "receivedTime"))
    return (ended - received).total_seconds()


def _minutes(course: Course, counts: list[int]) -> float:
    """Instance-minutes: the area under the counts."""
    pairs = zip(course.at, course.at[1:], counts, strict=False)
    return sum((until - since) * count for since, until, count in pairs) / 60


def _told(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"
