"""Jobs in the environment that stands for SageMaker's XGBoost image."""

import json

import pytest

from local.environments import environment
from local.sagemaker.service import SageMaker
from tests.unit.sagemaker.conftest import ROLE, Api, FakeCloud, archive, unpack
from tests.unit.sagemaker.test_training import training

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.0-5"

TRAIN = """
import json, os
import numpy, pandas, pyarrow.parquet, scipy, sklearn, xgboost
x = numpy.arange(200).reshape(100, 2)
booster = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(x, x[:, 0]), num_boost_round=20)
booster.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "model.ubj"))
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json"), "w") as file:
    json.dump({"versions": [m.__version__ for m in (xgboost, numpy, pandas, pyarrow)], "draw": numpy.random.random(),
               "threads": os.environ["OMP_NUM_THREADS"], "cpus": os.environ["SM_NUM_CPUS"]}, file)
"""
SERVE = """
import os, xgboost
def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "model.ubj"))
    return booster
"""


@pytest.fixture(scope="module")
def live(s3, tmp_path_factory):
    cloud = FakeCloud(tmp_path_factory.mktemp("xgboost"))
    cloud.environment = environment
    service = SageMaker(cloud)
    yield cloud, Api(service)
    service.close()


def test_a_booster_is_trained_and_serves_with_the_images_own_handlers(live, put, get, folder):
    cloud, api = live
    code = put(f"{folder}/code.tar.gz", archive(train__py=TRAIN, serve__py=SERVE))
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File"}
    for name in ("one", "two"):
        api.CreateTrainingJob(**training(name, folder, code, AlgorithmSpecification=algorithm))
    assert [cloud.ended(name).get("FailureReason", "Completed") for name in ("one", "two")] == ["Completed"] * 2
    seen = [
        json.loads(unpack(get(f"{folder}/out/{name}/output/output.tar.gz"))["seen.json"]) for name in ("one", "two")
    ]
    assert seen[0]["versions"] == ["3.0.5", "2.1.0", "2.2.3", "22.0.0"]  # what the image holds
    assert seen[0]["draw"] != seen[1]["draw"]  # forks of one interpreter do not draw the same numbers
    assert (seen[0]["threads"], seen[0]["cpus"]) == ("1", "1")

    environment_ = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    container = {"Image": IMAGE, "ModelDataUrl": f"{folder}/out/one/output/model.tar.gz", "Environment": environment_}
    api.CreateModel(ModelName="one", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    put(f"{folder}/in/rows.csv", "10,11\n100,101\n")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{folder}/in/"}}
    api.CreateTransformJob(
        TransformJobName="one",
        ModelName="one",
        TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"{folder}/predicted", "AssembleWith": "Line", "Accept": "text/csv"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    cloud.wait(lambda e: e["detail"].get("TransformJobStatus") in ("Completed", "Failed"))
    low, high = map(float, get(f"{folder}/predicted/rows.csv.out").split())
    assert abs(low - 10) < 3 and abs(high - 100) < 3
