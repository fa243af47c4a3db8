"""Training jobs. Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html"""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from local.sagemaker import toolkit
from local.sagemaker.checkpoints import DEFAULT_PATH, Checkpoints
from local.sagemaker.containers import Image, inside
from local.sagemaker.data import Bucket, extract
from local.sagemaker.failures import Interrupted, JobFailure
from local.sagemaker.kind import Kind
from local.sagemaker.life import Life
from local.sagemaker.requests import refuse
from local.sagemaker.run import Run
from local.service import ApiError

MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "Interrupted": "Training job interrupted",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
SPOT_PRICE = 0.3  # of the price on demand: AWS says up to 90 % less; it changes by hour, type and zone
DEFAULT_RUNTIME = 86_400  # seconds: "default value is 1 day" (API_StoppingCondition)
FAILURE_LIMIT = 1024


class Training(Kind):
    """CreateTrainingJob and what follows."""

    noun = "TrainingJob"
    resource = "training-job"
    quota = "training"
    log_group = "/aws/sagemaker/TrainingJobs"
    missing = "Requested resource not found."
    taken = (
        "Training job names must be unique within an AWS account and region, but a training job with this name "
        "already exists ({arn})"
    )
    order = "Ascending"

    def accept(self, request: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is not implemented; fill in what AWS fills in."""
        algorithm = request.get("AlgorithmSpecification", {})
        if "TrainingImage" not in algorithm:
            raise refuse("AlgorithmSpecification.AlgorithmName", algorithm.get("AlgorithmName"), "TrainingImage")
        resources = request.get("ResourceConfig", {})
        if "InstanceType" not in resources:
            raise refuse("ResourceConfig without InstanceType", sorted(resources), "InstanceType and InstanceCount 1")
        if resources.get("InstanceCount", 1) != 1:
            raise refuse("ResourceConfig.InstanceCount", resources["InstanceCount"], "1")
        self._accept_spot(request)
        if "CheckpointConfig" in request:
            inside(
                "CheckpointConfig.LocalPath", request["CheckpointConfig"].get("LocalPath", DEFAULT_PATH), DEFAULT_PATH
            )
        names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
        if len(set(names)) != len(names):
            raise ApiError("ValidationException", f"Channel names must be unique within a training job: {names}")
        mode = algorithm.get("TrainingInputMode", "File")
        for channel in request.get("InputDataConfig", []):
            self._accept_channel(channel, mode)
        output = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        artifacts = f"{output}/{request['TrainingJobName']}/output/model.tar.gz"
        return {
            "ModelArtifacts": {"S3ModelArtifacts": artifacts},
            "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME, **request.get("StoppingCondition", {})},
            "SecondaryStatusTransitions": [],
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "EnableInterContainerTrafficEncryption": request.get("EnableInterContainerTrafficEncryption", False),
            "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
        }

    def _accept_spot(self, request: dict[str, Any]) -> None:
        if not request.get("EnableManagedSpotTraining"):
            return
        condition = request.get("StoppingCondition", {})
        # "It must be equal to or greater than MaxRuntimeInSeconds" (API_StoppingCondition)
        if condition.get("MaxWaitTimeInSeconds", 0) < condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME):
            words = (
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
            )
            raise ApiError("ValidationException", words)
        if request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
            words = "KeepAlivePeriodInSeconds is not supported with EnableManagedSpotTraining: leave one of them out"
            raise ApiError("ValidationException", words)

    def _accept_channel(self, channel: dict[str, Any], mode: str) -> None:
        field = f"InputDataConfig[{channel['ChannelName']}]"
        if channel.get("InputMode", mode) != "File":
            raise refuse(f"{field}.InputMode", channel.get("InputMode", mode), "File")
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise refuse(f"{field}.DataSource", sorted(channel["DataSource"]), "S3DataSource")
        if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise refuse(f"{field}.S3DataType", source["S3DataType"], "S3Prefix or ManifestFile")
        for name in ("CompressionType", "RecordWrapperType"):
            if channel.get(name, "None") != "None":
                raise refuse(f"{field}.{name}", channel[name], "None")
        if "ShuffleConfig" in channel:
            raise refuse(f"{field}.ShuffleConfig", channel["ShuffleConfig"], "nothing")

    def role(self, record: dict[str, Any]) -> str:
        """RoleArn of the request."""
        return str(record["RoleArn"])

    def instances(self, record: dict[str, Any]) -> tuple[str, int]:
        """As in ResourceConfig."""
        return record["ResourceConfig"]["InstanceType"], record["ResourceConfig"].get("InstanceCount", 1)

    def container(self, record: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """TrainingImage and the hyperparameters."""
        return record["AlgorithmSpecification"]["TrainingImage"], record.get("HyperParameters", {})

    def use(self, record: dict[str, Any]) -> str:
        """Spot instances have a quota of their own."""
        return "spot training job" if record["EnableManagedSpotTraining"] else "training job"

    def reuses(self, record: dict[str, Any]) -> bool:
        """Any training job that is like the one before, but not on spot instances."""
        return not record["EnableManagedSpotTraining"]

    def keeps(self, record: dict[str, Any]) -> bool:
        """KeepAlivePeriodInSeconds of the request."""
        return bool(record["ResourceConfig"].get("KeepAlivePeriodInSeconds"))

    def phase(self, record: dict[str, Any], secondary: str, at: float, message: str = "") -> dict[str, Any]:
        """SecondaryStatus and its history."""
        history = [dict(entry) for entry in record["SecondaryStatusTransitions"]]
        if history:
            history[-1].setdefault("EndTime", at)
        history.append({"Status": secondary, "StartTime": at, "StatusMessage": message or MESSAGES[secondary]})
        if secondary in ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
            history[-1]["EndTime"] = at
        return {"SecondaryStatus": secondary, "SecondaryStatusTransitions": history}

    def ending(self, life: Life, record: dict[str, Any], status: str, at: float) -> dict[str, Any]:
        """Seconds on instances, and what they are billed as."""
        seconds = life.ran(at)
        price = SPOT_PRICE if record["EnableManagedSpotTraining"] else 1.0
        return {"TrainingTimeInSeconds": round(seconds), "BillableTimeInSeconds": round(seconds * price)}

    def work(self, run: Run) -> None:
        """Download, train, upload; again on other instances as often as they are taken away."""
        image = run.image(run.request["AlgorithmSpecification"]["TrainingImage"])
        while True:
            try:
                self._go(run, image)
            except Interrupted:
                run.restart()
            else:
                return

    def _go(self, run: Run, image: Image) -> None:
        request, base = run.request, run.base
        now = run.jobs.cloud.clock.time()
        fields: dict[str, Any] = {} if run.launched else {"TrainingStartTime": now}
        run.got_instances(now)
        run.jobs.enter(run, "Downloading", **fields)
        run.limit(request["StoppingCondition"]["MaxRuntimeInSeconds"])
        channels = request.get("InputDataConfig", [])
        bucket = run.bucket()
        checkpoints = self._checkpoints(run, bucket)
        for channel in channels:
            source = channel["DataSource"]["S3DataSource"]
            bucket.download(source["S3Uri"], source["S3DataType"], base / "input/data" / channel["ChannelName"])
        self._write_config(base, request, channels)
        run.jobs.enter(run, "Training")
        run.expect_interruption()
        with checkpoints:
            code = self._train(run, image)
        run.check_interruption()
        uploading = run.stopping() or code == 0
        if uploading:
            run.jobs.enter(run, "Uploading")
            artifacts = request["ModelArtifacts"]["S3ModelArtifacts"]
            bucket.put_archive(base / "model", artifacts, run.root / "model.tar.gz")
        if any((base / "output/data").iterdir()):
            target = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{run.name}/output/output.tar.gz"
            bucket.put_archive(base / "output/data", target, run.root / "output.tar.gz")
        if not uploading:
            failure = base / "output/failure"
            text = failure.read_text(errors="replace")[:FAILURE_LIMIT] if failure.is_file() else ""
            raise JobFailure("AlgorithmError", f"{text}, exit code: {code}")

    def _checkpoints(self, run: Run, bucket: Bucket) -> AbstractContextManager[None]:
        config = run.request.get("CheckpointConfig")
        if config is None:
            return nullcontext()
        place = inside("CheckpointConfig.LocalPath", config.get("LocalPath", DEFAULT_PATH), DEFAULT_PATH)
        checkpoints = Checkpoints(bucket, config["S3Uri"], run.base / place)
        checkpoints.fetch()
        told = {"S3Uri": config["S3Uri"], "LocalPath": str(run.base / place)}
        (run.base / "input/config/checkpointconfig.json").write_text(json.dumps(told))
        return checkpoints

    def _write_config(self, base: Path, request: dict[str, Any], channels: list[dict[str, Any]]) -> None:
        mode = request["AlgorithmSpecification"].get("TrainingInputMode", "File")
        config = {
            "hyperparameters": request.get("HyperParameters", {}),
            "inputdataconfig": toolkit.input_data_config(channels, mode),
            "resourceconfig": toolkit.resource_config(request["ResourceConfig"]["InstanceType"]),
        }
        for name, content in config.items():
            (base / "input/config" / f"{name}.json").write_text(json.dumps(content))

    def _train(self, run: Run, image: Image) -> int:
        request, base = run.request, run.base
        algorithm = request["AlgorithmSpecification"]
        env = {
            "TRAINING_JOB_NAME": run.name,
            "TRAINING_JOB_ARN": request["TrainingJobArn"],
            # what the image's Dockerfile sets
            "SM_INPUT": "/opt/ml/input",
            "SM_INPUT_TRAINING_CONFIG_FILE": "/opt/ml/input/config/hyperparameters.json",
            "SM_INPUT_DATA_CONFIG_FILE": "/opt/ml/input/config/inputdataconfig.json",
            "SM_CHECKPOINT_CONFIG_FILE": "/opt/ml/input/config/checkpointconfig.json",
            "SM_MODEL_DIR": "/opt/ml/model",
            **request.get("Environment", {}),
        }
        if "ContainerEntrypoint" in algorithm:  # the container as it is, without its toolkit
            argv = [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
            return run.execute(image, argv, env, base)
        values = toolkit.decoded(request.get("HyperParameters", {}))
        if "sagemaker_program" not in values:
            raise JobFailure(
                "ClientError",
                "The embedded cloud does not implement the built-in algorithm of this image; write the "
                "hyperparameters sagemaker_program and sagemaker_submit_directory.",
            )
        return self._train_script(run, image, values, env)

    def _train_script(self, run: Run, image: Image, values: dict[str, Any], env: dict[str, str]) -> int:
        base = run.base
        submitted = str(values.get("sagemaker_submit_directory", ""))
        if submitted.startswith("s3://"):
            run.bucket().fetch(submitted, run.root / "code.tar.gz")
            extract(run.root / "code.tar.gz", base / "code", submitted)
        env = env | toolkit.variables(
            base,
            job=run.name,
            values=values,
            channels=run.request.get("InputDataConfig", []),
            mode=run.request["AlgorithmSpecification"].get("TrainingInputMode", "File"),
            instance_type=run.request["ResourceConfig"]["InstanceType"],
            framework=image.framework,
            cpus=run.jobs.containers.threads,
        )
        env["PYTHONPATH"] = str(base / "code")
        module = str(values["sagemaker_program"]).removesuffix(".py")
        arguments = toolkit.arguments(values)
        code = run.execute(image, ["python3", "-m", module, *arguments], env, base / "code")
        if code and not run.stopping():
            # The toolkit writes its own words over whatever the script left there, and exits with 1.
            command = " ".join(["/miniconda3/bin/python3", "-m", module, *arguments])
            (base / "output/failure").write_text(f'ExecuteUserScriptError:\nCommand "{command}"')
            return 1
        return code
