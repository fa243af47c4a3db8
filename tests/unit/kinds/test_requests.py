"""What Batch and Glue are asked for, and which steps are refused before anybody is asked."""

import json

import pytest

from boxcar.errors import StepError
from boxcar.kinds import find
from boxcar.settings import Settings
from tests.unit.jobs.conftest import CODE
from tests.unit.kinds.worlds import batch_step, glue_step

INPUTS = {"rows": "s3://data/rows/"}


def test_a_batch_job_is_told_where_everything_is(world):
    options = {"environment": {"COLOUR": "red"}, "vcpus": 0.5, "memory_mb": 1024}
    step = batch_step(inputs=INPUTS, config={"depth": 3}, options=options, max_runtime_s=600)
    job = world.submit(step)
    world.launch()
    [run] = world.batch.runs.values()
    overrides = run.request["containerOverrides"]
    environment = {item["name"]: item["value"] for item in overrides["environment"]}
    assert environment == {
        "COLOUR": "red",
        "BOXCAR_ATTEMPT": f"{job.id}-1",
        "BOXCAR_CONFIG": '{"depth": 3}',
        "BOXCAR_INPUT_ROWS": "s3://data/rows/",
        "BOXCAR_OUTPUT_DATA": "s3://data/runs/run-1/mailer/work/1/data/",
    }
    assert overrides["command"] == ["python3", "-V"]
    assert {item["type"]: item["value"] for item in overrides["resourceRequirements"]} == {
        "VCPU": "0.5",
        "MEMORY": "1024",
    }
    assert run.request["jobName"] == f"{job.id}-1"
    assert run.request["timeout"] == {"attemptDurationSeconds": 600}
    assert run.request["retryStrategy"] == {"attempts": 1}
    assert "arrayProperties" not in run.request


def test_a_batch_step_may_bring_its_code(world):
    world.submit(batch_step(script="work.py", code=CODE, options={"command": None}))
    world.launch()
    [run] = world.batch.runs.values()
    command = run.request["containerOverrides"]["command"]
    assert (command[:2], command[3]) == (["python3", "-c"], "work.py")
    compile(command[2], "fetch", "exec")
    environment = {item["name"]: item["value"] for item in run.request["containerOverrides"]["environment"]}
    assert environment["BOXCAR_CODE"] == CODE["archive"]


def test_limits_of_batch(world):
    """Not under a minute; an array of the size that is asked for."""
    world.submit(batch_step(max_runtime_s=5, options={"array_size": 3}))
    world.launch()
    [run] = world.batch.runs.values()
    assert run.request["timeout"] == {"attemptDurationSeconds": 60}
    assert run.request["arrayProperties"] == {"size": 3}


def test_a_glue_run_is_told_by_arguments(world):
    arguments = {"--colour": "red"}
    options = {"arguments": arguments, "worker_type": "G.1X", "workers": 2}
    step = glue_step(inputs=INPUTS, config={"depth": 3}, script="work.py", code=CODE, options=options, max_runtime_s=61)
    job = world.submit(step)
    world.launch()
    [run] = world.glue.runs.values()
    assert run.request == {
        "JobName": "boxcar-python",
        "Timeout": 2,
        "WorkerType": "G.1X",
        "NumberOfWorkers": 2,
        "Arguments": {
            "--colour": "red",
            "--boxcar_attempt": f"{job.id}-1",
            "--boxcar_config": json.dumps({"depth": 3}),
            "--boxcar_input_rows": "s3://data/rows/",
            "--boxcar_output_data": "s3://data/runs/run-1/mailer/work/1/data/",
            "--scriptLocation": "s3://data/code/trees-d/work.py",
        },
    }
    found = world.table.get(job.id)
    assert found is not None and found.attempts[0].arn == "boxcar-python/run-0"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"options": {"queue": "other-queue"}}, ["options.queue", "'other-queue'", "boxcar-python"]),
        ({"options": {"queue": None}}, ["options.queue"]),
        ({"options": {"definition": "mine"}}, ["options.definition", "begins with the stack's"]),
        ({"options": {"commands": []}}, ["options.commands", "command"]),
        ({"options": {"command": "python3 -V"}}, ["options.command", "list of texts"]),
        ({"options": {"command": []}}, ["options.command"]),
        ({"options": {"command": None}}, ["script", "options.command"]),
        ({"options": {"environment": {"A": 1}}}, ["options.environment"]),
        ({"options": {"environment": {"BOXCAR_CONFIG": "x"}}}, ["options.environment.BOXCAR_CONFIG"]),
        ({"options": {"vcpus": "2"}}, ["options.vcpus", "'2'", "0.25"]),
        ({"options": {"array_size": 1}}, ["options.array_size", "from 2 to 10000"]),
        ({"options": {"memory_mb": 0.5}}, ["options.memory_mb"]),
        ({"options": {"memory_mb": 512.5}}, ["whole number"]),
        ({"image": "xgboost"}, ["image", "job definition"]),
        ({"resources": {"spot": "prefer"}}, ["resources", "spot"]),
        ({"config": {"text": "x" * 7000}}, ["config", "6144", "input"]),
    ],
)
def test_a_batch_step_that_cannot_work(world, fields, words):
    with pytest.raises(StepError) as refused:
        world.submit(batch_step(**fields))
    assert all(word in str(refused.value) for word in ["step work", *words]), refused.value


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"options": {"job": "nightly"}}, ["options.job", "'nightly'", "boxcar-python"]),
        ({"options": {"jobs": "x"}}, ["options.jobs"]),
        ({"options": {"arguments": {"colour": "red"}}}, ["options.arguments.colour", "--"]),
        ({"options": {"arguments": {"--boxcar_config": "{}"}}}, ["options.arguments.--boxcar_config"]),
        ({"options": {"arguments": {"--depth": 3}}}, ["options.arguments", "texts"]),
        ({"options": {"worker_type": "G.1X"}}, ["options.worker_type", "workers"]),
        ({"script": "work.py"}, ["script", "code"]),
        ({"image": "xgboost"}, ["image"]),
        ({"resources": {"checkpoints": True}}, ["resources"]),
        ({"max_runtime_s": 8 * 86400}, ["max_runtime_s", "604800"]),
    ],
)
def test_a_glue_step_that_cannot_work(world, fields, words):
    with pytest.raises(StepError) as refused:
        world.submit(glue_step(**fields))
    assert all(word in str(refused.value) for word in ["step work", *words]), refused.value


def test_who_does_not_know_the_stack_checks_the_rest():
    """The command checks a file before it submits it, and may not know which stack it is for."""
    for kind, step in (("batch", batch_step()), ("glue", glue_step())):
        find(kind).check(step, Settings())
    with pytest.raises(StepError, match="<stack>-python"):
        find("batch").check(batch_step(options={"queue": "plain"}), Settings())
    with pytest.raises(StepError, match="<stack>-python"):
        find("glue").check(glue_step(options={"job": ""}), Settings())
