"""A request, a family and its approved versions become a plan: pinned, windowed, sized."""

import copy
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from boxcar.errors import CountMismatch, FamilyError, TooManyRejects, TriggerError
from boxcar.evaluations import Evaluation
from boxcar.families import AppliedArchitecture, Family, FamilyVersion, Files
from boxcar.family_checks import check_family
from boxcar.inference.counts import check_split, with_sizes
from boxcar.inference.planning import file_sets, make_plan, outline, selected_models
from boxcar.inference.requests import InferenceRequest
from boxcar.inference.sizing import sized
from boxcar.inference.watermarks import Watermarks
from boxcar.plans import PlannedRun
from boxcar.requests import read_trigger
from boxcar.steps import Code, Resources, Step
from cli.architectures import read_architectures, read_yaml
from tests.unit.tables import make_table

FILE = Path("families/packaging.yaml")
SPECS = read_architectures(Path("models"))
SERVING_CODE = Code(digest="old", archive="s3://b/code/old.tar.gz", prefix="s3://b/code/old/")
MODELS = ["mailer", "bag", "box", "own_container"]


def stored(**changes: Any) -> FamilyVersion:
    document = {**copy.deepcopy(read_yaml(FILE)), **changes}
    code = Code(digest="new", archive="s3://b/code/new.tar.gz", prefix="s3://b/code/new/")
    return FamilyVersion(
        number=3, file=str(FILE), family=Family.model_validate(document),
        architectures={name: AppliedArchitecture(spec=spec, code=code) for name, spec in SPECS.items()},
    )  # fmt: skip


def approved(model: str, version: str = "1.2.3", **more: Any) -> dict[str, Any]:
    serving = next(step for step in SPECS["boosted_trees"].steps if step.kind == "transform")
    place = f"s3://b/models/packaging/{model}/{version}"
    return {
        "version": version, "threshold": 0.4, "evaluation": f"{place}/evaluation.json",
        "outputs": {"model": f"{place}/model.tar.gz"},
        "serving": serving.model_copy(update={"code": SERVING_CODE}).model_dump(mode="json"), **more,
    }  # fmt: skip


EVALUATION = Evaluation.model_validate(
    {
        "inputs": {"price": "numeric"},
        "score_bins": {"edges": [0.2, 0.8], "counts": [1, 2, 3]},
        "features": {},
        "sample": [],
    }
)


def plan(
    request: dict[str, Any],
    watermark: str | None = None,
    without: tuple[str, ...] = (),
    run: str = "run-1",
    at: str = "2026-11-26T10:00:00.123+00:00",
    after: str = "",
    approved_as: dict[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> Any:
    trigger, version = read_trigger(request, lambda *_: b"", InferenceRequest), stored(**changes)
    more = approved_as or {}
    versions = {
        name: None if name in without else approved(name, **more.get(name, {}))
        for name in selected_models(trigger, version)
    }
    evaluations = dict.fromkeys(versions, EVALUATION)
    return make_plan(trigger, version, versions, evaluations, watermark, run, at, after)


def test_each_model_is_pinned_to_its_approved_version_and_the_code_it_was_registered_with():
    made = plan({"family": "packaging"})
    assert list(made.models) == MODELS
    predict, load = made.models["box"].steps
    assert predict.inputs == {"model": "s3://b/models/packaging/box/1.2.3/model.tar.gz", "data": "@split.files/mailer/"}
    assert predict.code == SERVING_CODE
    assert load.options["parameters"] == {
        "model": "box", "version": "1.2.3", "threshold": "0.4", "run": "run-1", "predicted_at": "2026-11-26 10:00:00.123",
    }  # fmt: skip
    assert [step.name for step in made.steps] == ["tables", "unload", "split"]


@pytest.mark.parametrize(
    ("form", "sets"),
    [
        ("parquet", {"mailer": "mailer", "bag": "mailer", "box": "mailer"}),  # columns have names in it
        ("csv", {"mailer": "mailer", "bag": "bag", "box": "mailer"}),
    ],
)
def test_models_that_can_read_the_same_files_share_them(form, sets):
    inputs = {"price": "numeric", "brand": "categorical"}
    turned = dict(reversed(inputs.items()))
    assert file_sets({"mailer": inputs, "bag": turned, "box": dict(inputs)}, form) == sets


def test_a_model_without_an_approved_version_is_skipped_and_the_others_go_on():
    made = plan({"family": "packaging"}, without=("bag",))
    assert made.skipped == ["bag"] and "bag" not in made.models
    assert outline(made)["skipped"] == ["bag"]
    assert "IN ('mailer', 'box', 'own_container')" in made.steps[1].options["transaction"][-1]["unload"]["query"]


def test_without_any_approved_version_nothing_is_planned():
    made = plan({"family": "packaging"}, without=tuple(MODELS))
    assert (made.steps, made.models, made.skipped) == ([], {}, MODELS)


@pytest.mark.parametrize(
    ("request_", "watermark", "since", "bound"),
    [
        ({"scope": "daily"}, None, None, None),
        ({"scope": "daily"}, "2017-04-05 12:00:00.000000", "2017-03-06 12:00:00", {"since": "2017-03-06 12:00:00"}),
        ({"scope": "monthly"}, "2017-04-05 12:00:00.000000", None, None),
        (
            {"day": "2017-03-31"},
            None,
            "2017-03-31 00:00:00",
            {"since": "2017-03-31 00:00:00", "until": "2017-04-01 00:00:00"},
        ),
    ],
)
def test_the_window_of_each_scope(request_, watermark, since, bound):
    made = plan({"family": "packaging", **request_}, watermark)
    assert made.since == since
    assert made.steps[1].options.get("parameters") == bound


def test_what_the_split_may_think_of_time():
    """A row of two days from now is a fault; rejects are old only where a run looks back behind a watermark."""
    mark = "2017-04-05 12:00:00.000000"
    asked = {"daily": {"scope": "daily"}, "monthly": {"scope": "monthly"}, "day": {"day": "2017-03-31"}}
    made = {name: plan({"family": "packaging", **request}, mark) for name, request in asked.items()}
    assert {one.latest for one in made.values()} == {"2026-11-28 00:00:00"}
    config = {name: one.steps[2].config for name, one in made.items()}
    assert {one["latest"] for one in config.values()} == {"2026-11-28 00:00:00"}
    assert {name: one["watermark"] for name, one in config.items()} == {"daily": mark, "monthly": None, "day": None}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"models": ["bog"]}, "'bog' is not a model"),
        ({"day": "2017-03-31", "scope": "monthly"}, "day: is 2017-03-31 with scope 'monthly'"),
        ({"scope": "weekly"}, "scope"),
        ({"day": "31.3."}, "day"),
    ],
)
def test_what_cannot_be_asked_says_so(request_, words):
    with pytest.raises(TriggerError, match=words):
        plan({"family": "packaging", **request_})


def test_a_family_without_the_block_says_what_to_write():
    with pytest.raises(FamilyError, match=r"write inference\.query"):
        plan({"family": "packaging"}, inference=None)


def test_a_version_of_an_older_release_says_to_train_again():
    trigger, version = (
        read_trigger({"family": "packaging", "models": ["bag"]}, lambda *_: b"", InferenceRequest),
        stored(),
    )
    with pytest.raises(FamilyError, match="train the family again"):
        make_plan(
            trigger,
            version,
            {"bag": approved("bag", serving=None)},
            {"bag": EVALUATION},
            None,
            "r",
            "2026-11-26T10:00:00.123+00:00",
        )


def test_submitting_reads_the_plan_as_any_other():
    made = plan({"family": "packaging"})
    read = PlannedRun.model_validate_json(made.model_dump_json())
    assert read.predicted_at == made.predicted_at, "a restart reads it from there"
    assert [(model, step.name) for model, step in read.order][:5] == [
        ("", "tables"), ("", "unload"), ("", "split"), ("mailer", "predict"), ("mailer", "load"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"query": "SELECT product_id, first_seen, price FROM x"}, "selects no 'discount', which model mailer needs"),
        ({"query": "DELETE FROM x"}, r"inference\.query: is not a SELECT"),
        ({"prices": {"bog": 1}}, r"inference\.prices: 'bog' is not a model"),
        ({"prices": {"bag": -1}}, r"inference\.prices\.bag: is -1"),
        ({"rejects": {"ranges": {"brand": [0, 1]}}}, "'brand' is no numeric feature"),
        ({"rejects": {"ranges": {"price": [2, 1]}}}, "write the least first"),
        ({"table": "a; DROP TABLE b"}, "inference.table"),
        ({"key_type": "SUPER"}, "inference.key_type"),
    ],
)
def test_a_block_that_cannot_work_is_refused_when_it_is_applied(change, words):
    document = read_yaml(FILE)
    document["inference"] = {**document["inference"], **change}
    with pytest.raises(FamilyError, match=words):
        check_family(document, "f.yaml", SPECS)


def test_models_of_several_architectures_are_refused_with_the_reason_and_the_way_out():
    document = copy.deepcopy(read_yaml(FILE))
    document["models"]["bag"]["architecture"] = "other_trees"
    specs = {**SPECS, "other_trees": SPECS["boosted_trees"].model_copy(update={"architecture": "other_trees"})}
    with pytest.raises(FamilyError, match=r"boosted_trees, other_trees; .* Give each architecture a family of its own"):
        check_family(document, "f.yaml", specs)


COUNTS = {
    "rows": 100, "rejected": 3, "rejects": {"price is infinite": 3}, "first_seen": None,
    "models": {name: {"rows": 97, "files": [{"name": "a", "bytes": 40 * 2**20, "rows": 97}]} for name in MODELS},
}  # fmt: skip


def test_counts_that_match_pass_and_loads_learn_how_many_rows_must_come():
    made = plan({"family": "packaging"})
    check_split(made, 100, COUNTS)
    assert with_sizes(made, COUNTS).models["bag"].steps[1].options["parameters"]["rows"] == "97"


@pytest.mark.parametrize(("rows", "given", "who"), [(99, 97, "the split"), (100, 96, "bag"), (100, 98, "bag")])
def test_a_row_that_is_lost_or_doubled_stops_the_run(rows, given, who):
    counts = copy.deepcopy(COUNTS)
    counts["rows"] = rows
    counts["models"]["bag"]["rows"] = given
    with pytest.raises(CountMismatch, match=f"100 rows were unloaded, but {who}"):
        check_split(plan({"family": "packaging"}), 100, counts)


def test_too_many_rejects_stop_the_run_and_few_never_do():
    made = plan({"family": "packaging"})
    counts = {**copy.deepcopy(COUNTS), "rejected": 11, "rejects": {"price is infinite": 11}}
    counts["models"] = {name: {"rows": 89} for name in MODELS}
    with pytest.raises(TooManyRejects, match=r"11 of 100 rows were rejected \(price is infinite: 11\)"):
        check_split(made, 100, counts)
    counts["rejected"], counts["models"] = 10, {name: {"rows": 90} for name in MODELS}
    check_split(made, 100, counts)  # a share of 0.1, but no more than inference.rejects.allowed_rows


def test_rejects_that_earlier_runs_have_counted_do_not_fail_one_day_after_the_other():
    made = plan({"family": "packaging"})
    counts = {**copy.deepcopy(COUNTS), "rejected": 60, "rejected_before": 50, "rejects": {"price is infinite": 60}}
    counts["models"] = {name: {"rows": 40} for name in MODELS}
    check_split(made, 100, counts)
    counts["rejected_before"] = 49
    with pytest.raises(TooManyRejects, match="11 of 51 rows were rejected and 49 more of before the watermark"):
        check_split(made, 100, counts)


@pytest.mark.parametrize(
    ("form", "sizes_mb", "payload", "concurrency", "strategy", "instances"),
    [
        ("csv", [0.1], 1, 1, "MultiRecord", 1),
        ("csv", [10], 5, 2, "MultiRecord", 1),
        ("csv", [32] * 4, 6, 2, "MultiRecord", 1),
        ("csv", [32] * 5, 6, 2, "MultiRecord", 2),
        ("csv", [32] * 500, 6, 2, "MultiRecord", 8),
        ("parquet", [32] * 9, 33, 2, "SingleRecord", 3),
        ("parquet", [80], 81, 1, "SingleRecord", 1),
    ],
)
def test_a_transform_is_set_for_its_files(form, sizes_mb, payload, concurrency, strategy, instances):
    step = Step(name="predict", kind="transform", resources=Resources(instance_types=["ml.m5.large", "ml.m5.xlarge"]))
    done = sized(step, [int(size * 2**20) for size in sizes_mb], Files(format=form))
    options = done.options
    assert (options["payload_mb"], options["concurrency"], options["strategy"]) == (payload, concurrency, strategy)
    assert done.resources.instance_count == instances
    assert options["payload_mb"] * options["concurrency"] <= 100  # CreateTransformJob


def test_a_watermark_moves_forward_only_and_a_repeat_changes_nothing(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        make_table(dynamodb, "ModelsTable", "models")
        marks = Watermarks(dynamodb, "models")
        assert marks.oldest("packaging", ["bag", "box"]) is None
        marks.move("packaging", "bag", "2017-04-02 00:00:00.000000", "r2")
        assert marks.oldest("packaging", ["bag", "box"]) is None  # box has never predicted: everything is new to it
        marks.move("packaging", "box", "2017-04-01 00:00:00.000000", "r1")
        for _ in range(2):
            marks.move("packaging", "bag", "2017-04-01 00:00:00.000000", "r1")
        assert marks.get("packaging", "bag") == "2017-04-02 00:00:00.000000"
        assert marks.oldest("packaging", ["bag", "box"]) == "2017-04-01 00:00:00.000000"
