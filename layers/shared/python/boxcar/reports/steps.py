"""What a report tells of a run and its steps, whatever machine it was a run of."""

from datetime import datetime
from typing import Any

from boxcar.plans import in_order

NOT_STARTED = "NotStarted"
_BAD = {"Failed", "Stopped"}


def about_run(run: str, plan: Any, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Where a run came from, and its steps.

    Args:
        run: its name.
        plan: of any machine; None if there is none.
        jobs: items of the jobs table.
    """
    order = in_order(plan.steps, plan.models, getattr(plan, "waves", ())) if plan else []
    steps = _steps_of(jobs, [(model, step.name, step.kind) for model, step in order])
    return {
        "run": run,
        "family": plan.family if plan else "",
        "family_file": plan.family_file if plan else "",
        "family_version": plan.family_version if plan else None,
        "source": plan.source if plan else "",
        "requested_by": plan.requested_by if plan else "",
        "steps": steps,
        "saved_s": sum(step["cached"]["saved_s"] for step in steps if step["cached"]),
    }


def _steps_of(jobs: list[dict[str, Any]], planned: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Every step, planned or found, in the order of the plan: model ("" for the run itself), name and kind of each."""
    by_step = {(job.get("model", ""), job.get("step", "")): job for job in jobs}
    known = {(model, step) for model, step, _ in planned}
    found = sorted(
        (job for key, job in by_step.items() if key not in known), key=lambda job: job.get("created_at") or 0
    )
    further = [(job.get("model", ""), job.get("step", ""), job.get("kind", "")) for job in found]
    return [_step(model, step, kind, by_step.get((model, step))) for model, step, kind in [*planned, *further]]


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 40 ms, 2.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds is None:
        return "–"
    if seconds < 0.095:
        return f"{max(0, round(1000 * seconds))} ms" if seconds > 0.0005 else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(round(whole / 60), 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _step(model: str, step: str, kind: str, job: dict[str, Any] | None) -> dict[str, Any]:
    job = job or {}
    created, ended = epoch(job.get("created_at", job.get("created"))), epoch(job.get("ended"))
    attempts = [attempt for attempt in job.get("attempts") or [] if isinstance(attempt, dict)]
    runs = [
        {
            "started": epoch(attempt.get("started")),
            "ended": epoch(attempt.get("ended")),
            "failure": attempt.get("failure", ""),
        }
        for attempt in attempts
    ]
    runs = [run for run in runs if run["started"] is not None]
    if not runs and job.get("started"):
        runs = [{"started": epoch(job["started"]), "ended": ended, "failure": job.get("failure", "")}]
    status = job.get("status") or NOT_STARTED
    run_s = sum((run["ended"] or run["started"]) - run["started"] for run in runs)
    until = ended if ended is not None else (runs[-1]["started"] if runs else None)
    return {
        "model": model,
        "step": step,
        "kind": kind,
        "job": job.get("job", ""),
        "status": status,
        "instance_type": job.get("instance_type", ""),
        "created": created,
        "ended": ended,
        "runs": runs,
        "attempts": len(attempts) or int(bool(runs)),
        "run_s": run_s if runs else None,
        "wait_s": max(0.0, until - created - run_s) if until is not None and created is not None else None,
        "cached": _cached(job.get("caching") or {}),
        "failure": job.get("failure", "") if status in _BAD else "",
        "reason": job.get("reason", "") if status in _BAD else "",
    }


def _cached(caching: dict[str, Any]) -> dict[str, Any] | None:
    """The job and run whose outputs a step has, and how long that one ran; None if it ran itself."""
    if caching.get("outcome") != "hit":
        return None
    return {"job": caching["job"], "run": caching["run"], "saved_s": caching.get("saved_s", 0.0)}


def epoch(value: Any) -> float | None:
    """A time of a job, ISO 8601 or a number, as seconds since the epoch; None if it is none."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return None
