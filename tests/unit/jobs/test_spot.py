"""Spot machines, checkpoints that the next attempt finds, and machines that wait for the next job."""

import pytest

from boxcar.errors import StepError
from tests.unit.jobs.conftest import World, make_step
from tests.unit.jobs.fakes import Ending


def test_spot_asks_for_spot_with_checkpoints_and_a_limit_on_waiting(world: World) -> None:
    world.submit_own("one", make_step("train", resources={"spot": "only"}, max_runtime_s=3600))
    world.launch()
    (job,) = world.sagemaker.jobs.values()
    assert job.request["EnableManagedSpotTraining"] is True
    assert job.request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600 + 4 * 3600}
    assert job.request["CheckpointConfig"] == {"S3Uri": "s3://data/runs/ann/one/_run/train/checkpoints"}
    assert world.held() == {"spot/ml.m5.large": 1}


def test_without_spot_the_next_attempt_is_on_demand_and_finds_the_checkpoints(world: World) -> None:
    world.sagemaker.endings["one"] = [Ending("Stopped", secondary="MaxWaitTimeExceeded"), Ending()]
    world.submit_own("one", make_step("train", resources={"spot": "prefer"}))
    world.run()
    first, second = world.sagemaker.jobs.values()
    assert "EnableManagedSpotTraining" in first.request and "EnableManagedSpotTraining" not in second.request
    assert first.request["CheckpointConfig"] == second.request["CheckpointConfig"]
    (item,) = world.items()
    assert item["status"] == {"S": "Completed"}


def test_checkpoints_without_spot_and_warm_machines(world: World) -> None:
    world.submit_own("one", make_step("train", resources={"checkpoints": True, "keep_alive_s": 600}))
    world.launch()
    (job,) = world.sagemaker.jobs.values()
    assert "CheckpointConfig" in job.request and job.request["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert "EnableManagedSpotTraining" not in job.request


@pytest.mark.parametrize(
    ("kind", "resources", "field"),
    [
        ("training", {"spot": "only", "keep_alive_s": 60}, "resources.keep_alive_s"),
        ("processing", {"spot": "prefer"}, "resources"),
        ("transform", {"checkpoints": True}, "resources"),
    ],
)
def test_what_sagemaker_does_not_have_is_refused(world: World, kind: str, resources: dict, field: str) -> None:
    with pytest.raises(StepError, match=field):
        world.submit_own("one", make_step("work", kind, resources=resources))
    assert world.items() == []
