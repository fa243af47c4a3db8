"""Training jobs: the container contract, the events, and every way to end."""

import json
import time

import pytest

from local.service import ApiError
from tests.unit.sagemaker.conftest import DENIED, IMAGE, ROLE, archive, unpack

SCRIPT = """
import argparse, json, os, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int)
parser.add_argument("--config")
parser.add_argument("--out", default="")
args = parser.parse_args()
import beside
base = pathlib.Path(os.environ["SM_MODEL_DIR"])
train = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
seen = {
    "rounds": args.rounds, "config": args.config, "out": args.out, "beside": beside.WORD,
    "files": sorted(str(p.relative_to(train)) for p in train.rglob("*") if p.is_file()),
    "rows": (train / "rows.csv").read_text(),
    "env": {k: v for k, v in os.environ.items() if k.startswith("SM_") or k in ("TRAINING_JOB_NAME", "ROLE", "MINE")},
    "hps": json.loads((train.parent.parent / "config/hyperparameters.json").read_text()),
    "channels": json.loads((train.parent.parent / "config/inputdataconfig.json").read_text()),
    "hosts": json.loads((train.parent.parent / "config/resourceconfig.json").read_text())["hosts"],
}
(base / "seen.json").write_text(json.dumps(seen))
(base / "deep").mkdir()
(base / "deep" / "x").write_text("1")
(pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"]) / "curve.csv").write_text("1,2")
print("trained", args.rounds)
"""


def training(name, folder, code=None, **more):
    hyperparameters = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": json.dumps(code or "")}
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {**hyperparameters, **more.pop("HyperParameters", {})},
        "OutputDataConfig": {"S3OutputPath": f"{folder}/out/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return {**request, **more}


def channel(name, uri, kind="S3Prefix"):
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}}


def test_a_script_sees_the_contract_and_its_model_is_kept(api, cloud, put, get, folder):
    put(f"{folder}/data/rows.csv", "1,2\n")
    put(f"{folder}/data/more/part.csv", "3,4\n")
    code = put(f"{folder}/code.tar.gz", archive(train__py=SCRIPT, beside__py="WORD = 'sibling'"))
    request = training(
        "happy",
        folder,
        code,
        HyperParameters={"rounds": "7", "config": '{"a": 1}', "out": '"/opt/ml/model/x"'},
        InputDataConfig=[channel("train", f"{folder}/data")],
        Environment={"MINE": "/opt/ml/output/data"},
        Tags=[{"Key": "run", "Value": "r1"}],
    )
    arn = api.CreateTrainingJob(**request)["TrainingJobArn"]
    assert arn == "arn:aws:sagemaker:eu-west-1:123456789012:training-job/happy"
    detail = cloud.ended("happy")
    assert detail["TrainingJobStatus"] == "Completed", detail
    assert cloud.statuses("happy") == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert detail["Tags"] == {"run": "r1"}
    assert abs(detail["CreationTime"] / 1000 - time.time()) < 60
    model = unpack(get(f"{folder}/out/happy/output/model.tar.gz"))
    assert model["deep/x"] == "1"
    seen = json.loads(model["seen.json"])
    assert seen["files"] == ["more/part.csv", "rows.csv"]
    assert (seen["rounds"], seen["config"], seen["beside"], seen["rows"]) == (7, "{'a': 1}", "sibling", "1,2\n")
    assert seen["out"].endswith("/opt/ml/model/x") and seen["out"] != "/opt/ml/model/x"
    assert seen["hps"]["rounds"] == "7"
    assert seen["channels"] == {
        "train": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    }
    env = seen["env"]
    assert json.loads(env["SM_CHANNELS"]) == ["train"] and json.loads(env["SM_HOSTS"]) == ["algo-1"] == seen["hosts"]
    assert json.loads(env["SM_HPS"]) == {"rounds": 7, "config": {"a": 1}, "out": seen["out"]}
    assert (env["SM_CURRENT_HOST"], env["TRAINING_JOB_NAME"], env["ROLE"]) == ("algo-1", "happy", ROLE)
    assert env["MINE"].endswith("/opt/ml/output/data") and env["MINE"] != "/opt/ml/output/data"
    assert unpack(get(f"{folder}/out/happy/output/output.tar.gz")) == {"curve.csv": "1,2"}
    described = api.DescribeTrainingJob(TrainingJobName="happy")
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == f"{folder}/out/happy/output/model.tar.gz"
    assert described["TrainingStartTime"] <= described["TrainingEndTime"]
    assert "_" not in {key[0] for key in described}
    history = described["SecondaryStatusTransitions"]
    assert [entry["Status"] for entry in history][-1] == "Completed" and all("EndTime" in entry for entry in history)
    assert api.ListTags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "r1"}]


def test_what_a_script_prints_is_in_its_log_stream(api, cloud, put, folder, sagemaker):
    code = put(f"{folder}/code.tar.gz", archive(train__py="print('hello'); import sys; print('bye', file=sys.stderr)"))
    api.CreateTrainingJob(**training("talks", folder, code))
    cloud.ended("talks")
    sagemaker.close()
    logs = cloud.client("logs")
    streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="talks/algo-1-")
    name = streams["logStreams"][0]["logStreamName"]
    events = logs.get_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=name)["events"]
    assert [event["message"] for event in events] == ["hello", "bye"]


def test_what_a_script_prints_can_be_read_while_it_runs_and_comes_once(api, cloud, put, folder, sagemaker, monkeypatch):
    monkeypatch.setattr("local.sagemaker.logs.EVERY", 0.05)
    script = (
        "import pathlib, sys, time\n"
        "go = pathlib.Path(sys.argv[-1])\n"
        "print('one'); print('two')\n"
        "print('thr', end='', flush=True)\n"
        "while not go.exists(): time.sleep(0.01)\n"
        "print('ee')\n"
        "print('four', end='')\n"
    )
    go = cloud.state / "go"
    code = put(f"{folder}/code.tar.gz", archive(train__py=script))
    api.CreateTrainingJob(**training("live-log", folder, code, HyperParameters={"go": json.dumps(str(go))}))
    group, logs = "/aws/sagemaker/TrainingJobs", cloud.client("logs")

    def lines():
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="live-log/")["logStreams"]
        if not streams:
            return []
        told = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)
        return [event["message"] for event in told["events"]]

    cloud.wait(lambda event: event["detail"].get("SecondaryStatus") == "Training")
    deadline = time.monotonic() + 60
    while len(lines()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    assert lines() == ["one", "two"]  # the third line is not whole yet
    assert api.DescribeTrainingJob(TrainingJobName="live-log")["TrainingJobStatus"] == "InProgress"
    go.touch()
    cloud.ended("live-log")
    sagemaker.close()
    assert lines() == ["one", "two", "three", "four"]


def test_a_script_that_raises_is_an_algorithm_error_in_the_toolkits_words(api, cloud, put, folder):
    code = put(f"{folder}/code.tar.gz", archive(train__py="raise ValueError('no')"))
    api.CreateTrainingJob(**training("raises", folder, code, HyperParameters={"rounds": "3", "e": "0.1"}))
    detail = cloud.ended("raises")
    assert detail["TrainingJobStatus"] == detail["SecondaryStatus"] == "Failed"
    assert detail["FailureReason"] == (
        'AlgorithmError: ExecuteUserScriptError:\nCommand "/miniconda3/bin/python3 -m train -e 0.1 --rounds 3", exit code: 1'
    )


def test_a_container_of_its_own_says_why_in_the_failure_file(api, cloud, folder):
    script = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text('InputError: one class'); sys.exit(3)"
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "-c", script],
        "ContainerArguments": ["/opt/ml/output/failure"],
    }
    api.CreateTrainingJob(**training("own", folder, AlgorithmSpecification=algorithm))
    assert cloud.ended("own")["FailureReason"] == "AlgorithmError: InputError: one class, exit code: 3"


def test_time_limit_stops_and_keeps_the_model(api, cloud, put, get, folder):
    script = (
        "import os, pathlib, time\npathlib.Path(os.environ['SM_MODEL_DIR'], 'half').write_text('x')\ntime.sleep(60)"
    )
    code = put(f"{folder}/code.tar.gz", archive(train__py=script))
    api.CreateTrainingJob(**training("slow", folder, code, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    detail = cloud.ended("slow")
    assert (detail["TrainingJobStatus"], detail["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert cloud.statuses("slow")[-3:] == ["Stopping", "Uploading", "MaxRuntimeExceeded"]
    assert "FailureReason" not in detail
    assert unpack(get(f"{folder}/out/slow/output/model.tar.gz")) == {"half": "x"}


def test_stop_ends_it_and_a_second_stop_is_refused(api, cloud, put, folder):
    code = put(f"{folder}/code.tar.gz", archive(train__py="import time; time.sleep(60)"))
    api.CreateTrainingJob(**training("stopped", folder, code))
    cloud.wait(lambda event: event["detail"].get("SecondaryStatus") == "Training")
    api.StopTrainingJob(TrainingJobName="stopped")
    detail = cloud.ended("stopped")
    assert (detail["TrainingJobStatus"], detail["SecondaryStatus"]) == ("Stopped", "Stopped")
    with pytest.raises(ApiError, match="because the training job is in status Stopped"):
        api.StopTrainingJob(TrainingJobName="stopped")


def test_what_ignores_sigterm_is_killed_after_the_grace(api, cloud, put, folder, monkeypatch):
    monkeypatch.setattr("local.sagemaker.run.GRACE", 0.3)
    script = "import signal, subprocess, time\nsignal.signal(15, signal.SIG_IGN)\nsubprocess.Popen(['sleep', '60'])\ntime.sleep(60)"
    code = put(f"{folder}/code.tar.gz", archive(train__py=script))
    api.CreateTrainingJob(**training("deaf", folder, code))
    cloud.wait(lambda event: event["detail"].get("SecondaryStatus") == "Training")
    time.sleep(0.3)
    api.StopTrainingJob(TrainingJobName="deaf")
    assert cloud.ended("deaf")["TrainingJobStatus"] == "Stopped"


def test_data_that_is_not_there(api, cloud, folder):
    api.CreateTrainingJob(**training("nodata", folder, InputDataConfig=[channel("train", f"{folder}/nowhere/")]))
    reason = cloud.ended("nodata")["FailureReason"]
    assert reason.startswith(f'ClientError: Data download failed:No S3 objects found under S3 URL "{folder}/nowhere/"')


def test_a_role_that_may_not_read(api, cloud, put, folder):
    uri = put(f"{folder}/data/rows.csv", "1")
    request = training("denied", folder, InputDataConfig=[channel("train", uri)], RoleArn=DENIED)
    api.CreateTrainingJob(**request)
    reason = cloud.ended("denied")["FailureReason"]
    assert reason == f"ClientError: Data download failed:Unable to download object {uri} (AccessDenied: Access Denied)"


def test_a_manifest_names_its_files(api, cloud, put, get, folder):
    put(f"{folder}/data/a.csv", "a")
    put(f"{folder}/data/b.csv", "b")
    put(f"{folder}/data/c.csv", "c")
    manifest = put(f"{folder}/manifest", json.dumps([{"prefix": f"{folder}/data/"}, "a.csv", "c.csv"]))
    script = "import os, pathlib\nfiles = sorted(os.listdir(os.environ['SM_CHANNEL_TRAIN']))\npathlib.Path(os.environ['SM_MODEL_DIR'], 'files').write_text(','.join(files))"
    code = put(f"{folder}/code.tar.gz", archive(train__py=script))
    api.CreateTrainingJob(
        **training("manifest", folder, code, InputDataConfig=[channel("train", manifest, "ManifestFile")])
    )
    assert cloud.ended("manifest")["TrainingJobStatus"] == "Completed"
    assert unpack(get(f"{folder}/out/manifest/output/model.tar.gz")) == {"files": "a.csv,c.csv"}


def test_an_unknown_image_cannot_be_pulled_and_says_what_there_is(api, cloud, folder):
    algorithm = {"TrainingImage": "1.dkr.ecr.eu-west-1.amazonaws.com/other:2", "TrainingInputMode": "File"}
    api.CreateTrainingJob(**training("noimage", folder, AlgorithmSpecification=algorithm))
    reason = cloud.ended("noimage")["FailureReason"]
    assert reason.startswith("ClientError: Cannot find repository: other:2 in registry ID: 1 ")
    assert reason.endswith("The embedded cloud has: plain:1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"InputDataConfig": [{**channel("train", "s3://b/x"), "InputMode": "Pipe"}]},
            r"InputMode = 'Pipe'; write File",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}},
            "InstanceCount = 2",
        ),
        (
            {"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/tmp/x"}},
            r"LocalPath = '/tmp/x' is not valid; write an absolute path under /opt/ml/ such as /opt/ml/checkpoints",
        ),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(api, folder, change, words):
    with pytest.raises(ApiError, match=words):
        api.CreateTrainingJob(**training("refused", folder, **change))


def test_a_name_is_taken_once(api, cloud, put, folder):
    code = put(f"{folder}/code.tar.gz", archive(train__py=""))
    api.CreateTrainingJob(**training("twice", folder, code))
    with pytest.raises(ApiError) as error:
        api.CreateTrainingJob(**training("twice", folder, code))
    assert error.value.code == "ResourceInUse"
    assert "a training job with this name already exists (arn:" in error.value.message
    cloud.ended("twice")
