"""A request and a stored family become a plan, or a refusal that says what to write."""

import copy
import json
from pathlib import Path

import pytest

from boxcar.errors import FamilyError, TriggerError
from boxcar.families import AppliedArchitecture, Family, FamilyVersion
from boxcar.planning import make_plan, outline
from boxcar.requests import MAX_TRIGGER_BYTES, TrainingRequest, read_trigger
from boxcar.steps import Code
from cli.architectures import read_architectures, read_yaml

FILE = Path("families/packaging.yaml")
CODE = Code(digest="d1", archive="s3://b/code/boosted_trees-d1.tar.gz", prefix="s3://b/code/boosted_trees-d1/")
KEY = "triggers/training/packaging.json"


def s3_event(**thing: str) -> dict:
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": "b"}, "object": {"key": KEY, "etag": "e", "sequencer": "001", **thing}},
    }


def stored(**changes: object) -> FamilyVersion:
    document = {**copy.deepcopy(read_yaml(FILE)), **changes}
    specs = read_architectures(Path("models"))
    return FamilyVersion(
        number=3,
        file=str(FILE),
        family=Family.model_validate(document),
        architectures={name: AppliedArchitecture(spec=spec, code=CODE) for name, spec in specs.items()},
    )


def plan(request: dict, version: FamilyVersion | None = None):
    trigger = read_trigger(request, lambda *_: b"", TrainingRequest)
    return make_plan(trigger, version or stored(), "run-1", "2026-01-05T05:00:00+00:00")


def test_a_trigger_file_gives_request_source_and_claim():
    trigger = read_trigger(
        s3_event(), lambda bucket, key, version: json.dumps({"family": "packaging"}).encode(), TrainingRequest
    )
    assert trigger.request.family == "packaging"
    assert trigger.source == f"s3://b/{KEY}"
    assert trigger.claim


def test_the_same_event_has_the_same_claim_and_another_upload_another():
    body = lambda *_: b'{"family": "packaging"}'  # noqa: E731
    first, again, later = (
        read_trigger(s3_event(sequencer=s), body, TrainingRequest).claim for s in ("001", "001", "002")
    )
    assert first == again != later


def test_a_schedule_claims_its_hour_and_a_call_claims_nothing():
    scheduled = {"schedule": "weekly", "scheduled_at": "2026-01-05T05:00:00Z", "request": {"family": "packaging"}}
    next_week = {**scheduled, "scheduled_at": "2026-01-12T05:00:00Z"}
    claims = [read_trigger(event, lambda *_: b"", TrainingRequest).claim for event in (scheduled, scheduled, next_week)]
    assert claims[0] == claims[1] != claims[2]
    assert read_trigger({"family": "packaging"}, lambda *_: b"", TrainingRequest).claim is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"family: packaging", "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'"packaging"', "not an object"),
        (b"{}", "family"),
        (b'{"family": "packaging", "modles": ["box"]}', "modles"),
        (b'{"family": "packaging", "models": []}', "models"),
        (b" " * (MAX_TRIGGER_BYTES + 1), "larger than"),
    ],
)
def test_what_is_not_a_request_is_refused_with_file_and_advice(body, expected):
    with pytest.raises(TriggerError) as refused:
        read_trigger(s3_event(), lambda *_: body, TrainingRequest)
    assert f"s3://b/{KEY}" in str(refused.value)
    assert expected in str(refused.value)
    assert 'write {"family"' in str(refused.value)


def test_the_plan_says_what_each_model_runs_with():
    made = plan({"family": "packaging", "parameters": {"mailer": {"max_depth": 4}}})
    assert made.waves == [["mailer", "bag", "box"], ["own_container"]]
    steps = {step.name: step for step in made.models["mailer"].steps}
    assert list(steps) == ["prepare", "train", "predict", "evaluate"]
    assert steps["train"].config["max_depth"] == 4
    assert steps["prepare"].config["label"] == "mailer"
    assert steps["prepare"].code == CODE
    assert made.models["bag"].parameters["max_depth"] != 4


def test_a_sequential_model_reads_the_approved_version_of_the_one_before():
    prepare = plan({"family": "packaging"}).models["own_container"].steps[0]
    assert prepare.inputs["upstream_box"] == "@box/approved.model"
    assert prepare.config["upstream"] == ["box"]


def test_digests_tell_interface_from_code():
    base = plan({"family": "packaging"}).models
    tuned = plan({"family": "packaging", "parameters": {"mailer": {"max_depth": 4}}}).models
    assert tuned["mailer"].interface_digest == base["mailer"].interface_digest
    assert tuned["mailer"].code_digest != base["mailer"].code_digest
    assert tuned["bag"].code_digest == base["bag"].code_digest
    fewer = plan({"family": "packaging"}, stored(features={"numeric": ["price"], "categorical": []})).models
    assert fewer["mailer"].interface_digest != base["mailer"].interface_digest


def test_the_interface_of_a_sequential_model_holds_that_of_the_model_it_uses():
    base = plan({"family": "packaging"}).models
    models = copy.deepcopy(read_yaml(FILE)["models"])
    models["box"]["features"] = {"numeric": ["price"], "categorical": []}
    changed = plan({"family": "packaging"}, stored(models=models)).models
    assert changed["own_container"].interface_digest != base["own_container"].interface_digest
    assert changed["mailer"].interface_digest == base["mailer"].interface_digest


def test_two_plans_of_the_same_family_agree_to_the_byte():
    assert plan({"family": "packaging"}).model_dump_json() == plan({"family": "packaging"}).model_dump_json()


def test_a_family_changes_and_adds_steps_without_touching_the_architecture():
    models = copy.deepcopy(read_yaml(FILE)["models"])
    models["mailer"]["steps"] = {
        "train": {"max_runtime_s": 60},
        "audit": {"kind": "processing", "script": "evaluate.py", "after": "train", "outputs": ["notes"]},
    }
    steps = plan({"family": "packaging"}, stored(models=models)).models["mailer"].steps
    assert [step.name for step in steps] == ["prepare", "train", "audit", "predict", "evaluate"]
    assert steps[1].max_runtime_s == 60
    assert steps[1].outputs == ["model"]
    assert steps[2].config["label"] == "mailer"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"models": ["crate"]}, ["models", "'crate'", "mailer"]),
        ({"parameters": {"crate": {}}}, ["models", "'crate'"]),
        ({"parameters": {"mailer": {"max_depth": 0}}}, ["parameters.mailer.max_depth", "0", "at least"]),
        ({"parameters": {"mailer": {"depth": 3}}}, ["parameters.mailer.depth", "max_depth"]),
        ({"models": ["box"], "parameters": {"mailer": {"max_depth": 3}}}, ["'mailer'", "not among the models"]),
    ],
)
def test_what_the_family_does_not_have_is_refused(request_, expected):
    with pytest.raises(TriggerError) as refused:
        plan({"family": "packaging", **request_})
    for part in expected:
        assert part in str(refused.value)


def test_a_family_broken_in_the_table_is_refused_with_its_file():
    with pytest.raises(FamilyError, match=r"families/packaging\.yaml: source\.query"):
        plan({"family": "packaging"}, stored(source={"query": "DROP TABLE products"}))


def test_what_breaches_lead_to_is_laid_over_one_by_one():
    version = stored()
    document = version.family.model_dump(mode="json")
    document["gate"]["on_breach"] = {"label_shift": "review", "latency": "reject"}
    document["models"]["box"]["gate"] = {"on_breach": {"latency": "approve"}}
    made = plan({"family": "packaging"}, version.model_copy(update={"family": Family.model_validate(document)}))
    assert made.models["box"].gate.causes("latency") == "approve"
    assert made.models["box"].gate.causes("label_shift") == "review"
    assert made.models["mailer"].gate.causes("latency") == "reject"
    assert made.models["mailer"].gate.causes("score_drop") == "reject", "as long as nobody says otherwise"


def test_steps_hear_of_a_slice_only_when_the_gate_names_one():
    version = stored()
    document = version.family.model_dump(mode="json")
    document["gate"]["fairness"] = None
    document["models"]["box"]["gate"] = {"fairness": {"slice": "brand", "max_gap": 0.1, "min_rows": 70}}
    made = plan({"family": "packaging"}, version.model_copy(update={"family": Family.model_validate(document)}))
    steps = {name: {step.name: step.config for step in model.steps} for name, model in made.models.items()}
    for name in ("prepare", "evaluate"):
        assert steps["box"][name]["fairness"] == {"slice": "brand", "min_rows": 70}
        assert "fairness" not in steps["mailer"][name]
    assert "fairness" not in steps["box"]["train"]


def test_evaluate_is_given_the_approved_version_if_there_is_one():
    evaluate = plan({"family": "packaging"}).models["box"].steps[-1]
    assert evaluate.inputs["approved_model"] == "@./approved.model?"
    assert len(evaluate.inputs) + len(["code", "config"]) <= 10, "CreateProcessingJob takes ten inputs"


def test_the_machine_gets_names_and_limits_only():
    made = outline(plan({"family": "packaging", "models": ["box", "own_container"]}))
    assert [[model["model"] for model in wave] for wave in made["waves"]] == [["box"], ["own_container"]]
    assert all(step["timeout_s"] > 3600 for wave in made["waves"] for model in wave for step in model["steps"])
    assert made["owner"] == "packaging-science", "who is asked when the gate cannot decide"
    assert len(json.dumps(made)) < 2000
