"""Jobs that run no container, in virtual time: how they live, how they end, and what they cost."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.clock import VirtualClock
from local.faults import Faults
from local.sagemaker.service import SageMaker
from local.service import ApiError
from tests.unit.sagemaker.conftest import ROLE, Api, FakeCloud

SIMULATED = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/boxcar-simulated:1"
START = 1_767_225_600.0


class VirtualCloud(FakeCloud):
    """The same small cloud, where days pass at once."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.clock = VirtualClock(START)

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        raise AssertionError(f"a simulated job called {service}")

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        with self.arrived:
            self.events.append({"detail-type": detail_type, "detail": detail, "at": self.clock.time() - START})
            self.arrived.notify_all()

    def history(self, name: str) -> list[tuple[str, float]]:
        """Secondary status and time of a training job's events, in seconds since the beginning."""
        return [
            (e["detail"]["SecondaryStatus"], e["at"]) for e in self.events if e["detail"]["TrainingJobName"] == name
        ]


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def cloud(tmp_path: Path) -> VirtualCloud:
    return VirtualCloud(tmp_path)


@pytest.fixture
def sagemaker(cloud: VirtualCloud, faults: Faults) -> Iterator[SageMaker]:
    service = SageMaker(cloud, images={}, faults=faults)
    yield service
    service.close()


@pytest.fixture
def api(sagemaker: SageMaker) -> Api:
    return Api(sagemaker)


def training(name: str, **course: Any) -> dict[str, Any]:
    limit = course.pop("limit", 86_400)
    more = course.pop("more", {})
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": SIMULATED, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {key: str(value) for key, value in course.items()},
        "OutputDataConfig": {"S3OutputPath": "s3://boxcar-data/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": limit},
    }
    return {**request, **more}


def spot(wait: int, **more: Any) -> dict[str, Any]:
    condition = {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": wait}
    return {"EnableManagedSpotTraining": True, "StoppingCondition": condition, **more}


def processing(name: str, **course: Any) -> dict[str, Any]:
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
    return {
        "ProcessingJobName": name,
        "AppSpecification": {"ImageUri": SIMULATED},
        "RoleArn": ROLE,
        "Environment": {key.upper(): str(value) for key, value in course.items()},
        "ProcessingResources": {"ClusterConfig": cluster},
    }


def test_a_day_of_training_passes_at_once_and_tells_what_a_real_job_tells(api: Api, cloud: VirtualCloud) -> None:
    api.CreateTrainingJob(
        **training("day", provision_seconds=180, download_seconds=60, work_seconds=80_000, upload_seconds=30)
    )
    detail = cloud.ended("day")
    assert cloud.history("day") == [
        ("Starting", 0), ("Downloading", 180), ("Training", 240), ("Uploading", 80_240), ("Completed", 80_270),
    ]  # fmt: skip
    assert (detail["TrainingJobStatus"], detail["TrainingTimeInSeconds"]) == ("Completed", 80_090)
    described = api.DescribeTrainingJob(TrainingJobName="day")
    assert described["TrainingStartTime"] == START + 180
    assert described["TrainingEndTime"] == START + 80_270
    assert [entry["Status"] for entry in described["SecondaryStatusTransitions"]][-1] == "Completed"


@pytest.mark.parametrize(
    ("outcome", "reason", "statuses"),
    [
        ("AlgorithmError", "AlgorithmError: ExecuteUserScriptError:", ["Starting", "Downloading", "Training", "Failed"]),
        ("ClientError", "ClientError: Data download failed:", ["Starting", "Downloading", "Failed"]),
        ("CapacityError", "CapacityError: Unable to provision requested ML compute capacity", ["Starting", "Failed"]),
        (
            "InternalServerError",
            "InternalServerError: We encountered an internal error. Please try again.",
            ["Starting", "Downloading", "Training", "Failed"],
        ),
    ],
)  # fmt: skip
def test_ways_to_fail(api: Api, cloud: VirtualCloud, outcome: str, reason: str, statuses: list[str]) -> None:
    api.CreateTrainingJob(**training("fails", provision_seconds=120, work_seconds=600, outcome=outcome))
    detail = cloud.ended("fails")
    assert detail["FailureReason"].startswith(reason)
    assert [status for status, _ in cloud.history("fails")] == statuses
    assert detail["TrainingTimeInSeconds"] == (600 if "Training" in statuses else 0)
    assert ("TrainingStartTime" in detail) == (outcome != "CapacityError")


def test_what_hangs_is_ended_by_its_time_limit_or_by_a_stop(api: Api, cloud: VirtualCloud) -> None:
    with cloud.clock.hold():
        api.CreateTrainingJob(**training("limited", provision_seconds=60, outcome="hang", limit=3600, stop_seconds=90))
        api.CreateTrainingJob(**training("stopped", outcome="hang", limit=3600))
        cloud.wait(lambda event: event["detail"]["SecondaryStatus"] == "Training")
        api.StopTrainingJob(TrainingJobName="stopped")
    assert cloud.ended("stopped")["SecondaryStatus"] == "Stopped"
    assert cloud.ended("limited")["TrainingJobStatus"] == "Stopped"
    assert cloud.history("stopped")[-3:] == [("Stopping", 0), ("Uploading", 0), ("Stopped", 0)]
    assert cloud.history("limited")[-3:] == [("Stopping", 3660), ("Uploading", 3750), ("MaxRuntimeExceeded", 3750)]
    with pytest.raises(ApiError, match="because the training job is in status Stopped"):
        api.StopTrainingJob(TrainingJobName="stopped")


def test_a_job_stopped_before_it_has_instances_uploads_nothing(api: Api, cloud: VirtualCloud) -> None:
    with cloud.clock.hold():
        api.CreateTrainingJob(**training("early", provision_seconds=600))
        api.StopTrainingJob(TrainingJobName="early")
    detail = cloud.ended("early")
    assert cloud.history("early") == [("Starting", 0), ("Stopping", 0), ("Stopped", 0)]
    assert detail["BillableTimeInSeconds"] == 0


def test_processing_jobs_are_told_by_their_environment(api: Api, cloud: VirtualCloud) -> None:
    api.CreateProcessingJob(**processing("done", provision_seconds=60, work_seconds=600, message="12 rows"))
    api.CreateProcessingJob(**processing("bad", work_seconds=60, outcome="AlgorithmError"))
    done, bad = cloud.ended("done"), cloud.ended("bad")
    assert (done["ProcessingJobStatus"], done["ExitMessage"]) == ("Completed", "12 rows")
    assert done["ProcessingEndTime"] - done["ProcessingStartTime"] == 600_000
    assert bad["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert [e["at"] for e in cloud.events if e["detail"]["ProcessingJobName"] == "done"] == [0, 660]


def test_a_transform_job_of_a_simulated_model_is_simulated(api: Api, cloud: VirtualCloud) -> None:
    container = {
        "Image": SIMULATED,
        "ModelDataUrl": "s3://nowhere/model.tar.gz",
        "Environment": {"WORK_SECONDS": "600"},
    }
    api.CreateModel(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    source = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://nowhere/in"}}}
    request = {
        "ModelName": "m",
        "TransformInput": source,
        "TransformOutput": {"S3OutputPath": "s3://nowhere/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    api.CreateTransformJob(TransformJobName="good", **request)
    api.CreateTransformJob(TransformJobName="bad", **request, Environment={"OUTCOME": "AlgorithmError"})
    good, bad = cloud.ended("good"), cloud.ended("bad")
    assert good["TransformJobStatus"] == "Completed"
    assert good["TransformEndTime"] - good["TransformStartTime"] == 600_000
    assert bad["FailureReason"] == "AlgorithmError: See job logs for more information"


@pytest.mark.parametrize(
    ("course", "words"),
    [
        ({"work_seconds": "long"}, r"work_seconds = 'long' of a simulated job; write seconds, 0 or more"),
        ({"work_seconds": -1}, "work_seconds = -1"),
        ({"outcome": "explode"}, "outcome = 'explode' of a simulated job; write one of completed, AlgorithmError"),
        ({"interruptions": 5}, "interruptions = 5"),
        ({"outcome": "interrupt"}, "EnableManagedSpotTraining"),
    ],
)
def test_a_course_that_means_nothing_is_refused(api: Api, course: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words):
        api.CreateTrainingJob(**training("refused", **course))


def test_hyperparameters_may_be_json_texts(api: Api, cloud: VirtualCloud) -> None:
    api.CreateTrainingJob(**training("json", work_seconds="60", outcome='"AlgorithmError"', message='"bad \\"data\\""'))
    assert cloud.ended("json")["FailureReason"] == 'AlgorithmError: bad "data"'


def test_instances_are_counted_and_given_back_before_the_last_event(
    api: Api, cloud: VirtualCloud, sagemaker: SageMaker
) -> None:
    sagemaker.set_limit("ml.m5.large for training job usage", 2)
    seen: list[str] = []
    emit = cloud.emit

    def emit_and_launch(source: str, kind: str, detail: dict[str, Any], resources: list[str]) -> None:
        emit(source, kind, detail, resources)
        if detail["TrainingJobStatus"] == "Completed" and len(seen) < 4:
            seen.append(detail["TrainingJobName"])
            api.CreateTrainingJob(**training(f"next-{len(seen)}", work_seconds=60))

    cloud.emit = emit_and_launch  # type: ignore[method-assign]
    with cloud.clock.hold():
        for name in ("a", "b"):
            api.CreateTrainingJob(**training(name, work_seconds=60))
        with pytest.raises(ApiError, match=r"'ml\.m5\.large for training job usage' is 2 Instances"):
            api.CreateTrainingJob(**training("c", work_seconds=60))
    cloud.ended("next-4")
    assert {status for status, _ in cloud.history("next-4")} >= {"Completed"}


def test_a_share_of_jobs_meets_a_misfortune_and_always_the_same_ones(
    api: Api, cloud: VirtualCloud, faults: Faults
) -> None:
    rule = {"job": "*", "outcome": "CapacityError", "delay": 300, "share": 0.2, "seed": 7}
    faults.add(rule)
    with cloud.clock.hold():
        for number in range(200):
            api.CreateTrainingJob(**training(f"job-{number}", provision_seconds=60, work_seconds=60))
    poll(lambda: sum(e["detail"]["TrainingJobStatus"] in ("Completed", "Failed") for e in cloud.events) == 200)
    struck = {e["detail"]["TrainingJobName"] for e in cloud.events if e["detail"]["TrainingJobStatus"] == "Failed"}
    assert 20 < len(struck) < 60
    assert {cloud.history(name)[-1] for name in struck} == {("Failed", 300)}
    again = Faults()
    again.add(rule)
    names = [f"job-{number}" for number in reversed(range(200))]
    assert {name for name in names if again.on_job("CreateTrainingJob", name, {})} == struck


def test_thousands_at_once_need_no_threads(api: Api, cloud: VirtualCloud) -> None:
    count, threads = 1000, threading.active_count()
    with cloud.clock.hold():
        for number in range(count):
            api.CreateTrainingJob(**training(f"many-{number}", provision_seconds=60, work_seconds=60 + number))
        assert threading.active_count() == threads
    poll(lambda: len(cloud.events) == 5 * count)
    assert all(earlier["at"] <= later["at"] for earlier, later in itertools.pairwise(cloud.events))


def poll(look: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)
