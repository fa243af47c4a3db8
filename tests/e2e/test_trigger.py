"""A pipeline elsewhere starts a machine by its name, waits for the verdict, and is told what to write when it is wrong."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from cli.trigger import trigger
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
