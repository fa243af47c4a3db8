"""The guide says nothing that the command, the request or the classes of failure do not know."""

import re
from pathlib import Path

import click
import pytest
import yaml

from boxcar import kinds
from boxcar.jobs.failures import Failure
from boxcar.steps import Resources
from cli.jobs import jobs
from cli.jobs.files import Changes, read_jobs

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs/jobs-guide.md").read_text()


@pytest.mark.parametrize("line", sorted(set(re.findall(r"(?:boxcar jobs|`…) ((?:[a-z]+)(?: [^`\n|&]+)?)", GUIDE))))
def test_every_command_and_option_exists(line):
    name, *words = line.split()
    command = jobs.commands[name]
    known = {option for parameter in command.params for option in parameter.opts if isinstance(parameter, click.Option)}
    assert {word for word in words if re.fullmatch(r"--?[a-z].*", word)} <= known


def test_every_class_of_failure_is_told():
    told = re.findall(r"^\| `([A-Z]\w+)` \|", GUIDE, re.M)
    # A shortage is tried again until it is a CapacityTimeout: no job ends with it.
    assert set(told) == {failure.value for failure in Failure} - {"CapacityError"}


def test_every_kind_and_resource_is_told():
    assert all(f"`{kind}`" in GUIDE for kind in kinds.names())
    assert all(f"`{field}`" in GUIDE for field in Resources.model_fields)


def test_the_job_and_the_sweep_of_the_guide_are_those_of_the_examples():
    shown = yaml.safe_load(GUIDE.split("```yaml")[1].split("```")[0])
    example = yaml.safe_load((ROOT / "events/jobs/train-trees.yaml").read_text())
    assert shown == {name: value for name, value in example.items() if name != "tags"}
    sweep = yaml.safe_load("sweep:" + GUIDE.split("```yaml")[2].split("sweep:")[1].split("```")[0])
    assert sweep["sweep"] == yaml.safe_load((ROOT / "events/jobs/sweep-trees.yaml").read_text())["sweep"]


def test_every_example_has_a_name_of_its_own_and_a_comment():
    for path in sorted((ROOT / "events/jobs").glob("*.yaml")):
        assert path.read_text().startswith("# ") and read_jobs([str(path)], Changes())
