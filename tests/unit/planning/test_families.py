"""A family file is refused with file, field, value and advice, or it is good."""

import copy
from pathlib import Path

import pytest

from boxcar.errors import FamilyError
from boxcar.families import Architecture, waves
from boxcar.family_checks import check_architecture, check_family
from cli.architectures import read_architectures, read_yaml

FILE = "families/packaging.yaml"


@pytest.fixture(scope="module")
def architectures() -> dict[str, Architecture]:
    return read_architectures(Path("models"))


@pytest.fixture
def document() -> dict:
    return copy.deepcopy(read_yaml(Path(FILE)))


def refusal(document: dict, architectures: dict) -> str:
    with pytest.raises(FamilyError) as refused:
        check_family(document, FILE, architectures)
    return str(refused.value)


def test_the_shipped_family_is_valid_and_trains_own_container_after_box(document, architectures):
    family = check_family(document, FILE, architectures)
    assert waves(family, list(family.models)) == [["mailer", "bag", "box"], ["own_container"]]


def test_a_model_that_is_not_selected_holds_nobody_back(document, architectures):
    family = check_family(document, FILE, architectures)
    assert waves(family, ["own_container", "mailer"]) == [["own_container", "mailer"]]


def test_a_cycle_is_named_in_full(document, architectures):
    document["models"]["box"]["after"] = ["own_container"]
    message = refusal(document, architectures)
    assert FILE in message
    assert "box" in message and "own_container" in message and "wait for each other" in message


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM products",
        "SELECT 1; DROP TABLE products",
        "SELECT * INTO copies FROM products",
        "CREATE TABLE t AS SELECT 1",
        "UPDATE products SET brand = 'x'",
        "WITH gone AS (DELETE FROM products RETURNING *) SELECT * FROM gone",
        "GRANT SELECT ON products TO PUBLIC",
        "",
        "SELEC 1",
    ],
)
def test_what_is_not_a_select_is_refused(document, architectures, query):
    document["source"]["query"] = query
    message = refusal(document, architectures)
    assert message.startswith(f"{FILE}: source.query")
    assert "write one SELECT" in message


@pytest.mark.parametrize(
    "query", ["WITH a AS (SELECT 1 AS x) SELECT * FROM a", "SELECT 1 UNION ALL SELECT 2", "SELECT 'a;b'"]
)
def test_other_ways_to_select_are_fine(document, architectures, query):
    document["source"]["query"] = query
    check_family(document, FILE, architectures)


def change(document: dict, path: str, value: object) -> None:
    *parents, last = path.split("/")
    for part in parents:
        document = document.setdefault(part, {})
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("defaults/architecture", "boosted_tree", ["defaults.architecture", "'boosted_tree'", "boosted_trees"]),
        ("models/box/architecture", "forest", ["models.box.architecture", "'forest'", "boosted_trees"]),
        ("models/box/after", ["crate"], ["models.box.after", "'crate'", "mailer"]),
        ("models/mailer/parameters", {"max_depth": 99}, ["models.mailer.parameters.max_depth", "99", "at most"]),
        ("models/mailer/parameters", {"max_depth": "6"}, ["models.mailer.parameters.max_depth", "'6'", "integer"]),
        ("models/mailer/parameters", {"max_depth": True}, ["models.mailer.parameters.max_depth", "True", "integer"]),
        ("models/mailer/parameters", {"depth": 6}, ["models.mailer.parameters.depth", "max_depth"]),
        ("models/mailer/gate", {"max_score_drop": -1}, ["models.mailer.gate", "max_score_drop", "-1"]),
        ("gate/metric", "f1", ["models.mailer.gate: metric: is 'f1'; write one of roc_auc"]),
        ("gate/on_breach", {"latensy": "review"}, ["gate.on_breach.latensy", "'latency'"]),
        ("gate/on_breach", {"latency": "shrug"}, ["gate.on_breach.latency", "'shrug'", "'review' or 'reject'"]),
        ("gate/fairness", {"slice": "bag", "max_gap": 0.1}, ["fairness.slice: 'bag' is a label"]),
        ("models/mailer/gate", {"fairness": {"slice": "brand"}}, ["models.mailer.gate", "fairness.max_gap"]),
        ("models/mailer/steps", {"polish": {"max_attempts": 1}}, ["models.mailer.steps.polish", "kind"]),
        ("validation/ratio", 1.5, ["validation.ratio", "1.5"]),
        ("models/box/uses_predictions_of", [*"abcdefgh"], ["models.box.uses_predictions_of", "at most 7"]),
        ("colour", "red", ["colour", "is not a field"]),
        ("models/mailer/lable", "x", ["models.mailer.lable", "is not a field"]),
        ("features/numeric", ["mailer"], ["features", "'mailer'", "label"]),
        ("key", "product id; drop", ["key", "product id; drop"]),
    ],
)
def test_each_fault_names_its_field_and_value(document, architectures, path, value, expected):
    change(document, path, value)
    message = refusal(document, architectures)
    assert FILE in message
    for part in expected:
        assert part in message


def test_every_fault_is_named_at_once(document, architectures):
    document["models"]["box"]["after"] = ["crate"]
    document["models"]["mailer"]["parameters"] = {"max_depth": 99}
    message = refusal(document, architectures)
    assert "crate" in message and "99" in message


def test_an_architecture_whose_default_breaks_its_own_limit_is_refused():
    document = {
        "architecture": "a",
        "image": "xgboost",
        "parameters": {"depth": {"type": "integer", "default": 0, "minimum": 1}},
        "steps": [{"name": "train", "kind": "training"}],
    }
    with pytest.raises(FamilyError, match=r"models/a.*parameters\.depth\.default is 0"):
        check_architecture(document, "models/a/architecture.yaml")


def test_yaml_that_does_not_parse_names_file_and_line(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("family: packaging\nmodels: [\n")
    with pytest.raises(FamilyError, match=r"(?s)broken\.yaml.*line 3"):
        read_yaml(broken)
