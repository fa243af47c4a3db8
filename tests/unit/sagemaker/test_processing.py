"""Processing jobs."""

import json

import pytest

from local.clock import RealClock
from local.sagemaker.containers import Image
from local.sagemaker.service import SageMaker
from local.service import ApiError
from tests.unit.sagemaker.conftest import DENIED, IMAGE, ROLE, Api

COPY = """
import json, os, pathlib, sys
base = pathlib.Path(__file__).resolve().parents[2]
text = (base / "input/data/rows.csv").read_text()
(base / "output/train/part").mkdir(parents=True)
(base / "output/train/part/rows.csv").write_text(text.upper())
config = json.loads((base.parent / "config/processingjobconfig.json").read_text())
(base / "output/schema/schema.json").write_text(json.dumps({"args": sys.argv[1:], "job": config["ProcessingJobName"]}))
(base.parent / "output/message").write_text("done 1 row")
"""


def processing(name, folder, **more):
    def item(kind, uri, local):
        return {
            "InputName": kind,
            "S3Input": {"S3Uri": uri, "LocalPath": local, "S3DataType": "S3Prefix", "S3InputMode": "File"},
        }

    outputs = [
        {
            "OutputName": o,
            "S3Output": {
                "S3Uri": f"{folder}/out/{o}/",
                "LocalPath": f"/opt/ml/processing/output/{o}",
                "S3UploadMode": "EndOfJob",
            },
        }
        for o in ("train", "schema")
    ]
    request = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
            "ContainerArguments": ["--to", "/opt/ml/processing/output"],
        },
        "ProcessingInputs": [
            item("code", f"{folder}/code/", "/opt/ml/processing/input/code"),
            item("data", f"{folder}/data", "/opt/ml/processing/input/data"),
        ],
        "ProcessingOutputConfig": {"Outputs": outputs},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
        },
    }
    return {**request, **more}


@pytest.fixture
def code(put, folder):
    put(f"{folder}/data/rows.csv", "a,b\n")
    return lambda text: put(f"{folder}/code/run.py", text)


def test_inputs_come_and_outputs_go(api, cloud, code, get, folder):
    code(COPY)
    api.CreateProcessingJob(**processing("copies", folder))
    detail = cloud.ended("copies")
    assert detail["ProcessingJobStatus"] == "Completed", detail
    assert detail["ExitMessage"] == "done 1 row"
    assert get(f"{folder}/out/train/part/rows.csv") == b"A,B\n"
    schema = json.loads(get(f"{folder}/out/schema/schema.json"))
    assert (
        schema["job"] == "copies"
        and schema["args"][1].endswith("/opt/ml/processing/output")
        and schema["args"][1][1:4] != "opt"
    )
    described = api.DescribeProcessingJob(ProcessingJobName="copies")
    assert described["ProcessingStartTime"] <= described["ProcessingEndTime"]


def test_failing_leaves_message_and_no_outputs(api, cloud, code, s3, folder):
    code(
        "import pathlib, sys\np = pathlib.Path(__file__).resolve().parents[3] / 'output/message'\np.write_text('InputError: no rows')\nsys.exit(1)"
    )
    api.CreateProcessingJob(**processing("fails", folder))
    detail = cloud.ended("fails")
    assert detail["ProcessingJobStatus"] == "Failed"
    assert detail["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert detail["ExitMessage"] == "InputError: no rows"
    assert "Contents" not in s3.list_objects_v2(Bucket="boxcar-data", Prefix=folder.split("/", 3)[3] + "/out/")


def test_time_limit_and_stop_both_end_as_stopped(api, cloud, code, folder):
    code("import time; time.sleep(60)")
    api.CreateProcessingJob(**processing("limited", folder, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    api.CreateProcessingJob(**processing("asked", folder))
    api.StopProcessingJob(ProcessingJobName="asked")
    assert cloud.ended("asked")["ProcessingJobStatus"] == "Stopped"
    assert cloud.ended("limited")["ProcessingJobStatus"] == "Stopped"
    statuses = [
        e["detail"]["ProcessingJobStatus"] for e in cloud.events if e["detail"]["ProcessingJobName"] == "limited"
    ]
    assert statuses == ["InProgress", "Stopping", "Stopped"]


def test_access_denied(api, cloud, code, folder):
    code(COPY)
    api.CreateProcessingJob(**processing("denied", folder, RoleArn=DENIED))
    reason = cloud.ended("denied")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed:") and "AccessDenied" in reason


def test_more_jobs_than_places_wait_and_all_run(api, cloud, code, folder):
    code(COPY)
    for number in range(6):
        api.CreateProcessingJob(**processing(f"many-{number}", folder))
    assert {cloud.ended(f"many-{number}")["ProcessingJobStatus"] for number in range(6)} == {"Completed"}


@pytest.mark.parametrize("path", ["/var/data", "/opt/ml/processing/../../../etc"])
def test_paths_stay_inside(api, folder, path):
    request = processing("outside", folder)
    request["ProcessingInputs"][0]["S3Input"]["LocalPath"] = path
    with pytest.raises(ApiError, match="LocalPath"):
        api.CreateProcessingJob(**request)


def test_quota(api, cloud, code, folder, sagemaker):
    code("import time; time.sleep(1)")
    sagemaker.set_limit("ml.m5.large", 1)
    api.CreateProcessingJob(**processing("first", folder))
    with pytest.raises(ApiError) as error:
        api.CreateProcessingJob(**processing("second", folder))
    assert error.value.code == "ResourceLimitExceeded"
    assert error.value.message.startswith(
        "The account-level service limit 'ml.m5.large for processing job usage' is 1 Instances, with current utilization "
        "of 1 Instances and a request delta of 1 Instances."
    )
    cloud.ended("first")
    api.CreateProcessingJob(**processing("second", folder))  # the instance is free before its event is sent
    sagemaker.set_limit("ml.m5.large", None)
    cloud.ended("second")


def test_limits_from_the_environment_and_from_a_file(cloud, code, folder, monkeypatch):
    monkeypatch.setenv("BOXCAR_LOCAL_LIMITS", '{"ml.m5.large": 0}')
    service = SageMaker(cloud, {"plain:1": Image("plain", (), "")})
    code("")
    with pytest.raises(ApiError, match="processing job usage' is 0 Instances"):
        Api(service).CreateProcessingJob(**processing("none", folder))
    (cloud.state / "sagemaker/limits.json").write_text('{"ml.m5.large for processing job usage": 1}')
    Api(service).CreateProcessingJob(**processing("some", folder))
    cloud.ended("some")
    service.close()


def test_time_limits_are_on_the_clouds_clock(cloud, code, folder):
    code("import time; time.sleep(60)")
    cloud.clock = RealClock(scale=3600)
    service = SageMaker(cloud, {"plain:1": Image("plain", (), "")})
    Api(service).CreateProcessingJob(**processing("hour", folder, StoppingCondition={"MaxRuntimeInSeconds": 3600}))
    detail = cloud.ended("hour", timeout=30)
    assert detail["ProcessingJobStatus"] == "Stopped"
    assert detail["ProcessingEndTime"] - detail["ProcessingStartTime"] >= 3_600_000
    service.close()


def test_a_message_that_is_no_text_fails_the_job(api, cloud, code, folder):
    code("import pathlib\n(pathlib.Path(__file__).resolve().parents[3] / 'output/message').write_bytes(b'\\xff')")
    api.CreateProcessingJob(**processing("binary", folder))
    assert cloud.ended("binary")["FailureReason"].startswith("ClientError: /opt/ml/output/message is not UTF-8")
