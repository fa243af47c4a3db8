"""Requests that AWS would refuse."""

import pytest

from local.sagemaker.requests import validate
from local.service import ApiError
from tests.unit.sagemaker.test_processing import processing
from tests.unit.sagemaker.test_training import channel, training


def refusal(action, request):
    with pytest.raises(ApiError) as error:
        validate(action, request)
    return error.value.code, error.value.message


def test_what_is_right_passes():
    validate("CreateTrainingJob", training("ok", "s3://b/x", InputDataConfig=[channel("train", "s3://b/x")]))
    validate("CreateProcessingJob", processing("ok", "s3://b/x"))


def test_every_violation_is_named_in_awss_words():
    request = training("not_ok!", "s3://b/x")
    request["ResourceConfig"]["VolumeSizeInGB"] = -1
    request["ResourceConfig"]["InstanceType"] = "ml.huge"
    del request["OutputDataConfig"]
    code, message = refusal("CreateTrainingJob", request)
    assert code == "ValidationException"
    assert message.startswith("4 validation errors detected: ")
    assert "Value null at 'outputDataConfig' failed to satisfy constraint: Member must not be null" in message
    assert (
        "Value 'not_ok!' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular expression "
        "pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    ) in message
    assert (
        "Value '-1' at 'resourceConfig.volumeSizeInGB' failed to satisfy constraint: Member must have value" in message
    )
    assert (
        "Value 'ml.huge' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum"
        in message
    )


def test_lists_are_counted_from_one():
    request = training("x", "s3://b/x", InputDataConfig=[channel("ok", "s3://b/x"), channel("no way", "s3://b/x")])
    assert "'inputDataConfig.2.member.channelName'" in refusal("CreateTrainingJob", request)[1]


def test_a_name_that_is_too_long():
    _, message = refusal("DescribeProcessingJob", {"ProcessingJobName": "x" * 64})
    assert "Member must have length less than or equal to 63" in message


def test_unknown_fields_are_named():
    code, message = refusal("DescribeModel", {"ModelName": "m", "Colour": "red"})
    assert code == "ValidationException" and message.endswith("Unknown parameter 'colour', must be one of: ModelName")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"TrainingJobName": 7}, "NUMBER_VALUE can not be converted to a String"),
        ({"TrainingJobName": True}, "TRUE_VALUE can not be converted to a String"),
        ({"TrainingJobName": "x", "Tags": {}}, "Expected list or null"),
        ({"TrainingJobName": "x", "ResourceConfig": "big"}, "Unexpected field type"),
        (
            {"TrainingJobName": "x", "StoppingCondition": {"MaxRuntimeInSeconds": "60"}},
            "STRING_VALUE can not be converted to an Integer",
        ),
    ],
)
def test_the_wrong_type(request_, words):
    code, message = refusal("CreateTrainingJob", request_)
    assert code == "SerializationException" and message.startswith(words)


def test_actions_that_are_not_there(api):
    with pytest.raises(
        ApiError, match="CreateNotebookInstance is not implemented by the embedded cloud; it has: AddTags, "
    ) as error:
        api.CreateNotebookInstance(NotebookInstanceName="x")
    assert (error.value.code, error.value.status) == ("UnknownOperationException", 404)
    with pytest.raises(ApiError, match="MakeTea is not an action of SageMaker"):
        api.MakeTea()


@pytest.mark.parametrize(
    ("action", "code", "message"),
    [
        ("DescribeTrainingJob", "ValidationException", "Requested resource not found."),
        ("StopTrainingJob", "ValidationException", "Requested resource not found."),
        ("DescribeProcessingJob", "ValidationException", "Could not find requested job with name: nobody"),
        ("DescribeTransformJob", "ValidationException", "Could not find requested job with name: nobody"),
    ],
)
def test_jobs_that_are_not_there(api, action, code, message):
    noun = action.removeprefix("Describe").removeprefix("Stop")
    with pytest.raises(ApiError) as error:
        getattr(api, action)(**{f"{noun}Name": "nobody"})
    assert (error.value.code, error.value.message) == (code, message)
