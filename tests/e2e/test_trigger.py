"""A pipeline elsewhere starts a machine by its name, waits for the verdict, and is told what to write when it is wrong."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from cli.trigger import trigger
from local.client import wait_for
from tests.e2e.deployed import Deployed


def triggered(stack: Deployed, folder: Path, machine: str, asked: dict, *options: str) -> Result:
    (folder / "asked.json").write_text(json.dumps(asked))
    arguments = [machine, "--input", str(folder / "asked.json"), "--every", "0.5", *options]
    return CliRunner().invoke(trigger, arguments, obj=stack.session)


def test_training_once_a_pipeline_and_its_verdict(stack: Deployed, tmp_path: Path) -> None:
    family = stack.small_family("mailer")
    done = triggered(stack, tmp_path, "training", {"family": family}, "--token", "pipeline-1", "--wait")
    assert done.exit_code == 0, done.output
    run = done.output.split("\n")[0]
    assert f"{run}  SUCCEEDED" in done.output
    assert done.output.split("\n")[2].split() == ["mailer", "approved", "1.0.0"]
    again = triggered(stack, tmp_path, "training", {"family": family}, "--token", "pipeline-1", "--wait")
    assert f"{run}  was started before with this token" in again.output and again.exit_code == 0
    assert [name for name in stack.executions() if name.startswith(family)] == [run]


def test_what_is_wrong_starts_nothing_and_says_what_to_write(stack: Deployed, tmp_path: Path) -> None:
    before = stack.executions()
    for machine, asked, why in (
        ("baking", {}, "machine: there is no 'baking'; write one of benchmark, inference"),
        ("training", {"family": "packing"}, "family: 'packing' was never applied"),
        ("benchmark", {"benchmark": "Big Sweep"}, "benchmark"),
    ):
        refused = triggered(stack, tmp_path, machine, asked)
        assert refused.exit_code == 1 and why in refused.output, refused.output
    assert stack.executions() == before


def test_a_throttled_start_is_asked_again_and_starts_one_run(empty_stack: Deployed, tmp_path: Path) -> None:
    fault = {"service": "states", "action": "StartExecution", "error": "ThrottlingException"}
    empty_stack.cloud.add_fault(**fault, caller="*TriggerMachine*", count=2)
    family = empty_stack.small_family("mailer", models__mailer__serving={})
    done = triggered(empty_stack, tmp_path, "release", {"family": family, "model": "mailer"}, "--token", "pipeline-2")
    assert done.exit_code == 0, done.output
    assert len(empty_stack.cloud.faults()["fired"]) == 2
    ended = empty_stack.wait(done.output.strip())
    assert ended.error == "VersionNotApproved", "the machine was asked, and has nothing to release"
    alarms = wait_for(lambda: empty_stack.mails(ended.name), why="nobody was told")
    assert len(alarms) == 1, "there was one run"


def test_a_familys_policy_trains_what_it_wants_and_says_why(stack: Deployed) -> None:
    """What the schedule puts on the queue, twice, since it may."""
    policy = {"max_age_days": 30, "min_new_labels": 10, "drift": True}
    fresh = stack.small_family("mailer", retraining=policy)
    trained = stack.run({"family": fresh})
    assert trained.status == "SUCCEEDED", trained
    untrained = stack.small_family("mailer", retraining={"max_age_days": 30})
    before = set(stack.executions())
    sqs, stamp = stack.session.client("sqs"), {"schedule": "boxcar-retraining", "scheduled_at": "2026-11-26T05:00:00Z"}
    queue = sqs.get_queue_url(QueueName=f"{stack.session.stack}-retraining")["QueueUrl"]
    for _ in range(2):
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(stamp))
    run = stack.started_since(before, 120)
    assert run.startswith(untrained) and stack.wait(run).status == "SUCCEEDED"
    told = wait_for(lambda: decisions(stack, fresh) and decisions(stack, untrained), 60)
    assert "mailer: train: no version of it is approved" in told and run in told
    assert "mailer: leave: was trained today, and is at most every 3 days" in decisions(stack, fresh)
    assert {name for name in stack.executions() if name not in before} == {run}


def decisions(stack: Deployed, family: str) -> str:
    """What waits for the digest about a family, or nothing."""
    table = stack.session.outputs["JobsTableName"]
    items = stack.session.client("dynamodb").scan(TableName=table)["Items"]
    return "".join(
        " ".join(item["text"]["S"].split())
        for item in items
        if item["pk"]["S"].startswith(f"alarm#retraining:{family}:") and "text" in item
    )
