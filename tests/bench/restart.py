"""A run stopped at each step of the packaging family and started again: jobs repeated, and seconds saved."""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from boxcar.restarts import FIELD
from local.client import wait_for
from tests.e2e.deployed import Deployed, deployed_in

MODELS = ("mailer", "bag", "box", "own_container")
STEPS = ("prepare", "train", "predict", "evaluate")
ENDED = ("Completed", "Failed", "Stopped")


def main() -> dict[str, Any]:
    """Stop a run as soon as a step has ended, restart it, count; once for each step. Every first run is afresh."""
    places = ["/unload", *(f"{model}/{step}" for model in MODELS for step in STEPS)]
    print(f"{'stopped after':<24}{'done':>6}{'repeated':>10}{'saved s':>9}{'restart took s':>16}")
    repeated, saved = 0, []
    with tempfile.TemporaryDirectory() as folder, deployed_in(Path(folder)) as stack:
        stack.load(13)
        family = stack.small_family(*MODELS, cached=True)
        for place in places:
            run = _stopped_after(stack, family, place)
            done = {key for key, job in stack.jobs(run).items() if job["status"] == "Completed"}
            again, seconds = _restarted(stack, family, run)
            jobs = stack.jobs(again)
            hits = {key: job["caching"] for key, job in jobs.items() if job["caching"]["outcome"] == "hit"}
            missed = len(done - set(hits))
            repeated += missed
            saved.append(sum(float(hit["saved_s"]) for hit in hits.values()))
            print(f"{place.lstrip('/'):<24}{len(done):>6}{missed:>10}{saved[-1]:>9.1f}{seconds:>16.1f}", flush=True)
    return {"steps": len(places), "jobs_repeated": repeated, "seconds_saved": round(statistics.fmean(saved), 2)}


def _stopped_after(stack: Deployed, family: str, place: str) -> str:
    run = _begun(stack, {"family": family, "fresh": True})
    wait_for(lambda: stack.jobs(run).get(place, {}).get("status") == "Completed", 300, every=0.05, why=place)
    stack.session.client("stepfunctions").stop_execution(executionArn=stack.execution_arn(run))
    wait_for(lambda: all(job["status"] in ENDED for job in stack.jobs(run).values()), 60, why=f"{run} left jobs")
    return run


def _restarted(stack: Deployed, family: str, run: str) -> tuple[str, float]:
    again = _begun(stack, {"family": family, "fresh": True, FIELD: run})
    ended = stack.wait(again, 300)
    if ended.output.get("status") != "succeeded":
        raise RuntimeError(f"{again}, the restart of {run}, ended so: {ended}")
    seen = stack.session.client("stepfunctions").describe_execution(executionArn=stack.execution_arn(again))
    return again, (seen["stopDate"] - seen["startDate"]).total_seconds()


def _begun(stack: Deployed, request: dict[str, Any]) -> str:
    begun = stack.session.client("stepfunctions").start_execution(
        stateMachineArn=stack.session.outputs["TrainingMachineArn"], input=json.dumps(request)
    )
    return str(begun["executionArn"]).rpartition(":")[2]
