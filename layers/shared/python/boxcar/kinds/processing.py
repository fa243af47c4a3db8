"""SageMaker processing: one script over files, with a config.json beside it."""

import json
from typing import TYPE_CHECKING, Any

from boxcar.jobs.kind import Clients, Launch
from boxcar.jobs.sagemaker import SageMakerJob, s3_folder

if TYPE_CHECKING:
    from boxcar.settings import Settings

BASE = "/opt/ml/processing"


class Processing(SageMakerJob):
    """Inputs appear under /opt/ml/processing/input/<name>, outputs are taken from /opt/ml/processing/output/<name>."""

    noun, name = "Processing", "processing"
    # What a script says of its data is in the exit message alone, and AWS documents that for Describe, not for events
    # (SageMaker Developer Guide, "Save and Access Metadata Information About Your Processing Job").
    tells_why = ("FailureReason", "ExitMessage")

    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """Write config.json where only this attempt reads it, then create the job."""
        bucket, key = launch.place.removeprefix("s3://").split("/", 1)
        clients("s3").put_object(
            Bucket=bucket,
            Key=f"{key}config.json",
            Body=json.dumps(launch.step.config).encode(),
            ContentType="application/json",
        )
        return super().start(launch, settings, clients)

    def request(self, launch: Launch, settings: "Settings") -> dict[str, Any]:
        """CreateProcessingJob."""
        step = launch.step
        assert step.image and step.code
        inputs = {"code": step.code.prefix, "config": f"{launch.place}config.json", **step.inputs}
        return {
            "ProcessingJobName": launch.name,
            "RoleArn": settings.job_role_arn,
            "AppSpecification": {
                "ImageUri": settings.images[step.image],
                "ContainerEntrypoint": ["python3", f"{BASE}/input/code/{step.script}"],
            },
            "Environment": {"AWS_DEFAULT_REGION": settings.region},
            "ProcessingInputs": [
                {
                    "InputName": name,
                    "S3Input": {
                        **s3_folder(uri),
                        "LocalPath": f"{BASE}/input/{name}",
                        "S3InputMode": "File",
                        "S3DataDistributionType": "FullyReplicated",
                    },
                }
                for name, uri in inputs.items()
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": name,
                        "S3Output": {
                            "S3Uri": uri.removesuffix("/"),
                            "LocalPath": f"{BASE}/output/{name}",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                    for name, uri in launch.outputs.items()
                ]
            },
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceType": launch.instance_type,
                    "InstanceCount": step.resources.instance_count,
                    "VolumeSizeInGB": step.resources.volume_gb,
                }
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": step.max_runtime_s},
        }


KIND = Processing()
