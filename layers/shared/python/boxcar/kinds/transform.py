"""SageMaker batch transform: a model over files of records."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from boxcar.errors import StepError
from boxcar.jobs.kind import Clients, Launch
from boxcar.jobs.sagemaker import SageMakerJob, already_exists, s3_folder, serving_environment

if TYPE_CHECKING:
    from boxcar.settings import Settings
    from boxcar.steps import Step

OPTIONS = {
    "content_type": "text/csv",
    "accept": "",
    "split": "Line",
    "strategy": "MultiRecord",
    "payload_mb": 6,
    "concurrency": 0,  # requests at once to each machine; 0 leaves it to SageMaker, which sends one after the other
    "input_filter": "",
    "output_filter": "",
    "join": "",
}


class Transform(SageMakerJob):
    """Inputs `model` and `data`, output `predictions`. AWS sets no time limit on it, so Boxcar does."""

    noun, name = "Transform", "transform"
    stops_itself = False

    def check(self, step: "Step", settings: "Settings") -> None:
        """Both inputs, and no option that transform does not have."""
        super().check(step, settings)
        if set(step.inputs) != {"model", "data"}:
            given = ", ".join(sorted(step.inputs)) or "(none)"
            raise StepError(f"step {step.name}: inputs: a transform takes `model` and `data`, not {given}")
        if unknown := sorted(set(step.options) - set(OPTIONS)):
            raise StepError(f"step {step.name}: options.{unknown[0]}: write one of {', '.join(OPTIONS)}")

    def outputs(self, step: "Step", place: str, name: str) -> dict[str, str]:
        """One file beside each input file, its name with .out."""
        return {"predictions": f"{place}predictions/"}

    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """Create the model, unless this very model exists, then the job."""
        model = self._model(launch, settings)
        try:
            clients(self.service).create_model(**model)
        except Exception as error:
            if not already_exists(error):
                raise
        return super().start(launch, settings, clients)

    def request(self, launch: Launch, settings: "Settings") -> dict[str, Any]:
        """CreateTransformJob."""
        options = {**OPTIONS, **launch.step.options}
        filters = {"input_filter": "InputFilter", "output_filter": "OutputFilter", "join": "JoinSource"}
        request: dict[str, Any] = {
            "TransformJobName": launch.name,
            "ModelName": self._model(launch, settings)["ModelName"],
            "BatchStrategy": options["strategy"],
            "MaxPayloadInMB": int(options["payload_mb"]),
            "TransformInput": {
                "DataSource": {"S3DataSource": s3_folder(launch.step.inputs["data"])},
                "ContentType": options["content_type"],
                "SplitType": options["split"],
            },
            "TransformOutput": {
                "S3OutputPath": launch.outputs["predictions"].removesuffix("/"),
                "Accept": options["accept"] or options["content_type"],
                "AssembleWith": "Line" if options["split"] == "Line" else "None",
            },
            "TransformResources": {
                "InstanceType": launch.instance_type,
                "InstanceCount": launch.step.resources.instance_count,
            },
        }
        if options["concurrency"]:
            request["MaxConcurrentTransforms"] = int(options["concurrency"])
        processing = {field: options[option] for option, field in filters.items() if options[option]}
        return request | ({"DataProcessing": processing} if processing else {})

    def _model(self, launch: Launch, settings: "Settings") -> dict[str, Any]:
        """CreateModel. Its name stands for its contents: every transform with the same model shares it."""
        step = launch.step
        assert step.image
        contents: dict[str, Any] = {
            "ExecutionRoleArn": settings.job_role_arn,
            "PrimaryContainer": {
                "Image": settings.images[step.image],
                "ModelDataUrl": step.inputs["model"],
                "Environment": serving_environment(step, settings),
            },
        }
        hashed = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:10]
        return {"ModelName": f"{launch.job.rsplit('-', 1)[0]}-{hashed}", **contents}


KIND = Transform()
