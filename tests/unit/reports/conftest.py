"""Runs as they end in practice: all well, in part, as a whole, before there was a plan."""

from typing import Any

from boxcar.evaluations import Evaluation
from boxcar.plans import Gate, ModelPlan, Plan
from boxcar.reports.facts import ModelFacts, RunFacts
from boxcar.steps import Step
from boxcar.verdicts import judge

BEGIN = 1_767_582_000.0  # 2026-01-05 03:00:00 UTC
STEPS = {"prepare": "processing", "train": "training", "predict": "transform", "evaluate": "processing"}
WAVES = [["mailer", "bag", "box"], ["own_container"]]
STATUS = {"approve": "approved", "review": "review", "reject": "rejected"}
Results = list[list[dict[str, Any]]]


def plan() -> Plan:
    models = {
        name: ModelPlan(
            model=name,
            family="packaging",
            architecture="boosted_trees",
            interface_digest="i" * 16,
            code_digest="c" * 16,
            parameters={"rounds": 200},
            label=f"is_{name}",
            features={"numeric": ["weight"], "categorical": ["brand"]},
            gate=Gate(min_score=0.6),
            steps=[Step(name=step, kind=kind) for step, kind in STEPS.items()],
        )
        for wave in WAVES
        for name in wave
    }
    return Plan(
        run="packaging-2026-01-05-030000-4f1c",
        family="packaging",
        family_version=3,
        family_file="families/packaging.yaml",
        source="s3://boxcar-data/triggers/training/packaging.json",
        requested_by="weekly",
        created_at="2026-01-05T03:00:00+00:00",
        steps=[Step(name="unload", kind="statement")],
        waves=WAVES,
        models=models,
    )


def job(model: str, step: str, created: float, wait: float, seconds: float, **more: Any) -> dict[str, Any]:
    started = BEGIN + created + wait
    ended = started + seconds
    return {
        "pk": f"job#boxcar-{model or 'run'}-{step}-0123456789",
        "job": f"boxcar-{model or 'run'}-{step}-0123456789",
        "model": model,
        "step": step,
        "kind": STEPS.get(step, "statement"),
        "status": "Completed",
        "created": "2026-01-05T03:00:00.000Z",
        "created_at": BEGIN + created,
        "started": started,
        "ended": ended,
        "attempts": [{"number": 1, "launched": started - 1, "started": started, "ended": ended, "failure": ""}],
        **more,
    }


def evaluation(score: float, ones: int, rows: int) -> Evaluation:
    return Evaluation.model_validate(
        {
            "rows": {"train": rows * 4 // 5, "validation": rows - rows * 4 // 5},
            "scores": {"roc_auc": score, "average_precision": score - 0.14, "log_loss": 0.61 - score / 3},
            "threshold": 0.5,
            "confusion": {"tp": ones // 7, "fp": ones // 31, "fn": ones // 24, "tn": rows // 6},
            "labels": {"0": rows - ones, "1": ones},
            "importances": {
                "department": 0.31,
                "type": 0.24,
                "brand": 0.13,
                "manufacturer": 0.11,
                "mean_price": 0.09,
                "weekly_sales": 0.06,
                "discount_share": 0.04,
                "first_week": 0.02,
            },
        }
    )


def history(*scores: tuple[float, bool]) -> list[dict[str, Any]]:
    return [
        {
            "version": f"1.{n // 4}.{n % 4}",
            "status": "Approved" if approved else "Rejected",
            "created": f"2025-{10 + n // 4:02d}-{1 + 7 * (n % 4):02d}T04:00:00+00:00",
            "metrics": {"roc_auc": score},
            "rows": {"train": 8000 + 400 * n, "validation": 2000 + 100 * n},
            "run": f"packaging-{n}",
        }
        for n, (score, approved) in enumerate(scores)
    ]


def whole_run() -> tuple[RunFacts, Results]:
    """Three approved, one rejected, one retry, a second wave."""
    jobs = [job("", "unload", 1, 2, 14)]
    at = {"mailer": 20.0, "bag": 20.2, "box": 20.4}
    for index, model in enumerate(at):
        clock = at[model]
        for step, seconds in (
            ("prepare", 21 + 3 * index),
            ("train", 62 + 20 * index),
            ("predict", 30),
            ("evaluate", 11),
        ):
            wait = 2.0 + 4 * index if step != "train" else 3 + 18 * index
            jobs.append(job(model, step, clock, wait, seconds))
            clock += wait + seconds + 0.4
    retried = next(one for one in jobs if one["model"] == "bag" and one["step"] == "predict")
    start = retried["started"]
    retried["attempts"] = [
        {"number": 1, "launched": start - 1, "started": start, "ended": start + 9, "failure": "AlgorithmError"},
        {"number": 2, "launched": start + 12, "started": start + 14, "ended": start + 30, "failure": ""},
    ]
    clock = 215.0
    for step, seconds in (("prepare", 33), ("train", 74), ("predict", 31), ("evaluate", 12)):
        jobs.append(job("own_container", step, clock, 2.5, seconds))
        clock += seconds + 3
    figures = {
        "mailer": (0.9312, 0.9288, 3100, 2980, 12600, 12020, "1.2.1"),
        "bag": (0.8871, 0.8894, 5210, 5040, 12600, 12020, "1.2.1"),
        "box": (0.8423, 0.9051, 7900, 4100, 12600, 12020, "1.2.1"),
        "own_container": (0.9577, None, 640, None, 12600, None, "1.0.0"),
    }
    models = {}
    for name, (score, before, ones, ones_before, rows, rows_before, version) in figures.items():
        now = evaluation(score, ones, rows)
        old = evaluation(before, ones_before or 0, rows_before or 0) if before else None
        verdict = judge(
            now,
            old,
            Gate(min_score=0.6),
            run="packaging-2026-01-05-030000-4f1c",
            family="packaging",
            model=name,
            version=version,
            change="patch" if old else "first",
            compared_with="1.2.0" if old else None,
        )
        past = [(0.91, True), (0.915, True), (0.87, False), (0.918, True), (0.921, True), (0.917, True), (0.923, True)]
        versions = (
            history(*past, (before, True), (score, verdict.outcome == "approve")) if before else history((score, True))
        )
        models[name] = ModelFacts(verdict, now, versions)
    facts = RunFacts("packaging-2026-01-05-030000-4f1c", plan(), jobs, models)
    results = [
        [
            {
                "model": name,
                "status": STATUS[models[name].verdict.outcome],  # type: ignore[union-attr]
                "version": figures[name][6],
            }
            for name in wave
        ]
        for wave in WAVES
    ]
    return facts, results


def partial_run() -> tuple[RunFacts, Results]:
    """One model failed after two attempts; the one that needs it never began its second step."""
    facts, results = whole_run()
    facts.jobs = [one for one in facts.jobs if not (one["model"] == "bag" and one["step"] in ("predict", "evaluate"))]
    train = next(one for one in facts.jobs if one["model"] == "bag" and one["step"] == "train")
    reason = 'ExecuteUserScriptError: Command "python train.py" → ValueError: <b>could not</b> convert "n/a" to float'
    train |= {"status": "Failed", "failure": "AlgorithmError", "reason": reason}
    start = train["started"]
    train["attempts"] = [
        {"number": 1, "started": start, "ended": start + 20, "failure": "AlgorithmError"},
        {"number": 2, "started": start + 26, "ended": start + 45, "failure": "AlgorithmError"},
    ]
    train["ended"] = start + 45
    facts.models["bag"] = ModelFacts(history=facts.models["bag"].history)
    cause = (
        f"Step train of model bag failed after 2 attempts: AlgorithmError: {reason} (job boxcar-bag-train-0123456789)"
    )
    results[0][1] = {"model": "bag", "status": "failed", "error": "AlgorithmError", "cause": cause}
    return facts, results


def unplanned_run() -> tuple[RunFacts, Results, dict[str, str]]:
    """The trigger could not be read: no plan, no job, no model."""
    cause = "s3://boxcar-data/triggers/training/x.json: is not JSON (Expecting value); it begins with '<script>alert(1)</script>'"
    return RunFacts("run-1"), [], {"error": "TriggerError", "cause": cause}


def failed_run() -> tuple[RunFacts, Results, dict[str, str]]:
    """The unload gave nothing."""
    unload = job("", "unload", 1, 2, 9, status="Failed", failure="NoRows", reason="0 rows, at least 100 are needed")
    cause = (
        "Step unload failed after 1 attempt: NoRows: 0 rows, at least 100 are needed (job boxcar-run-unload-0123456789)"
    )
    return RunFacts("run-2", plan(), [unload]), [], {"error": "NoRows", "cause": cause}
