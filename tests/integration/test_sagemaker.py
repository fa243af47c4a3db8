"""SageMaker's jobs over the cloud's own port: simulated ones, and misfortunes that befall them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.client import CloudClient, wait_for

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/boxcar-simulated:1"


def create(cloud: CloudClient, name: str, **course: Any) -> None:
    cloud.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::000000000000:role/boxcar-jobs",
        HyperParameters={key: str(value) for key, value in course.items()},
        OutputDataConfig={"S3OutputPath": "s3://boxcar-data/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )


def ended(cloud: CloudClient, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        told: dict[str, Any] = cloud.client("sagemaker").describe_training_job(TrainingJobName=name)
        return told if told["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    return wait_for(look, why=f"the end of {name}")


def test_a_simulated_job_lives_by_the_clock(cloud: CloudClient) -> None:
    create(cloud, "simulated", provision_seconds=0.2, work_seconds=0.5)
    told = ended(cloud, "simulated")
    assert told["TrainingJobStatus"] == "Completed"
    assert (told["TrainingEndTime"] - told["TrainingStartTime"]).total_seconds() >= 0.49


def test_a_misfortune_befalls_a_job(faults: CloudClient) -> None:
    faults.add_fault(job="struck-*", outcome="CapacityError", count=1)
    for number in (1, 2):
        create(faults, f"struck-{number}")
    told = [ended(faults, f"struck-{number}") for number in (1, 2)]
    assert [each["TrainingJobStatus"] for each in told] == ["Failed", "Completed"]
    assert told[0]["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity.")
    assert faults.faults()["fired"][0]["job"] == "struck-1"


def test_a_quota_holds_from_when_it_is_set(cloud: CloudClient) -> None:
    quota = "ml.m5.large for training job usage"
    create(cloud, "holds", outcome="hang")
    cloud.set_quotas({quota: 1})
    try:
        assert cloud.quotas()[quota] == {"limit": 1, "used": 1}
        with pytest.raises(ClientError, match=r"ResourceLimitExceeded.*is 1 Instances, with current utilization of 1"):
            create(cloud, "refused")
        cloud.client("sagemaker").stop_training_job(TrainingJobName="holds")
        assert ended(cloud, "holds")["SecondaryStatus"] == "Stopped"
        create(cloud, "allowed")
        assert ended(cloud, "allowed")["TrainingJobStatus"] == "Completed"
    finally:
        cloud.set_quotas({quota: None})
