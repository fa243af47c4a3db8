"""Data and code that cannot work: the run or the model fails by name, its siblings go on, science hears of it once.

And what becomes of a run that was stopped.
"""

import shutil
from pathlib import Path

from click.testing import CliRunner

from cli.main import boxcar
from local.client import wait_for
from tests.e2e.deployed import MODELS, Deployed, Run


def architecture_with(tmp_path: Path, train: str) -> Path:
    """A copy of the shipped architecture whose training begins with other code."""
    shutil.copytree(MODELS, tmp_path / "models")
    script = tmp_path / "models/boosted_trees/train.py"
    script.write_text(f"{train}\n")
    return tmp_path / "models"


def nothing_registered(stack: Deployed, family: str, *models: str) -> None:
    for model in models:
        assert stack.versions(family, model) == []
        assert stack.disagreements(family, model) == []


def test_an_unload_without_rows_stops_the_run(stack: Deployed) -> None:
    family = stack.small_family(where="t.product_id < 0")
    run = stack.run({"family": family})
    assert (run.status, run.error) == ("FAILED", "NoRows")
    text = stack.one_alarm(run.name, "science")
    assert "unload" in text and "minimum_rows" in text
    assert set(stack.jobs(run.name)) == {"/unload"}
    nothing_registered(stack, family, "mailer")


def test_labels_of_one_class_fail_their_model_and_no_other(stack: Deployed) -> None:
    family = stack.small_family("mailer", "bag", models__mailer__label="always")
    run = stack.run({"family": family})
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "partial")
    text = stack.one_alarm(run.name, "science")
    for part in ("InputError", family, "mailer", "prepare", "always"):
        assert part in text
    jobs = stack.jobs(run.name)
    assert len(jobs["mailer/prepare"]["attempts"]) == 1, "bad data is not tried again"
    assert "mailer/train" not in jobs
    nothing_registered(stack, family, "mailer")
    assert [version["version"] for version in stack.versions(family, "bag")] == ["1.0.0"]


def test_a_run_without_one_good_model_fails_but_alarms_once(stack: Deployed) -> None:
    family = stack.small_family("mailer", models__mailer__label="always")
    run = stack.run({"family": family})
    assert (run.status, run.error) == ("FAILED", "AllModelsFailed")
    assert f"boxcar runs restart {run.name}" in cli(stack, "runs", "redrive", run.name, code=1), "it would fail again"
    assert "InputError" in stack.one_alarm(run.name, "science")


def test_a_script_that_raises_is_tried_again_and_then_fails(stack: Deployed, tmp_path: Path) -> None:
    folder = architecture_with(tmp_path, "raise RuntimeError('the trees are gone')")
    family = stack.small_family("mailer", models_folder=folder)
    run = stack.run({"family": family})
    assert run.status == "FAILED"
    text = stack.one_alarm(run.name, "science")
    for part in ("AlgorithmError", "-m train", "mailer", "step train", "2 attempts"):
        assert part in text
    attempts = stack.jobs(run.name)["mailer/train"]["attempts"]
    assert [attempt["name"][-2:] for attempt in attempts] == ["-1", "-2"]
    nothing_registered(stack, family, "mailer")


def test_a_job_over_its_time_limit_is_stopped_and_not_tried_again(stack: Deployed, tmp_path: Path) -> None:
    folder = architecture_with(tmp_path, "import time; time.sleep(300)")
    family = stack.small_family("mailer", models_folder=folder, models__mailer__steps={"train": {"max_runtime_s": 1}})
    run = stack.run({"family": family})
    text = stack.one_alarm(run.name, "science")
    assert "TimeLimitExceeded" in text and "max_runtime_s" in text
    assert len(stack.jobs(run.name)["mailer/train"]["attempts"]) == 1
    nothing_registered(stack, family, "mailer")


def test_a_sequential_model_without_its_predecessor_says_so(stack: Deployed) -> None:
    family = stack.small_family("box", "own_container")
    run: Run = stack.run({"family": family, "models": ["own_container"]})
    assert run.status == "FAILED"
    text = stack.one_alarm(run.name, "science")
    assert "StepError" in text and "@box/approved.model" in text


def test_a_candidate_beyond_the_gate_is_rejected_and_the_approved_one_stays(stack: Deployed) -> None:
    family = stack.small_family("mailer", "bag")
    assert stack.run({"family": family}).output["status"] == "succeeded"
    document = {**stack.store.latest(family).family.model_dump(mode="json")}
    document["source"]["query"] = document["source"]["query"].replace("% 16 = 0", "% 64 = 0")  # a quarter of the rows
    stack.apply(document)
    run = stack.run({"family": family, "models": ["mailer"]})
    assert run.output["status"] == "succeeded"
    text = stack.one_alarm(run.name, "science")
    assert "rejected" in text and "mailer" in text and "row" in text
    newest, first = stack.versions(family, "mailer")
    assert (newest["status"], newest["is_approved"]) == ("Rejected", False)
    assert (first["version"], first["status"], first["is_approved"]) == ("1.0.0", "Approved", True)
    assert stack.disagreements(family, "mailer") == []


def test_a_second_version_is_weighed_beside_the_first_on_the_same_rows(stack: Deployed) -> None:
    family = stack.small_family("mailer")
    first = stack.run({"family": family})
    again = stack.run({"family": family})
    assert (first.output["status"], again.output["status"]) == ("succeeded", "succeeded")
    verdict = stack.versions(family, "mailer")[0]["verdict"]
    assert verdict["paired"] and verdict["compared_with"] == "1.0.0" and set(verdict["drift"])
    (drop,) = [one for one in verdict["criteria"] if one["name"] == "score_drop"]
    assert drop["figure"] == drop["low"] == drop["high"] == 0, "the same rows make the same model"


def test_a_stopped_run_goes_on_where_it_was_by_restart_and_by_redrive(stack: Deployed) -> None:
    family = stack.small_family("mailer", "bag", cached=True, defaults__parameters={"seed": 47, "threshold": 0.5})
    before = set(stack.executions())
    stack.upload({"family": family})
    run = stack.started_since(before)
    wait_for(lambda: "mailer/predict" in stack.jobs(run), why="the run came to no prediction", every=0.1)
    stack.session.client("stepfunctions").stop_execution(executionArn=stack.execution_arn(run))
    wait_for(lambda: all(job["status"] in ("Completed", "Stopped") for job in stack.jobs(run).values()))
    done = {key: job for key, job in stack.jobs(run).items() if job["status"] == "Completed"}
    assert {"/unload", "mailer/prepare", "mailer/train"} <= set(done)

    again = cli(stack, "runs", "restart", run).splitlines()[0]
    assert stack.wait(again).output["status"] == "succeeded"
    jobs = stack.jobs(again)
    hits = {key for key, job in jobs.items() if job["caching"]["outcome"] == "hit"}
    assert len(jobs) == 9 and hits == set(done), "no more and no less than what was done"
    assert all(jobs[key]["outputs"] == job["outputs"] for key, job in done.items())
    told = cli(stack, "runs", "explain", again)
    assert told.count(f"From run {run}") == len(done)
    assert f"{len(done)} of 9 steps cached" in cli(stack, "runs", "show", again)
    assert "cached, " in read_page(stack, again)

    cli(stack, "runs", "redrive", run)
    assert stack.wait(run).output["status"] == "succeeded"
    finished = stack.jobs(run)
    assert all(finished[key]["attempts"] == job["attempts"] for key, job in done.items())

    everything = cli(stack, "runs", "restart", again).splitlines()[0]
    assert stack.wait(everything).output["status"] == "succeeded"
    assert {job["caching"]["outcome"] for job in stack.jobs(everything).values()} == {"hit"}
    named = {version["version"] for version in stack.versions(family, "mailer")}
    assert named == {"1.0.0", "1.0.1"}, "the redriven run registered, too; the restart of a success did not"
    assert stack.disagreements(family, "mailer") == []


def cli(stack: Deployed, *arguments: str, code: int = 0) -> str:
    session = stack.session
    done = CliRunner().invoke(boxcar, ["--local", "--state", str(session.state), *arguments], env={"COLUMNS": "240"})
    assert done.exit_code == code, done.output
    return done.output


def read_page(stack: Deployed, run: str) -> str:
    s3 = stack.session.client("s3")
    body: bytes = s3.get_object(Bucket=stack.bucket, Key=f"reports/{run}/index.html")["Body"].read()
    return body.decode()
