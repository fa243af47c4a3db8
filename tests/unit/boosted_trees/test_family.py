"""The demo's family, its architecture and the sample triggers belong together, and the scripts know every parameter."""

import json
import re
from pathlib import Path

import pytest
import yaml

from boxcar.errors import TriggerError
from boxcar.families import AppliedArchitecture, FamilyVersion
from boxcar.family_checks import check_architecture, check_family
from boxcar.planning import make_plan
from boxcar.requests import TrainingRequest, read_trigger
from boxcar.steps import Code

from .work import CODE, ROOT

ARCHITECTURE = check_architecture(yaml.safe_load((CODE / "architecture.yaml").read_text()), "architecture.yaml")
DOCUMENT = yaml.safe_load((ROOT / "families" / "packaging.yaml").read_text())


def plan(event: dict):
    family = check_family(DOCUMENT, "families/packaging.yaml", {"boosted_trees": ARCHITECTURE})
    code = Code(digest="0" * 16, archive="s3://b/code/c.tar.gz", prefix="s3://b/code/c/")
    applied = AppliedArchitecture(spec=ARCHITECTURE, code=code)
    version = FamilyVersion(
        number=1, file="families/packaging.yaml", family=family, architectures={"boosted_trees": applied}
    )
    return make_plan(
        read_trigger(event, lambda *_: b"", TrainingRequest), version, "run-1", "2026-01-05T05:00:00+00:00"
    )


def sample(name: str) -> dict:
    return json.loads((ROOT / "events" / name).read_text())


def test_the_family_trains_own_container_after_box_with_its_predictions():
    made = plan(sample("training.json"))
    assert made.waves == [["mailer", "bag", "box"], ["own_container"]]
    steps = {step.name: step for step in made.models["own_container"].steps}
    assert list(steps) == ["prepare", "train", "predict", "evaluate"]
    assert steps["prepare"].inputs == {"data": "@unload.data", "upstream_box": "@box/approved.model"}
    assert steps["prepare"].config["upstream"] == ["box"]


def test_the_second_trigger_asks_for_two_models_with_parameters():
    made = plan(sample("training-two-models.json"))
    assert made.waves == [["mailer", "box"]]
    assert made.models["mailer"].parameters["max_depth"] == 4
    assert made.models["box"].parameters["max_depth"] == ARCHITECTURE.parameters["max_depth"].default


def test_the_weekly_schedule_is_a_request():
    assert plan(sample("schedule-weekly.json")).source == "schedule boxcar-weekly-training at 2026-01-05T05:00:00Z"


def test_parameters_out_of_range_name_their_bound():
    with pytest.raises(TriggerError, match=r"parameters\.mailer\.max_depth: is 99; write a value of at most 16"):
        plan({"family": "packaging", "parameters": {"mailer": {"max_depth": 99}}})


def test_the_training_script_takes_every_parameter_of_the_architecture_and_no_other(trained):
    summary = json.loads((trained["box"].folder / "train" / "model" / "training.json").read_text())
    assert set(summary["parameters"]) == set(ARCHITECTURE.parameters)


def test_every_parameter_is_described():
    assert all(len(parameter.description) > 10 for parameter in ARCHITECTURE.parameters.values())


def test_scripts_of_the_steps_exist_and_know_nothing_of_boxcar():
    assert all((CODE / step.script).exists() for step in ARCHITECTURE.steps)
    for script in CODE.glob("*.py"):
        assert not re.search(r"^\s*(from|import) (boxcar|cli|local|functions)\b", script.read_text(), re.MULTILINE), (
            script
        )


def test_no_feature_gives_a_label_away():
    features = {*DOCUMENT["features"]["numeric"], *DOCUMENT["features"]["categorical"]}
    assert not features & {"package_size", "mailer", "bag", "box", "own_container"}
    assert "package_size" not in DOCUMENT["source"]["query"]


@pytest.mark.parametrize("path", sorted((ROOT / "events").glob("*.json")), ids=lambda path: path.name)
def test_samples_are_in_the_table_of_their_readme(path: Path):
    json.loads(path.read_text())
    assert f"`{path.name}`" in (ROOT / "events" / "README.md").read_text()
