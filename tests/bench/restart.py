"""A run stopped at each step of the packaging family, and at what judges it, and restarted: jobs repeated, seconds saved."""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from boxcar.restarts import FIELD
from cli.main import boxcar
from local.client import wait_for
from tests.e2e.deployed import Deployed, deployed_in

MODELS = ("mailer", "bag", "box", "own_container")
STEPS = ("prepare", "train", "predict", "evaluate")
# Of a model that a person decides about: reached, and not yet over.
UNSURE = {"min_rows": 1_000_000, "on_breach": {"rows": "review"}}
STATES = ("Compare", "RegisterForReview", "AskReview")
ENDED = ("Completed", "Failed", "Stopped")


def main() -> dict[str, Any]:
    """Stop a run as soon as a step has ended, or a state has begun, restart it, count. Every first run is afresh."""
    places = ["/unload", *(f"{model}/{step}" for model in MODELS for step in STEPS)]
    print(f"{'stopped after':<24}{'done':>6}{'repeated':>10}{'saved s':>9}{'restart took s':>16}")
    repeated, saved = 0, []
    with tempfile.TemporaryDirectory() as folder, deployed_in(Path(folder)) as stack:
        stack.load(13)
        family = stack.small_family(*MODELS, cached=True)
        asking = stack.small_family("mailer", cached=True, models__mailer__gate=UNSURE)
        for place in [*places, *STATES]:
            of = asking if place in STATES else family
            run = _stopped_at(stack, of, place)
            done = {key for key, job in stack.jobs(run).items() if job["status"] == "Completed"}
            again, seconds = _restarted(stack, of, run, place in STATES)
            jobs = stack.jobs(again)
            hits = {key: job["caching"] for key, job in jobs.items() if job["caching"]["outcome"] == "hit"}
            missed = len(done - set(hits))
            repeated += missed
            saved.append(sum(float(hit["saved_s"]) for hit in hits.values()))
            print(f"{place.lstrip('/'):<24}{len(done):>6}{missed:>10}{saved[-1]:>9.1f}{seconds:>16.1f}", flush=True)
    return {
        "steps": len(places) + len(STATES),
        "repeated": repeated,
        "seconds_saved": round(statistics.fmean(saved), 2),
    }


def _stopped_at(stack: Deployed, family: str, place: str) -> str:
    run = _begun(stack, {"family": family, "fresh": True})

    def reached() -> bool:
        if place in STATES:
            return place in _entered(stack, run)
        return bool(stack.jobs(run).get(place, {}).get("status") == "Completed")

    wait_for(reached, 300, every=0.05, why=place)
    stack.session.client("stepfunctions").stop_execution(executionArn=stack.execution_arn(run))
    wait_for(lambda: all(job["status"] in ENDED for job in stack.jobs(run).values()), 60, why=f"{run} left jobs")
    return run


def _entered(stack: Deployed, run: str) -> set[str]:
    """The states that a run has come to."""
    states, arn = stack.session.client("stepfunctions"), stack.execution_arn(run)
    events = states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    return {event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event}


def _restarted(stack: Deployed, family: str, run: str, asks: bool) -> tuple[str, float]:
    again = _begun(stack, {"family": family, "fresh": True, FIELD: run})
    if asks:
        wait_for(lambda: [mail for mail in stack.mails(again) if "needs a decision" in mail.subject], 120, why=again)
        words = ("models", "approve", f"{family}/mailer", "--why", "it is a bench")
        done = CliRunner().invoke(boxcar, ["--local", "--state", str(stack.session.state), *words])
        if done.exit_code:
            raise RuntimeError(f"{again}, the restart of {run}: {done.output}")
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
