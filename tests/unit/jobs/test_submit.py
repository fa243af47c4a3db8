"""The same submission again, redrives, and references that lead nowhere."""

import pytest

from boxcar.errors import StepError
from boxcar.jobs.names import job_id, parse_name
from boxcar.jobs.record import Job
from boxcar.jobs.submit import StepRequest
from boxcar.kinds import find, names
from tests.unit.jobs.conftest import SETTINGS, World, make_plan, make_step
from tests.unit.jobs.fakes import Ending


def test_a_retry_of_the_submission_replaces_the_token(world: World) -> None:
    first = world.submit(make_step("train"), token="one")
    assert world.submit(make_step("train"), token="one") == first
    assert world.submit(make_step("train"), token="two").id == first.id
    world.run()
    assert list(world.states.answers) == ["two"] and len(world.sagemaker.jobs) == 1


def test_a_token_can_be_replaced_while_the_job_runs(world: World) -> None:
    world.submit(make_step("train"), token="one")
    world.launch()
    world.submit(make_step("train"), token="two")
    world.run()
    assert list(world.states.answers) == ["two"] and len(world.sagemaker.jobs) == 1


def test_a_completed_job_answers_a_new_token_at_once(world: World) -> None:
    world.submit(make_step("train"), token="one")
    world.run()
    world.submit(make_step("train"), token="two")
    assert world.answer("two") == world.answer("one")
    world.submit(make_step("train"), token="two")
    assert world.states.sent == 2 and len(world.sagemaker.jobs) == 1


@pytest.mark.parametrize("ending", [Ending("Failed", "ClientError: x"), Ending("Stopped")])
def test_a_redrive_starts_afresh_what_failed(world: World, ending: Ending) -> None:
    world.sagemaker.endings["train"] = [ending, Ending("Failed", "AlgorithmError: y"), Ending()]
    job = world.submit(make_step("train", max_attempts=2), token="one")
    world.run()
    assert "error" in world.answer("one")
    world.submit(make_step("train", max_attempts=2), token="one")  # the first submission, delivered again
    assert world.open_items() == []
    world.submit(make_step("train", max_attempts=2), token="two")
    world.run()
    assert world.answer("two")["output"]["attempts"] == 2
    assert list(world.sagemaker.jobs) == [f"{job.id}-{number}" for number in (1, 2, 3)]


def test_a_redrive_finds_inputs_that_moved(world: World) -> None:
    world.sagemaker.endings["prepare"] = [Ending("Failed", "AlgorithmError: x"), Ending()]
    prepare = make_step("prepare", "processing", max_attempts=2)
    train = make_step("train", inputs={"train": "@prepare.train"})
    plan = make_plan([prepare, train])
    world.submit(prepare, token="p", plan=plan)
    world.run()
    job = world.submit(train, token="t", plan=plan)
    assert job.inputs == {"train": "s3://data/runs/run-1/mailer/prepare/2/train/"}


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("@nothing.data", ["there is no step 'nothing'", "prepare, train, unload exist"]),
        ("@unload.data", ["step 'unload' has not been submitted in run 'run-1'"]),
        ("@prepare.tests", ["there is no output 'tests'", "step prepare has the outputs serving, train"]),
        ("@train.model", ["step 'train' has not been submitted"]),
        ("@prepare", ["cannot be read", "@<step>.<output>"]),
        ("@box/approved.model", ["model 'box' of family 'packaging' has no approved version"]),
        ("@bag/approved.weights", ["there is no output 'weights'", "its approved version has the outputs model"]),
    ],
)
def test_a_reference_that_leads_nowhere_says_what_exists(world: World, reference: str, words: list[str]) -> None:
    prepare = make_step("prepare", "processing", outputs=["train", "serving"])
    train = make_step("train", inputs={"channel": reference})
    plan = make_plan([prepare, train], [make_step("unload", "statement")])
    world.submit(prepare, token="p", plan=plan)
    world.run()
    _approve(world, "bag")
    with pytest.raises(StepError) as refused:
        world.submit(train, token="t", plan=plan)
    for word in ["step train", "inputs.channel", reference, *words]:
        assert word in str(refused.value)


def test_a_step_that_is_not_done_is_no_input(world: World) -> None:
    plan = make_plan([make_step("prepare", "processing"), make_step("train", inputs={"c": "@prepare.train"})])
    world.submit(plan.models["mailer"].steps[0], plan=plan)
    with pytest.raises(StepError, match="step 'prepare' is New, not Completed"):
        world.submit(plan.models["mailer"].steps[1], plan=plan)


def test_an_approved_version_is_found(world: World) -> None:
    _approve(world, "box")
    job = world.submit(make_step("prepare", "processing", inputs={"upstream_box": "@box/approved.model"}))
    assert job.inputs == {"upstream_box": "s3://data/box/model.tar.gz"}


def test_what_may_be_missing_is_left_out_until_it_is_there(world: World) -> None:
    inputs = {"old": "@./approved.model?", "figures": "@./approved.evaluation?", "other": "@bag/approved.model?"}
    step = make_step("prepare", "processing", inputs=inputs)
    assert world.submit(step, token="one").inputs == {}
    _approve(world, "mailer")  # the model whose step it is
    later = world.submit(make_step("train", "processing", inputs=inputs), token="two")
    assert later.inputs == {"old": "s3://data/mailer/model.tar.gz"}


def test_a_job_of_no_model_has_no_approved_version_of_its_own(world: World) -> None:
    step = make_step("mine", "processing", inputs={"old": "@./approved.model?"})
    with pytest.raises(StepError, match="this job belongs to no model"):
        world.submit_own("mine", step)


def test_a_step_of_the_run_may_not_be_optional(world: World) -> None:
    with pytest.raises(StepError, match="only an approved version may be missing"):
        world.submit(make_step("train", inputs={"c": "@prepare.train?"}))


def _approve(world: World, model: str) -> None:
    outputs = {"M": {"model": {"S": f"s3://data/{model}/model.tar.gz"}}}
    item = {
        "pk": {"S": f"model#packaging/{model}"},
        "sk": {"S": "approved"},
        "outputs": outputs,
        "version": {"S": "1.0.0"},
    }
    world.dynamodb.put_item(TableName="models", Item=item)
    if "model#packaging/" + model in getattr(world.dynamodb, "tables", {}).get("models", {}):
        table = world.dynamodb.tables["models"]
        table[f"model#packaging/{model}|approved"] = table.pop(f"model#packaging/{model}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "spark"}, ["'spark' is not a kind", "batch, glue, processing, statement, training, transform"]),
        ({"image": "torch"}, ["step work: image: 'torch'", "xgboost"]),
        ({"script": None}, ["step work: script"]),
        ({"inputs": {"a": "/tmp/x"}}, ["step work: inputs.a: '/tmp/x'"]),
        ({"kind": "transform", "inputs": {"model": "s3://a/b"}}, ["takes `model` and `data`, not model"]),
        ({"kind": "transform", "options": {"splt": "Line"}}, ["options.splt", "split"]),
        ({"kind": "statement", "options": {}}, ["write one of `unload`"]),
        ({"kind": "statement", "options": {"unload": {"query": " "}}}, ["options.unload.query"]),
        ({"kind": "statement", "options": {"unload": {"query": "q", "format": "CSV"}}}, ["'CSV'", "PARQUET"]),
        ({"kind": "statement", "options": {"sql": "q", "rows": 1}}, ["options.rows"]),
        ({"kind": "statement", "options": {"unload": {"query": "q"}}, "outputs": ["rows"]}, ["one output `data`"]),
    ],
)
def test_a_step_that_cannot_work_is_refused_with_field_and_remedy(world: World, fields: dict, words: list[str]) -> None:
    step = make_step("work", fields.pop("kind", "training") if fields.get("kind") != "spark" else "training")
    step = step.model_copy(update=fields)
    with pytest.raises(StepError) as refused:
        world.submit(step)
    for word in words:
        assert word in str(refused.value)
    assert world.items() == []


def test_unknown_models_and_steps_of_a_plan(world: World) -> None:
    from boxcar.jobs.submit import StepRequest, find_step

    plan = make_plan([make_step("train")])
    with pytest.raises(StepError, match=r"models: there is no 'bag'; it has mailer"):
        find_step(StepRequest(run="run-1", model="bag", step="train"), plan, "boxcar")
    with pytest.raises(StepError, match=r"models.mailer.steps: there is no 'trian'; it has train"):
        find_step(StepRequest(run="run-1", model="mailer", step="trian"), plan, "boxcar")


def test_names() -> None:
    one = job_id("boxcar", "2026-01-05T02.00_x" * 9, "own_container", "prepare")
    assert len(one) <= 58 and one.startswith("boxcar-own-container-prepare-")
    long = job_id(
        "a-stack-with-quite-a-long-name", "run", "a_model_with_a_very_long_name_too", "a_step_of_thirty_letters_long"
    )
    assert len(long) <= 58 and long.startswith("a-stack-with-quite-a-long-name-") and "--" not in long
    assert job_id("s", "a", "b", "c") != job_id("s", "b", "b", "c")
    assert parse_name(f"{one}-12") == (one, 12)
    assert parse_name(one) is None and parse_name("x-0123456789-0") is None
    with pytest.raises(StepError, match="BOXCAR_STACK"):
        job_id("s" * 60, "run", "model", "step")


def test_every_file_among_the_kinds_is_a_kind() -> None:
    assert {"statement", "processing", "training", "transform"} <= set(names())
    for name in names():
        kind = find(name)
        assert kind.detail_types and kind.service
    assert SETTINGS.stack


def test_two_submissions_of_a_step_at_once_leave_no_task_unanswered(world: World) -> None:
    """A Lambda that is slow, and Step Functions' retry of it: the later token is the one that is waited for."""
    step, plan = make_step("train"), make_plan([make_step("train")])
    create = world.table.create

    def slower(job: Job) -> Job | None:
        world.table.create = create  # type: ignore[method-assign]
        world.submit(step, token="first", plan=plan)
        return create(job)

    world.table.create = slower  # type: ignore[method-assign]
    world.submit(step, token="second", plan=plan)
    world.run()
    assert "output" in world.answer("second") and len(world.sagemaker.jobs) == 1


def test_a_submission_that_died_before_its_wake_is_woken_for_by_its_repeat(world: World) -> None:
    step = make_step("train")
    world.submit(step)
    submitter = world.submitter()
    request = StepRequest(run="run-1", model="mailer", step="train", task_token="token")
    job = submitter.submit_step(request, make_plan([step]))
    assert [one.id for one in submitter.startable] == [job.id]
