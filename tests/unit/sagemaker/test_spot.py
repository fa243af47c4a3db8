"""Managed spot training: what is asked for, interruptions, limits, and what is billed. In virtual time."""

from typing import Any

import pytest

from local.faults import Faults
from local.sagemaker.service import SageMaker
from local.service import ApiError
from tests.unit.sagemaker.conftest import Api
from tests.unit.sagemaker.test_simulated import VirtualCloud, api, cloud, faults, sagemaker, spot, training

__all__ = ["api", "cloud", "faults", "sagemaker"]  # fixtures

CHECKPOINTS = {"CheckpointConfig": {"S3Uri": "s3://boxcar-data/checkpoints"}}


def test_a_job_goes_on_after_an_interruption_from_its_checkpoint(api: Api, cloud: VirtualCloud) -> None:
    course = {"provision_seconds": 60, "work_seconds": 1000, "interruptions": [600]}
    api.CreateTrainingJob(**training("kept", **course, more=spot(7200, **CHECKPOINTS)))
    detail = cloud.ended("kept")
    assert cloud.history("kept") == [
        ("Starting", 0), ("Downloading", 60), ("Training", 60), ("Interrupted", 660), ("Starting", 660),
        ("Downloading", 720), ("Training", 720), ("Uploading", 1120), ("Completed", 1120),
    ]  # fmt: skip
    assert detail["TrainingTimeInSeconds"] == 1000
    assert detail["BillableTimeInSeconds"] == 300  # the price of spot instances
    assert detail["TrainingStartTime"] == cloud.events[1]["detail"]["TrainingStartTime"]


def test_without_checkpoints_it_begins_again(api: Api, cloud: VirtualCloud) -> None:
    course = {"provision_seconds": 60, "work_seconds": 1000, "interruptions": [600]}
    api.CreateTrainingJob(**training("again", **course, more=spot(7200)))
    assert cloud.ended("again")["TrainingTimeInSeconds"] == 1600


def test_a_fault_interrupts_spot_jobs_and_no_others(api: Api, cloud: VirtualCloud, faults: Faults) -> None:
    faults.add({"job": "*", "outcome": "interrupt", "delay": 100})
    api.CreateTrainingJob(**training("spot", work_seconds=300, more=spot(7200, **CHECKPOINTS)))
    api.CreateTrainingJob(**training("demand", work_seconds=300))
    assert cloud.ended("spot")["TrainingTimeInSeconds"] == 300
    cloud.ended("demand")
    assert [status for status, _ in cloud.history("spot")].count("Interrupted") == 1
    assert [status for status, _ in cloud.history("demand")].count("Interrupted") == 0


@pytest.mark.parametrize(
    ("course", "statuses"),
    [
        ({"provision_seconds": 99_999}, ["Starting", "Stopping", "MaxWaitTimeExceeded"]),
        (
            {"work_seconds": 600, "outcome": "interrupt"},
            [
                "Starting", "Downloading", "Training", "Interrupted", "Starting", "Stopping", "MaxWaitTimeExceeded",
            ],
        ),
    ],
)  # fmt: skip
def test_it_waits_no_longer_than_it_said(
    api: Api, cloud: VirtualCloud, course: dict[str, Any], statuses: list[str]
) -> None:
    api.CreateTrainingJob(**training("waits", **course, more=spot(5000)))
    detail = cloud.ended("waits")
    assert [status for status, _ in cloud.history("waits")] == statuses
    assert cloud.history("waits")[-1] == ("MaxWaitTimeExceeded", 5000)
    assert detail["TrainingJobStatus"] == "Stopped"


def test_run_time_counts_over_interruptions(api: Api, cloud: VirtualCloud) -> None:
    course = {"provision_seconds": 100, "work_seconds": 90_000, "interruptions": [3000]}
    api.CreateTrainingJob(**training("long", **course, more=spot(86_400)))
    assert cloud.ended("long")["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert cloud.history("long")[-1] == ("MaxRuntimeExceeded", 100 + 3000 + 100 + 600)


@pytest.mark.parametrize(
    "condition", [{"MaxRuntimeInSeconds": 60}, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}]
)
def test_a_wait_shorter_than_the_run_is_refused(api: Api, condition: dict[str, int]) -> None:
    request = training("short", more={"EnableManagedSpotTraining": True, "StoppingCondition": condition})
    with pytest.raises(ApiError, match="Invalid MaxWaitTimeInSeconds"):
        api.CreateTrainingJob(**request)


def test_spot_instances_have_a_quota_of_their_own(api: Api, cloud: VirtualCloud, sagemaker: SageMaker) -> None:
    sagemaker.set_limit("ml.m5.large for spot training job usage", 1)
    with cloud.clock.hold():
        api.CreateTrainingJob(**training("one", work_seconds=60, more=spot(7200)))
        api.CreateTrainingJob(**training("demand", work_seconds=60))
        with pytest.raises(ApiError) as refused:
            api.CreateTrainingJob(**training("two", work_seconds=60, more=spot(7200)))
        assert sagemaker.limits() == {
            "ml.m5.large for spot training job usage": {"limit": 1, "used": 1},
            "ml.m5.large for training job usage": {"limit": None, "used": 1},
        }
        sagemaker.set_limit("ml.m5.large for spot training job usage", 2)
        api.CreateTrainingJob(**training("two", work_seconds=60, more=spot(7200)))
    assert refused.value.code == "ResourceLimitExceeded"
    assert "'ml.m5.large for spot training job usage' is 1 Instances, with current util" in refused.value.message
    cloud.ended("two")


@pytest.mark.parametrize(("name", "count"), [("m5.large", 1), ("ml.m5.large for fun usage", 1), ("ml.m5.large", -1)])
def test_what_is_no_quota_is_refused(sagemaker: SageMaker, name: str, count: int) -> None:
    with pytest.raises(ApiError, match=f"quota '{name}'"):
        sagemaker.set_limit(name, count)
