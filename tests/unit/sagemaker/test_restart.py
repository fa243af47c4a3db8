"""What a restart finds, and what a kill leaves behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time

from local.sagemaker.containers import Image
from local.sagemaker.service import SageMaker
from tests.unit.sagemaker.conftest import Api, FakeCloud, archive
from tests.unit.sagemaker.test_registry import package
from tests.unit.sagemaker.test_training import training

IMAGES = {"plain:1": Image("plain", (), "plain.training:main")}


def test_jobs_that_were_alive_are_failed_and_told(cloud, put, folder, tmp_path):
    code = put(f"{folder}/code.tar.gz", archive(train__py="import time; time.sleep(60)"))
    service = SageMaker(cloud, IMAGES)
    Api(service).CreateTrainingJob(**training("lost", folder, code))
    Api(service).CreateModelPackageGroup(ModelPackageGroupName="kept")
    package(Api(service), "kept")
    cloud.wait(lambda event: event["detail"].get("SecondaryStatus") == "Training")
    service.close()
    assert not [event for event in cloud.events if event["detail"].get("TrainingJobStatus") == "Failed"]

    again = FakeCloud(tmp_path)
    again.failing_emits = 2  # the bus is not there at once
    service = SageMaker(again, IMAGES)
    detail = again.ended("lost")
    assert (detail["TrainingJobStatus"], detail["SecondaryStatus"]) == ("Failed", "Failed")
    assert detail["FailureReason"].startswith("InternalServerError: ")
    api = Api(service)
    assert api.DescribeTrainingJob(TrainingJobName="lost")["TrainingJobStatus"] == "Failed"
    assert package(api, "kept").endswith("/2")
    service.close()
    third = FakeCloud(tmp_path)
    SageMaker(third, IMAGES).close()
    assert third.events == []  # told once


def test_warm_pools_do_not_survive_a_restart(cloud, put, folder, tmp_path):
    code = put(f"{folder}/code.tar.gz", archive(train__py=""))
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
    service = SageMaker(cloud, IMAGES)
    request = training("keeps", folder, code, ResourceConfig=resources | {"KeepAlivePeriodInSeconds": 600})
    Api(service).CreateTrainingJob(**request)
    assert cloud.ended("keeps")["WarmPoolStatus"]["Status"] == "Available"
    service.close()
    service = SageMaker(FakeCloud(tmp_path), IMAGES)
    assert Api(service).DescribeTrainingJob(TrainingJobName="keeps")["WarmPoolStatus"] == {"Status": "Terminated"}
    assert service.limits() == {}
    service.close()


def test_no_process_outlives_a_killed_service(tmp_path):
    """SIGKILL leaves the service no time for anything; its jobs end all the same."""
    program = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from local.sagemaker.launcher import Interpreter
        interpreter = Interpreter(Path(sys.executable), (), 1)
        script = Path({str(tmp_path)!r}, "job.py")
        script.write_text("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
        log = Path({str(tmp_path)!r}, "log")
        job = interpreter.start([sys.executable, str(script)], {{}}, Path({str(tmp_path)!r}), log)
        print(job.pid, flush=True)
        time.sleep(60)
        """
    )
    service = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(service.stdout.readline())
    os.kill(pid, 0)
    service.send_signal(signal.SIGKILL)
    service.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} still runs")
