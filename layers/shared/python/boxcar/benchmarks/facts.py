"""Everything that is known about a benchmark run, read from where it lies."""

import json
from dataclasses import dataclass, field
from typing import Any

from boxcar.benchmarks.planning import RESULTS
from boxcar.benchmarks.plans import BenchmarkPlan
from boxcar.errors import StepError
from boxcar.plans import read_plan
from boxcar.reports.facts import jobs_of

STATUSES = ("ok", "failed")  # of a loadtest.json


@dataclass
class BenchmarkFacts:
    """What a benchmark run left behind. What is not there yet, or any more, is left out."""

    run: str
    plan: BenchmarkPlan | None = None
    jobs: list[dict[str, Any]] = field(default_factory=list)  # items of the jobs table
    load_tests: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # (build, step) -> loadtest.json
    machines: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # … -> machine.json
    notes: list[str] = field(default_factory=list)  # what could not be read, in words


def gather(run: str, *, s3: Any, dynamodb: Any, bucket: str, jobs_table: str) -> BenchmarkFacts:
    """Read the plan, the jobs, and what each load test has written."""
    facts = BenchmarkFacts(run, jobs=jobs_of(dynamodb, jobs_table, run))
    try:
        facts.plan = read_plan(s3, bucket, run, BenchmarkPlan)
    except StepError as error:  # the report says what it could read
        facts.notes.append(str(error))
        return facts
    for job in facts.jobs:
        # What a job that failed had measured till then lies where its outputs would; nobody misses what does not.
        owed = job.get("outputs") or {}
        notes = facts.notes if owed else []
        if place := (owed or job.get("destination") or {}).get(RESULTS):
            key = (job["model"], job["step"])
            document = _read(s3, f"{place}loadtest.json", notes)
            if document and document.get("status") in STATUSES:
                facts.load_tests[key] = document if owed else {**document, "status": "failed"}
            elif document:
                notes.append(f"{place}loadtest.json: status: is {document.get('status')!r}, not one of {STATUSES}")
            facts.machines[key] = _read(s3, f"{place}machine.json", notes) or {}
    return facts


def _read(s3: Any, uri: str, notes: list[str]) -> dict[str, Any] | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        document = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        notes.append(f"{uri}: is missing")
        return None
    except ValueError as error:
        notes.append(f"{uri}: is not JSON ({error})")
        return None
    if not isinstance(document, dict):
        notes.append(f"{uri}: is not an object")
        return None
    return document
