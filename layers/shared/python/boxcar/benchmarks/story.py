"""From what a benchmark left behind to what its report says: pure, and all of `report.json`."""

import csv
import io
from typing import Any

from boxcar.alarms.causes import plain_failure
from boxcar.benchmarks.charts import cost_chart, curves_chart, legend
from boxcar.benchmarks.choice import choose, pareto, words_of
from boxcar.benchmarks.facts import BenchmarkFacts
from boxcar.benchmarks.plans import BenchmarkPlan
from boxcar.benchmarks.requests import Target
from boxcar.benchmarks.rows import COLUMNS, Row, failed_row, measured_row, published_rows
from boxcar.reports.page import rendered
from boxcar.reports.steps import about_run, duration, epoch
from boxcar.reports.timeline import timeline

SCHEMA = 1
NOT_MEASURED = "was not measured: its build failed, or the run stopped before it"


def tell(
    facts: BenchmarkFacts, results: list[list[dict[str, Any]]], error: dict[str, Any] | None, ended: float
) -> dict[str, Any]:
    """Put the report together.

    Args:
        facts: what was read.
        results: of the state machine: per build a list of `{"build", "step", "status", "error"?, "cause"?}`.
        error: `{"error", "cause"}` of a run that failed as a whole.
        ended: seconds since the epoch.

    Returns:
        the document; times are seconds since the epoch, latencies milliseconds, rates queries a second.
    """
    plan, error = facts.plan, plain_failure(error) if error else None
    why = _reasons(facts, results)
    wanted = [(target, tokens) for target in plan.targets for tokens in plan.sequences] if plan else []
    targets = [_target(target, tokens, facts, plan, why) for target, tokens in wanted] if plan else []
    rows = [row for target in targets for row in target["rows"]]
    status = _status(rows, error)
    started = epoch(plan.created_at) if plan else None
    builds = {
        name: "failed" if any(build == name for build, _ in why) else "succeeded"
        for name in (plan.models if plan else {})
    }
    return {
        "schema": SCHEMA,
        **about_run(facts.run, plan, facts.jobs),
        "status": status,
        "sentence": _sentence(targets, rows, error, None if started is None else ended - started),
        "error": error,
        "started": started,
        "ended": ended,
        "backbone": plan.backbone if plan else "",
        "sequences": plan.sequences if plan else [],
        "prices": plan.prices.model_dump(include={"source", "date", "region", "currency"}) if plan else {},
        "targets": targets,
        "pruned": _grouped(plan) if plan else [],
        "waves": [],
        "models": [{"model": name, "status": status} for name, status in builds.items()],
        "notes": facts.notes,
    }


def render(report: dict[str, Any]) -> str:
    """The page of a report. Everything that was data is escaped."""
    charts = {  # where nobody waits for an answer, a latency says nothing
        target["name"]: {
            "curves": curves_chart(target["rows"], target["p99_ms"]),
            "legend": legend(target["rows"]),
            "cost": cost_chart(target["rows"]),
        }
        for target in report["targets"]
        if target["p99_ms"]
    }
    return rendered("benchmark.html.j2", report=report, timeline=timeline(report), charts=charts)


def table(report: dict[str, Any]) -> str:
    """Every row as CSV, in NeuronPerf's columns and then ours."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(row for target in report["targets"] for row in target["rows"])
    return text.getvalue()


def _target(
    target: Target, tokens: int, facts: BenchmarkFacts, plan: BenchmarkPlan, why: dict[tuple[str, str], str]
) -> dict[str, Any]:
    """One target for one length: what is quick at 32 tokens is no answer to who has 128."""
    rows: list[Row] = []
    for build, planned in plan.models.items():
        for step, cell in planned.cells.items():
            if cell.target["name"] != target.name or cell.sequence != tokens:
                continue
            if document := facts.load_tests.get((build, step)):
                if document["status"] != "ok" and (stopped := why.get((build, step))):  # it had no time to say so
                    document = document | {"why": f"{stopped}; {document.get('why') or ''}".strip("; ")}
                machine = facts.machines.get((build, step), {})
                rows.append(measured_row(cell, target, document, machine, plan.prices))
            else:
                reason = why.get((build, step)) or why.get((build, "compile")) or NOT_MEASURED
                rows.append(failed_row(cell, target, reason, plan.prices))
    rows += published_rows(target, plan.backbone, tokens, plan.prices)
    front = set(pareto(rows, target))
    ranked = sorted(rows, key=lambda row: (not row["meets"], row["usd_per_year"] or float("inf"), row["cell"]))
    several = len(plan.sequences) > 1
    words = words_of(target) + (f" at {tokens} tokens" if several else "")
    return {
        "name": f"{target.name}-{tokens}" if several else target.name,
        "words": words,
        "unit": target.unit,
        "scenario": target.scenario,
        "rate": target.rate,
        "p99_ms": target.p99_ms,
        "rows": [row | {"pareto": row["cell"] in front} for row in ranked],
        "recommendation": choose(rows, target, words),
    }


def _reasons(facts: BenchmarkFacts, results: list[list[dict[str, Any]]]) -> dict[tuple[str, str], str]:
    """Why steps failed: what the job says, else what the state machine saw."""
    why = {
        (one["build"], one["step"]): f"{one['error']}: {one['cause']}".strip(": ")
        for build in results
        for one in build
        if one["status"] == "failed"
    }
    for job in facts.jobs:
        if job.get("status") in ("Failed", "Stopped"):
            # a reason begins with the class of the failure
            why[job.get("model", ""), job["step"]] = job.get("reason") or job.get("failure") or "failed"
    return why


def _status(rows: list[Row], error: dict[str, Any] | None) -> str:
    good = sum(row["status"] == "ok" for row in rows)
    if error or not good:
        return "failed"
    return "succeeded" if good == len(rows) else "partial"


def _sentence(
    targets: list[dict[str, Any]],
    rows: list[Row],
    error: dict[str, Any] | None,
    seconds: float | None,
) -> str:
    if error:
        return f"The benchmark stopped: {error['error']}."
    ours = [row for row in rows if row["how"] != "published"]
    measured = sum(row["status"] == "ok" for row in ours)
    took = f" in {duration(seconds)}" if seconds is not None else ""
    counted = f"{measured} of {len(ours)} cells measured{took}."
    return " ".join([*(target["recommendation"]["sentence"] for target in targets), counted])


def _grouped(plan: BenchmarkPlan) -> list[dict[str, Any]]:
    """What was left out, one line a reason."""
    by_reason: dict[str, list[str]] = {}
    for one in plan.pruned:
        shared = f" for {one.workers} workers" if one.workers > 1 else ""
        name = f"{one.backend} on {one.instance}, batch {one.batch}, {one.cores} cores{shared}, {one.sequence} tokens"
        by_reason.setdefault(one.why, []).append(name)
    return [{"why": why, "count": len(names), "cells": names} for why, names in by_reason.items()]
