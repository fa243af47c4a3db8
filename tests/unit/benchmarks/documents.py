"""A plan and what its load tests would have written, for tests of the report."""

from typing import Any

from boxcar.benchmarks.facts import BenchmarkFacts
from boxcar.benchmarks.instances import packaged_prices
from boxcar.benchmarks.planning import make_plan
from boxcar.benchmarks.plans import BenchmarkPlan
from boxcar.benchmarks.requests import BenchmarkRequest
from boxcar.requests import Trigger
from boxcar.steps import Code

CODE = Code(digest="d", archive="s3://data/code/neuron-d.tar.gz", prefix="s3://data/code/neuron-d/")
QUEUES = {"c7i": 4, "inf1": 4, "inf2": 4}


def plan_of(queues: dict[str, int] = QUEUES, **asked: Any) -> BenchmarkPlan:
    """The plan of a request for benchmark `search`."""
    request = BenchmarkRequest.model_validate({"benchmark": "search", **asked})
    trigger = Trigger(request, "s3://data/triggers/benchmark/b.json", None)
    artifacts = "s3://data/compiled"
    return make_plan(
        trigger, packaged_prices(), queues, CODE, "boxcar", artifacts, "run-1", "2026-11-26T20:00:00+00:00"
    )


def load_test(rate: float | None, p99: float, **more: Any) -> dict[str, Any]:
    """A loadtest.json."""
    latency = {"p50": p99 / 2, "p90": p99 * 0.8, "p99": p99, "p999": p99 * 1.5, "low": p99 * 0.9, "high": p99 * 1.1}
    document = {"schema": 1, "status": "ok", "why": "", "queries": 300_000, "rate": rate, "throughput": rate or 50.0}
    return {**document, "latency_ms": latency, "indicative": False, "how": "measured", **more}


def facts_of(plan: BenchmarkPlan, **documents: dict[str, Any]) -> BenchmarkFacts:
    """What a run left behind: a document for each backend that is named, measured on the instance it is about."""
    facts = BenchmarkFacts(plan.run, plan)
    for build, planned in plan.models.items():
        for step, cell in planned.cells.items():
            if cell.backend in documents:
                facts.load_tests[build, step] = documents[cell.backend]
                facts.machines[build, step] = {"product": cell.instance, "processors": 4}
    return facts
