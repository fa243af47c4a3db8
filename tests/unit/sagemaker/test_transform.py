"""Transform jobs: a model that really serves."""

import json

import pytest

from local.service import ApiError
from tests.unit.sagemaker.conftest import DENIED, IMAGE, ROLE, archive

SERVE = """
import json, os, pathlib

def model_fn(model_dir):
    return float(pathlib.Path(model_dir, "factor").read_text())

def input_fn(body, content_type):
    assert content_type == "text/csv", content_type
    return [[float(cell) for cell in line.split(",")] for line in body.splitlines()]

def predict_fn(rows, model):
    if any(row[0] < 0 for row in rows):
        raise ValueError("negative")
    print("batch of", len(rows))
    return [sum(row) * model for row in rows]

def output_fn(prediction, accept):
    return "".join(f"{value}\\n" for value in prediction)
"""


@pytest.fixture
def model(api, put, folder):
    def create(name, serve=SERVE, **env):
        data = put(f"{folder}/model.tar.gz", archive(factor="2"))
        code = put(f"{folder}/code.tar.gz", archive(serve__py=serve))
        environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code, **env}
        container = {"Image": IMAGE, "ModelDataUrl": data, "Environment": environment}
        api.CreateModel(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return name

    return create


def transform(name, folder, **more):
    request = {
        "TransformJobName": name,
        "ModelName": name,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{folder}/in/"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"{folder}/out", "AssembleWith": "Line", "Accept": "text/csv"},
        "BatchStrategy": "MultiRecord",
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    return {**request, **more}


def test_rows_are_filtered_predicted_and_joined_with_their_keys(api, cloud, model, put, get, folder):
    put(f"{folder}/in/a.csv", 'k1,1,2\n"k,2",3,4\n')
    put(f"{folder}/in/deep/b.csv", "k3,5,6")
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    api.CreateTransformJob(**transform(model("joined"), folder, DataProcessing=processing))
    detail = cloud.ended("joined")
    assert detail["TransformJobStatus"] == "Completed", detail
    assert get(f"{folder}/out/a.csv.out") == b'k1,6.0\n"k,2",14.0\n'
    assert get(f"{folder}/out/deep/b.csv.out") == b"k3,22.0\n"
    assert "_model" not in detail and "TransformStartTime" in detail


def test_without_processing_the_answer_is_kept_as_it_is(api, cloud, model, put, get, folder):
    put(f"{folder}/in/a.csv", "1,2\n3,4\n")
    api.CreateTransformJob(**transform(model("plain"), folder, BatchStrategy="SingleRecord"))
    assert cloud.ended("plain")["TransformJobStatus"] == "Completed"
    assert get(f"{folder}/out/a.csv.out") == b"6.0\n14.0\n"


def test_one_object_gets_its_own_name(api, cloud, model, put, get, folder):
    uri = put(f"{folder}/in/a.csv", "1,2\n")
    request = transform(model("one"), folder)
    request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] = uri
    api.CreateTransformJob(**request)
    assert cloud.ended("one")["TransformJobStatus"] == "Completed"
    assert get(f"{folder}/out/a.csv.out") == b"6.0\n"


def test_a_model_that_raises_fails_the_job(api, cloud, model, put, folder):
    put(f"{folder}/in/a.csv", "-1,2\n")
    client = {"InvocationsMaxRetries": 0}
    api.CreateTransformJob(**transform(model("raises"), folder, ModelClientConfig=client))
    detail = cloud.ended("raises")
    assert detail["TransformJobStatus"] == "Failed"
    assert detail["FailureReason"] == "AlgorithmError: See job logs for more information"


def test_a_model_that_cannot_load_fails_the_job(api, cloud, model, put, folder):
    put(f"{folder}/in/a.csv", "1,2\n")
    api.CreateTransformJob(**transform(model("broken", serve="import nothing_like_this"), folder))
    assert cloud.ended("broken")["FailureReason"].startswith("AlgorithmError: ")


def test_too_large_a_record(api, cloud, model, put, folder):
    put(f"{folder}/in/a.csv", ("1," * 600_000) + "1\n")
    api.CreateTransformJob(**transform(model("large"), folder, MaxPayloadInMB=1))
    assert cloud.ended("large")["FailureReason"] == "ClientError: See job logs for more information"


def test_stop_while_predicting_stores_nothing(api, cloud, model, put, s3, folder):
    put(f"{folder}/in/a.csv", "1,2\n")
    slow = SERVE.replace("    print(", "    import time; time.sleep(60)\n    print(")
    api.CreateTransformJob(**transform(model("slow", serve=slow), folder))
    api.StopTransformJob(TransformJobName="slow")
    assert cloud.ended("slow")["TransformJobStatus"] == "Stopped"
    assert "Contents" not in s3.list_objects_v2(Bucket="boxcar-data", Prefix=folder.split("/", 3)[3] + "/out/")


def test_json_lines_join_as_objects(api, cloud, model, put, get, folder):
    serve = SERVE.replace('content_type == "text/csv"', "True").replace(
        '[[float(cell) for cell in line.split(",")] for line in body.splitlines()]',
        "[json.loads(line)['f'] for line in body.splitlines()]",
    )
    put(f"{folder}/in/a.jsonl", '{"id":1,"f":[1,2]}\n{"id":2,"f":[3,4]}\n')
    request = transform(
        model("json", serve=serve),
        folder,
        DataProcessing={"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
    )
    request["TransformInput"]["ContentType"] = request["TransformOutput"]["Accept"] = "application/jsonlines"
    api.CreateTransformJob(**request)
    assert cloud.ended("json")["TransformJobStatus"] == "Completed"
    lines = [json.loads(line) for line in get(f"{folder}/out/a.jsonl.out").splitlines()]
    assert lines == [{"id": 1, "SageMakerOutput": 6.0}, {"id": 2, "SageMakerOutput": 14.0}]


def test_an_unknown_model_and_a_bad_filter_are_refused(api, model, folder):
    with pytest.raises(ApiError, match='Could not find model "arn:aws:sagemaker:eu-west-1:123456789012:model/nobody"'):
        api.CreateTransformJob(**transform("nobody", folder))
    with pytest.raises(ApiError, match="InputFilter"):
        api.CreateTransformJob(**transform(model("filter"), folder, DataProcessing={"InputFilter": "$..x"}))


def test_models_are_listed_described_deleted(api, model):
    for name in ("m1", "m2", "other"):
        model(name)
    assert [
        m["ModelName"] for m in api.ListModels(NameContains="M", SortBy="Name", SortOrder="Ascending")["Models"]
    ] == ["m1", "m2"]
    assert api.DescribeModel(ModelName="m1")["PrimaryContainer"]["Environment"]["SAGEMAKER_PROGRAM"] == "serve.py"
    with pytest.raises(ApiError, match="Cannot create already existing model"):
        model("m1")
    api.DeleteModel(ModelName="m1")
    with pytest.raises(ApiError, match="Could not find model"):
        api.DescribeModel(ModelName="m1")


def test_a_model_needs_its_image_and_its_archive(api, put, folder):
    data = put(f"{folder}/model.tar.gz", archive(factor="2"))

    def create(role=ROLE, **container):
        api.CreateModel(
            ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data} | container
        )

    with pytest.raises(ApiError, match=f"Could not find model data at {data}x."):
        create(ModelDataUrl=data + "x")
    with pytest.raises(ApiError, match="Requested image other:1 not found"):
        create(Image="other:1")
    with pytest.raises(ApiError, match=f"Could not access model data at {data}"):
        create(role=DENIED)


def test_instances_share_the_files_and_never_a_file(api, cloud, model, put, get, folder):
    """Each answer says which process gave it."""
    serve = SERVE.replace(
        'return "".join(f"{value}\\n" for value in prediction)', 'return f"{os.getpid()}\\n" * len(prediction)'
    )
    assert serve != SERVE
    for number in range(5):
        put(f"{folder}/in/part-{number}.csv", "1,1\n2,2\n")
    instances = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    one_by_one = {"TransformResources": instances, "BatchStrategy": "SingleRecord"}
    api.CreateTransformJob(**transform(model("shared", serve), folder, **one_by_one))
    assert cloud.ended("shared")["TransformJobStatus"] == "Completed"
    processes = [get(f"{folder}/out/part-{number}.csv.out").split() for number in range(5)]
    assert all(first == second for first, second in processes)
    assert len({first for first, _ in processes}) == 2
