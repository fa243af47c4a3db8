"""Warm pools: instances kept for the next job, quotas, and how pools end. In virtual time."""

from collections.abc import Callable
from typing import Any

import pytest

from local.sagemaker.service import SageMaker
from local.service import ApiError
from tests.unit.sagemaker.conftest import Api
from tests.unit.sagemaker.test_simulated import VirtualCloud, api, cloud, faults, poll, sagemaker, spot, training

__all__ = ["api", "cloud", "faults", "sagemaker"]  # fixtures
TRAINING, POOL = "ml.m5.large for training job usage", "ml.m5.large for training warm pool usage"


def warm(name: str, keep: int = 600, volume: int = 10, **course: Any) -> dict[str, Any]:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": volume}
    resources |= {"KeepAlivePeriodInSeconds": keep} if keep else {}
    return training(
        name, **{"provision_seconds": 120, "work_seconds": 60, **course}, more={"ResourceConfig": resources}
    )


def pool(api: Api, name: str) -> dict[str, Any]:
    told: dict[str, Any] = api.DescribeTrainingJob(TrainingJobName=name)["WarmPoolStatus"]
    return told


def at_the_end(cloud: VirtualCloud, name: str, call: Callable[[], Any]) -> None:
    """Do something at the moment of a job's last event."""
    emit = cloud.emit

    def emit_and_call(source: str, kind: str, detail: dict[str, Any], resources: list[str]) -> None:
        if detail["TrainingJobName"] == name and detail["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            call()
        emit(source, kind, detail, resources)

    cloud.emit = emit_and_call  # type: ignore[method-assign]


def test_the_next_job_starts_at_once_on_the_instances_of_the_one_before(
    api: Api, cloud: VirtualCloud, sagemaker: SageMaker
) -> None:
    sagemaker.set_limit(TRAINING, 1)
    at_the_end(cloud, "first", lambda: api.CreateTrainingJob(**warm("second", keep=0)))
    with cloud.clock.hold():
        api.CreateTrainingJob(**warm("first"))
        assert pool(api, "first") == {"Status": "InUse"}
    detail = cloud.ended("second")
    assert cloud.history("second") == [
        ("Starting", 180), ("Downloading", 180), ("Training", 180), ("Uploading", 240), ("Completed", 240),
    ]  # fmt: skip
    assert cloud.ended("first")["WarmPoolStatus"] == {"Status": "Available"}
    told = {"Status": "Reused", "ReusedByJob": "second", "ResourceRetainedBillableTimeInSeconds": 0}
    assert pool(api, "first") == told
    assert detail["WarmPoolStatus"]["Status"] == "Terminated"  # it asked for nothing to be kept
    assert sagemaker.limits() == {TRAINING: {"limit": 1, "used": 0}}


def test_a_pool_that_nobody_takes_ends_and_is_billed_for_its_time(
    api: Api, cloud: VirtualCloud, sagemaker: SageMaker
) -> None:
    seen: list[Any] = []
    at_the_end(cloud, "alone", lambda: seen.append(sagemaker.limits()))
    api.CreateTrainingJob(**warm("alone", keep=900))
    poll(lambda: pool(api, "alone")["Status"] == "Terminated")
    assert pool(api, "alone") == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 900}
    assert seen == [{TRAINING: {"limit": None, "used": 1}, POOL: {"limit": None, "used": 1}}]  # it counts as both
    assert sagemaker.limits() == {}


def test_a_job_that_differs_waits_for_instances_of_its_own(api: Api, cloud: VirtualCloud, sagemaker: SageMaker) -> None:
    sagemaker.set_limit(TRAINING, 1)
    refused: list[str] = []

    def another() -> None:
        with pytest.raises(ApiError) as error:
            api.CreateTrainingJob(**warm("other", volume=20))
        refused.append(error.value.code)

    at_the_end(cloud, "first", another)
    api.CreateTrainingJob(**warm("first"))
    poll(lambda: pool(api, "first")["Status"] == "Terminated")
    assert refused == ["ResourceLimitExceeded"]  # the pool has the only place until it ends


@pytest.mark.parametrize(
    ("course", "kept"),
    [
        ({"outcome": "AlgorithmError"}, "Available"),
        ({"outcome": "InternalServerError"}, "Terminated"),
        ({"outcome": "CapacityError"}, "Terminated"),
        ({"outcome": "hang", "limit": 30}, "Available"),
    ],
)
def test_only_healthy_instances_are_kept(api: Api, cloud: VirtualCloud, course: dict[str, Any], kept: str) -> None:
    api.CreateTrainingJob(**warm("ends", **course))
    assert cloud.ended("ends")["WarmPoolStatus"]["Status"] == kept


def test_without_quota_nothing_is_kept_and_the_job_runs(api: Api, cloud: VirtualCloud, sagemaker: SageMaker) -> None:
    sagemaker.set_limit(POOL, 0)
    api.CreateTrainingJob(**warm("poor"))
    detail = cloud.ended("poor")
    assert (detail["TrainingJobStatus"], detail["WarmPoolStatus"]["Status"]) == ("Completed", "Terminated")
    assert sagemaker.limits()[POOL] == {"limit": 0, "used": 0}


def test_a_pool_is_ended_by_hand(api: Api, cloud: VirtualCloud, sagemaker: SageMaker) -> None:
    zero = {"ResourceConfig": {"KeepAlivePeriodInSeconds": 0}}
    at_the_end(cloud, "first", lambda: api.UpdateTrainingJob(TrainingJobName="first", **zero))
    api.CreateTrainingJob(**warm("first"))
    poll(lambda: pool(api, "first")["Status"] == "Terminated")
    assert pool(api, "first")["ResourceRetainedBillableTimeInSeconds"] == 0
    assert sagemaker.limits() == {}
    with pytest.raises(ApiError, match="while the warm pool is Available; it is Terminated"):
        api.UpdateTrainingJob(TrainingJobName="first", **zero)


def test_spot_jobs_have_no_pools(api: Api) -> None:
    request = warm("both") | spot(7200)
    with pytest.raises(ApiError, match="KeepAlivePeriodInSeconds is not supported with EnableManagedSpotTraining"):
        api.CreateTrainingJob(**request)
