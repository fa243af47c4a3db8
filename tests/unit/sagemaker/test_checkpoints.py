"""Checkpoints of jobs that really run: fetched, sent while they run and at the end, and carried over interruptions."""

import time
from typing import Any

import pytest

from local.faults import Faults
from local.sagemaker.containers import Image
from local.sagemaker.service import SageMaker
from tests.unit.sagemaker.conftest import DENIED, archive
from tests.unit.sagemaker.test_training import training

COUNTS = """
import json, os, pathlib, sys, time
config = json.loads(pathlib.Path(os.environ["SM_CHECKPOINT_CONFIG_FILE"]).read_text())
folder = pathlib.Path(sys.argv[sys.argv.index("--checkpoints") + 1])
assert str(folder) == config["LocalPath"], (folder, config)
seen = folder / "deep" / "count"
count = int(seen.read_text()) if seen.exists() else 0
seen.parent.mkdir(exist_ok=True)
seen.write_text(str(count + 1))
"""
WAITS = COUNTS + "if count == 0: time.sleep(60)\n"
MODEL = "pathlib.Path(os.environ['SM_MODEL_DIR'], 'count').write_text(str(count + 1))\n"


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def sagemaker(cloud: Any, faults: Faults) -> Any:
    service = SageMaker(cloud, images={"plain:1": Image("plain", (), "plain.training:main")}, faults=faults)
    yield service
    service.close()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.sagemaker.checkpoints.EVERY", 0.05)


def with_checkpoints(name: str, folder: str, code: str, **more: Any) -> dict[str, Any]:
    config = {"S3Uri": f"{folder}/checkpoints"}
    arguments = {"checkpoints": '"/opt/ml/checkpoints"'}
    return training(name, folder, code, CheckpointConfig=config, HyperParameters=arguments, **more)


def spot() -> dict[str, Any]:
    condition = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600}
    return {"EnableManagedSpotTraining": True, "StoppingCondition": condition}


def test_what_one_job_leaves_the_next_one_finds_also_after_a_failure(api, cloud, put, get, folder):
    code = put(f"{folder}/code.tar.gz", archive(train__py=COUNTS + "sys.exit(1)"))
    for number in (1, 2):
        api.CreateTrainingJob(**with_checkpoints(f"fails-{number}", folder, code))
        assert cloud.ended(f"fails-{number}")["TrainingJobStatus"] == "Failed"
        assert get(f"{folder}/checkpoints/deep/count") == str(number).encode()


def test_they_are_in_s3_while_the_job_runs_and_after_it_was_stopped(api, cloud, put, get, folder):
    script = COUNTS + "time.sleep(0.3)\nseen.write_text('running')\ntime.sleep(60)"
    code = put(f"{folder}/code.tar.gz", archive(train__py=script))
    api.CreateTrainingJob(**with_checkpoints("live", folder, code))
    wait_for(lambda: get(f"{folder}/checkpoints/deep/count") == b"running")
    assert api.DescribeTrainingJob(TrainingJobName="live")["SecondaryStatus"] == "Training"
    api.StopTrainingJob(TrainingJobName="live")
    assert cloud.ended("live")["TrainingJobStatus"] == "Stopped"


def test_an_interrupted_spot_job_goes_on_where_it_was(api, cloud, faults, put, get, folder, sagemaker):
    faults.add({"job": "spot", "outcome": "interrupt", "delay": 1.5, "count": 1})
    code = put(f"{folder}/code.tar.gz", archive(train__py=WAITS + MODEL))
    api.CreateTrainingJob(**with_checkpoints("spot", folder, code, **spot()))
    assert cloud.ended("spot")["TrainingJobStatus"] == "Completed"
    assert cloud.statuses("spot") == [
        "Starting", "Downloading", "Training", "Interrupted", "Starting", "Downloading", "Training", "Uploading",
        "Completed",
    ]  # fmt: skip
    assert get(f"{folder}/checkpoints/deep/count") == b"2"
    assert {quota["used"] for quota in sagemaker.limits().values()} <= {0}


def test_a_spot_job_that_waits_too_long_is_stopped(api, cloud, put, folder):
    code = put(f"{folder}/code.tar.gz", archive(train__py="import time; time.sleep(60)"))
    condition = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    request = training("late", folder, code, EnableManagedSpotTraining=True, StoppingCondition=condition)
    api.CreateTrainingJob(**request)
    detail = cloud.ended("late")
    assert (detail["TrainingJobStatus"], detail["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_a_role_that_may_not_read_them_fails_the_job(api, cloud, put, folder):
    code = put(f"{folder}/code.tar.gz", archive(train__py=COUNTS))
    put(f"{folder}/checkpoints/old", "1")
    api.CreateTrainingJob(**{**with_checkpoints("denied", folder, code), "RoleArn": DENIED})
    assert cloud.ended("denied")["FailureReason"].startswith("ClientError: Data download failed:Unable to download")


def test_a_neighbour_with_the_same_beginning_is_left_alone(api, cloud, put, get, folder):
    put(f"{folder}/checkpoints-of-another/deep/count", "41")
    code = put(f"{folder}/code.tar.gz", archive(train__py=COUNTS))
    api.CreateTrainingJob(**with_checkpoints("alone", folder, code))
    assert cloud.ended("alone")["TrainingJobStatus"] == "Completed"
    assert get(f"{folder}/checkpoints/deep/count") == b"1"


def wait_for(look, seconds=60.0):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if look():
                return
        except Exception as error:
            assert "NoSuchKey" in repr(error), error
        assert time.monotonic() < deadline
        time.sleep(0.02)
