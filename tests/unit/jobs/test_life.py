"""A job from submission to answer, when all goes well."""

import json

import pytest

from tests.unit.jobs.conftest import World, make_plan, make_step


@pytest.mark.parametrize("kind", ["training", "processing", "transform", "statement"])
def test_a_job_is_started_once_and_answers(moto_world: World, kind: str) -> None:
    world = moto_world
    job = world.submit(make_step("work", kind))
    world.run()

    done = world.table.get(job.id)
    assert done is not None and done.status == "Completed" and done.seconds == pytest.approx(60, abs=10)
    assert world.answer()["output"] == {
        "job": job.id, "step": "work", "outputs": done.outputs, "attempts": 1, "seconds": done.seconds,
    }  # fmt: skip
    assert world.held() == {} and world.open_items() == []
    jobs = {**world.sagemaker.jobs, **{job.name: job for job in world.redshift.jobs.values()}}
    assert list(jobs) == [f"{job.id}-1"]


def test_outputs_lie_where_the_next_step_looks_for_them(world: World) -> None:
    unload = make_step("unload", "statement")
    prepare = make_step("prepare", "processing", inputs={"data": "@unload.data"}, outputs=["train", "serving"])
    train = make_step("train", "training", inputs={"train": "@prepare.train"}, outputs=["model"])
    inputs = {"model": "@train.model", "data": "@prepare.serving"}
    predict = make_step("predict", "transform", inputs=inputs, outputs=["predictions"])
    plan = make_plan([prepare, train, predict], [unload])
    for step in (unload, prepare, train, predict):
        world.submit(step, token=step.name, plan=plan)
        world.run()
    name = next(name for name in world.sagemaker.jobs if "train" in name)
    assert world.answer("unload")["output"]["outputs"] == {"data": "s3://data/runs/run-1/_run/unload/1/data/"}
    assert world.answer("prepare")["output"]["outputs"]["train"] == "s3://data/runs/run-1/mailer/prepare/1/train/"
    assert world.answer("train")["output"]["outputs"] == {
        "model": f"s3://data/runs/run-1/mailer/train/1/{name}/output/model.tar.gz"
    }
    transform = next(job for job in world.sagemaker.jobs.values() if job.noun == "Transform").request
    source = transform["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == "s3://data/runs/run-1/mailer/prepare/1/serving/"


def test_a_processing_job_finds_its_config_and_code(world: World) -> None:
    world.submit(make_step("prepare", "processing", inputs={"data": "s3://data/in/"}, config={"key": "product"}))
    world.launch()
    body = world.s3.get_object(Bucket="data", Key="runs/run-1/mailer/prepare/1/config.json")["Body"].read()
    assert json.loads(body) == {"key": "product"}
    (job,) = world.sagemaker.jobs.values()
    inputs = {
        i["InputName"]: (i["S3Input"]["S3Uri"], i["S3Input"]["LocalPath"]) for i in job.request["ProcessingInputs"]
    }
    assert inputs == {
        "code": ("s3://data/code/trees-d/", "/opt/ml/processing/input/code"),
        "config": ("s3://data/runs/run-1/mailer/prepare/1/config.json", "/opt/ml/processing/input/config"),
        "data": ("s3://data/in/", "/opt/ml/processing/input/data"),
    }
    assert job.request["AppSpecification"]["ContainerEntrypoint"] == [
        "python3", "/opt/ml/processing/input/code/prepare.py",
    ]  # fmt: skip


def test_hyperparameters_are_json_texts(world: World) -> None:
    world.submit(make_step("train", config={"rounds": 10, "name": "a", "balanced": True}))
    world.launch()
    (job,) = world.sagemaker.jobs.values()
    given = {key: json.loads(value) for key, value in job.request["HyperParameters"].items()}
    assert given == {
        "rounds": 10, "name": "a", "balanced": True, "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "s3://data/code/trees-d.tar.gz", "sagemaker_region": "eu-west-1",
        "sagemaker_container_log_level": 20,
    }  # fmt: skip


def test_transforms_of_the_same_model_share_it(world: World) -> None:
    for run, data in (("monday", "s3://data/a/"), ("tuesday", "s3://data/b/")):
        inputs = {"model": "s3://data/m.tar.gz", "data": data}
        world.submit(make_step("predict", "transform", inputs=inputs), run=run, token=run)
    world.run()
    assert len(world.sagemaker.models) == 1 and len(world.sagemaker.jobs) == 2


def test_a_job_of_ones_own_needs_no_run(world: World) -> None:
    job = world.submit_own("sweep-1", make_step("train"))
    assert world.submit_own("sweep-1", make_step("train")).id == job.id
    world.run()
    done = world.table.get(job.id)
    assert done is not None and done.status == "Completed" and done.owner == "ann"
    assert done.outputs["model"].startswith("s3://data/runs/ann/sweep-1/_run/train/1/")
    assert world.states.sent == 0


def test_what_is_kept_of_a_job(world: World) -> None:
    world.submit(make_step("train"))
    world.run()
    (item,) = world.items()
    assert item["day"] == {"S": "2026-01-01"} and item["owner"] == {"S": "ann"} and item["family"] == {"S": "packaging"}
    assert item["instance_type"] == {"S": "ml.m5.large"}
    assert 89 < (int(item["expires"]["N"]) - world.clock()) / 86400 < 91
    attempt = item["attempts"]["L"][0]["M"]
    assert attempt["arn"]["S"].endswith("-1") and {"launched", "started", "ended", "name"} <= set(attempt)
    assert "queue" not in item and "due" not in item and "token" not in item
