"""SageMaker training, in script mode of SageMaker's own framework containers."""

from typing import TYPE_CHECKING, Any

from boxcar.errors import StepError
from boxcar.jobs.kind import Launch
from boxcar.jobs.sagemaker import SageMakerJob, hyperparameters, s3_folder

LONGEST_SPOT_WAIT_S = 4 * 3600.0

if TYPE_CHECKING:
    from boxcar.settings import Settings
    from boxcar.steps import Step


class Training(SageMakerJob):
    """Each input is a channel; the one output is `model`, a model.tar.gz."""

    noun, name = "Training", "training"

    def check(self, step: "Step", settings: "Settings") -> None:
        """Spot and warm pools exclude each other (SageMaker Developer Guide, "SageMaker AI Managed Warm Pools")."""
        super().check(step, settings)
        if step.resources.spot != "never" and step.resources.keep_alive_s:
            raise StepError(
                f"step {step.name}: resources.keep_alive_s: machines of spot cannot be kept; write 0, or spot: never"
            )

    def pools(self, step: "Step") -> list[str]:
        """Spot has quotas of its own ("ml.m5.large for spot training job usage")."""
        spot = [f"spot/{instance_type}" for instance_type in step.resources.instance_types]
        return {"never": [], "prefer": spot, "only": spot}[step.resources.spot] + (
            [] if step.resources.spot == "only" else super().pools(step)
        )

    def longest_s(self, step: "Step") -> float:
        """With spot, the wait for machines and the times they were taken away count too."""
        return step.max_runtime_s + (_spot_wait_s(step) if step.resources.spot != "never" else 0.0)

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
        if launch.pool.startswith("spot/"):
            request["EnableManagedSpotTraining"] = True
            request["StoppingCondition"]["MaxWaitTimeInSeconds"] = step.max_runtime_s + int(_spot_wait_s(step))
        if step.resources.checkpoints or step.resources.spot != "never":
            request["CheckpointConfig"] = {"S3Uri": launch.checkpoints.removesuffix("/")}
        if step.resources.keep_alive_s:
            request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = step.resources.keep_alive_s
        return request | ({"InputDataConfig": channels} if channels else {})


def _spot_wait_s(step: "Step") -> float:
    """How long an attempt may wait for spot machines, in all: then it is no capacity, and the next pool's turn."""
    return min(step.max_wait_s, LONGEST_SPOT_WAIT_S)


KIND = Training()
