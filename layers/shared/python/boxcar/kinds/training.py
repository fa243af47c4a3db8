"""SageMaker training, in script mode of SageMaker's own framework containers."""

from typing import TYPE_CHECKING, Any

from boxcar.jobs.kind import Launch
from boxcar.jobs.sagemaker import SageMakerJob, hyperparameters, s3_folder

if TYPE_CHECKING:
    from boxcar.settings import Settings
    from boxcar.steps import Step


class Training(SageMakerJob):
    """Each input is a channel; the one output is `model`, a model.tar.gz."""

    noun, name = "Training", "training"

    def outputs(self, step: "Step", place: str, name: str) -> dict[str, str]:
        """SageMaker lays the archive under the job's name."""
        return {"model": f"{place}{name}/output/model.tar.gz"}

    def request(self, launch: Launch, settings: "Settings") -> dict[str, Any]:
        """CreateTrainingJob."""
        step = launch.step
        assert step.image
        channels = [
            {
                "ChannelName": name,
                "DataSource": {"S3DataSource": {**s3_folder(uri), "S3DataDistributionType": "FullyReplicated"}},
            }
            for name, uri in step.inputs.items()
        ]
        request: dict[str, Any] = {
            "TrainingJobName": launch.name,
            "RoleArn": settings.job_role_arn,
            "AlgorithmSpecification": {"TrainingImage": settings.images[step.image], "TrainingInputMode": "File"},
            "HyperParameters": hyperparameters(step, settings),
            "OutputDataConfig": {"S3OutputPath": launch.place.removesuffix("/")},
            "ResourceConfig": {
                "InstanceType": launch.instance_type,
                "InstanceCount": step.resources.instance_count,
                "VolumeSizeInGB": step.resources.volume_gb,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": step.max_runtime_s},
        }
        return request | ({"InputDataConfig": channels} if channels else {})


KIND = Training()
