"""Transform jobs. Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html"""

import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.sagemaker import records
from local.sagemaker.data import split
from local.sagemaker.failures import JobFailure, Stopped
from local.sagemaker.kind import Kind
from local.sagemaker.model_server import Answer, ModelServer, NotServing, fetch
from local.sagemaker.records import Format, RecordError
from local.sagemaker.requests import refuse
from local.sagemaker.run import Run

PAYLOAD_MB = 6
TIMEOUT, RETRIES = 600, 3  # of one invocation: API_ModelClientConfig
SEE_LOGS = "See job logs for more information"


class Transform(Kind):
    """CreateTransformJob and what follows. `model` finds a model's record by name."""

    noun = "TransformJob"
    resource = "transform-job"
    quota = "transform"
    log_group = "/aws/sagemaker/TransformJobs"
    missing = "Could not find requested job with name: {name}"
    taken = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
    order = "Descending"

    def __init__(self, model: Callable[[str], dict[str, Any]]) -> None:
        self._model = model

    def accept(self, request: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is not implemented; keep what the model is now, since it may be deleted while the job runs."""
        model = self._model(request["ModelName"])
        source = request["TransformInput"]
        data_type = source["DataSource"]["S3DataSource"]["S3DataType"]
        if data_type not in ("S3Prefix", "ManifestFile"):
            raise refuse("TransformInput.S3DataType", data_type, "S3Prefix or ManifestFile")
        if source.get("SplitType", "None") not in ("None", "Line"):
            raise refuse("TransformInput.SplitType", source["SplitType"], "None or Line")
        if source.get("CompressionType", "None") != "None":
            raise refuse("TransformInput.CompressionType", source["CompressionType"], "None")
        if "DataCaptureConfig" in request:
            raise refuse("DataCaptureConfig", request["DataCaptureConfig"], "nothing")
        for name, text in request.get("DataProcessing", {}).items():
            if name != "JoinSource":
                records.parse_filter(f"DataProcessing.{name}", text)
        return {"_model": model}

    def role(self, record: dict[str, Any]) -> str:
        """The execution role of the model."""
        return str(record["_model"]["ExecutionRoleArn"])

    def instances(self, record: dict[str, Any]) -> tuple[str, int]:
        """As in TransformResources."""
        return record["TransformResources"]["InstanceType"], record["TransformResources"].get("InstanceCount", 1)

    def container(self, record: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """The model's image, and the environment of both."""
        container = record["_model"]["PrimaryContainer"]
        return container["Image"], {**container.get("Environment", {}), **record.get("Environment", {})}

    def work(self, run: Run) -> None:
        """Serve the model, send every file through it, upload what comes back."""
        request, container = run.request, run.request["_model"]["PrimaryContainer"]
        image = run.image(container["Image"])
        run.jobs.enter(run, "InProgress", TransformStartTime=run.jobs.cloud.clock.time())
        bucket = run.bucket()
        source = request["TransformInput"]["DataSource"]["S3DataSource"]
        objects = bucket.objects(source["S3Uri"], source["S3DataType"])
        env = fetch(container, request.get("Environment", {}), bucket, run.root)
        output = request["TransformOutput"]["S3OutputPath"].rstrip("/")
        count = min(self.instances(request)[1], max(1, len(objects)))  # a file is never shared: further ones are idle

        def serve(instance: int) -> None:
            worker = Worker(run, image, env, instance)
            for bucket_name, key, path in objects[instance::count]:
                run.check()
                body = bucket.read(f"s3://{bucket_name}/{key}")
                name = path or split(key)[1] or key.rsplit("/", 1)[-1]
                bucket.put(f"{output}/{name}.out", self._transform(request, worker, body))
            worker.end()

        if count == 1:
            serve(0)
            return
        with ThreadPoolExecutor(count, thread_name_prefix="transform-instance") as pool:
            list(pool.map(serve, range(count)))

    def _transform(self, request: dict[str, Any], worker: "Worker", body: bytes) -> bytes:
        try:
            return b"".join(self._answers(request, worker, body))
        except RecordError as error:
            worker.log(str(error))
            raise JobFailure("ClientError", SEE_LOGS) from error

    def _answers(self, request: dict[str, Any], worker: "Worker", body: bytes) -> list[bytes]:
        source, target = request["TransformInput"], request["TransformOutput"]
        processing = request.get("DataProcessing", {})
        paths = {
            name: records.parse_filter(name, processing.get(name, "$")) for name in ("InputFilter", "OutputFilter")
        }
        joined = processing.get("JoinSource", "None") == "Input"
        lines = source.get("SplitType", "None") == "Line"
        reading = Format(source.get("ContentType", "text/csv"))
        writing = Format(target.get("Accept", source.get("ContentType", "text/csv")))
        limit = (request.get("MaxPayloadInMB") or PAYLOAD_MB) << 20
        inputs = records.split(body, source.get("SplitType", "None"))
        sent = inputs
        if paths["InputFilter"]:
            sent = [reading.write(records.select(reading.read(line), paths["InputFilter"])) for line in inputs]
        batches = list(records.batches(sent, request.get("BatchStrategy") == "SingleRecord", limit))

        def send(batch: list[bytes]) -> bytes:
            ended = b"\n" if lines else b""
            return worker.invoke(ended.join(batch) + ended, source.get("ContentType", ""), target.get("Accept", ""))

        with ThreadPoolExecutor(request.get("MaxConcurrentTransforms") or 1) as pool:
            answers = list(pool.map(send, batches))
        if not joined and not paths["OutputFilter"]:
            end = b"\n" if target.get("AssembleWith") == "Line" else b""
            return [answer.rstrip(b"\n") + end if end else answer for answer in answers]
        outputs = [line for answer in answers for line in records.split(answer, "Line" if lines else "None")]
        if joined and len(outputs) != len(inputs):
            raise RecordError(f"cannot join {len(inputs)} input records with {len(outputs)} output records")
        values = [writing.read(line) for line in outputs]
        if joined:
            values = [writing.join(reading.read(line), value) for line, value in zip(inputs, values, strict=True)]
        return [writing.write(records.select(value, paths["OutputFilter"])) + b"\n" for value in values]


class Worker:
    """One instance's HTTP server of the model, as a job uses it: with retries, and until the job stops."""

    def __init__(self, run: Run, image: Any, env: dict[str, str], instance: int) -> None:
        self._run = run
        self._client = {"InvocationsTimeoutInSeconds": TIMEOUT, "InvocationsMaxRetries": RETRIES}
        self._client |= run.request.get("ModelClientConfig", {})
        door = run.root / f"port-{instance}"
        try:
            self._server = ModelServer(door, env, lambda argv, env: run.start(image, argv, env, run.base))
        except NotServing as error:
            run.check()
            self.log(str(error))
            raise JobFailure("AlgorithmError", SEE_LOGS) from error

    def invoke(self, body: bytes, content_type: str, accept: str) -> bytes:
        """POST /invocations.

        Raises:
            JobFailure: the model refused the data, or failed as often as the job allows.
        """
        headers = {"Content-Type": content_type or "application/octet-stream", "Accept": accept or "*/*"}
        for attempt in range(int(self._client["InvocationsMaxRetries"]) + 1):
            self._run.check()
            answer = self._ask(body, headers)
            if answer.status == 200:
                return answer.body
            self.log(
                f"Bad HTTP status received from algorithm: {answer.status}: {answer.body.decode(errors='replace')}"
            )
            if answer.status < 500 or attempt == int(self._client["InvocationsMaxRetries"]):
                raise JobFailure("ClientError" if answer.status < 500 else "AlgorithmError", SEE_LOGS)
        raise AssertionError("unreachable")

    def _ask(self, body: bytes, headers: dict[str, str]) -> Answer:
        timeout = float(self._client["InvocationsTimeoutInSeconds"])
        try:
            return self._server.ask("POST", "/invocations", body, headers, timeout)
        except (OSError, http.client.HTTPException) as error:
            if self._run.stopping():
                raise Stopped from error
            return Answer(500, f"{type(error).__name__}: {error}".encode())

    def log(self, line: str) -> None:
        """Add a line to the job's log, beside what the container prints."""
        with self._run.log.open("a") as log:
            log.write(f"[sagemaker logs] {line}\n")

    def end(self) -> None:
        """The work is done."""
        self._server.kill()
