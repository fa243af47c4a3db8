"""Transform jobs. Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html"""

import contextlib
import http.client
import os
import selectors
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.sagemaker import records
from local.sagemaker.data import extract, split
from local.sagemaker.failures import JobFailure, Stopped
from local.sagemaker.kind import Kind
from local.sagemaker.records import Format, RecordError
from local.sagemaker.requests import refuse
from local.sagemaker.run import Run

SERVING = Path(__file__).parent / "inside" / "serving.py"
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
        if "ModelDataUrl" in container:
            bucket.fetch(container["ModelDataUrl"], run.root / "model.tar.gz")
            extract(run.root / "model.tar.gz", run.base / "model", container["ModelDataUrl"])
        env = {**container.get("Environment", {}), **request.get("Environment", {})}
        submitted = env.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submitted.startswith("s3://"):
            bucket.fetch(submitted, run.root / "code.tar.gz")
            extract(run.root / "code.tar.gz", run.base / "code", submitted)
            env["SAGEMAKER_SUBMIT_DIRECTORY"] = "/opt/ml/code"
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
    """The model's HTTP server, in the container's environment: one of each instance."""

    def __init__(self, run: Run, image: Any, env: dict[str, str], instance: int) -> None:
        self._run = run
        self._client = {"InvocationsTimeoutInSeconds": TIMEOUT, "InvocationsMaxRetries": RETRIES}
        self._client |= run.request.get("ModelClientConfig", {})
        door = run.root / f"port-{instance}"
        os.mkfifo(door)
        reading = os.open(door, os.O_RDONLY | os.O_NONBLOCK)
        self._writing = os.open(door, os.O_WRONLY)
        defaults = {"SM_MODEL_DIR": "/opt/ml/model", "BOXCAR_PORT_FILE": str(door)}
        try:
            self._process = run.start(image, ["python3", str(SERVING)], {**defaults, **env}, run.base)
            self._process.when_ended(self._gone)
            with selectors.DefaultSelector() as selector:
                selector.register(reading, selectors.EVENT_READ)
                selector.select()
            said = os.read(reading, 64).decode().strip()
        finally:
            os.close(reading)
        if not said.isdigit():
            self._fail("the model server ended before it answered a ping")
        self._port = int(said)
        status, _ = self._ask("GET", "/ping", b"", {})
        if status != 200:
            self._fail(f"the model server answered a ping with {status}")

    def invoke(self, body: bytes, content_type: str, accept: str) -> bytes:
        """POST /invocations.

        Raises:
            JobFailure: the model refused the data, or failed as often as the job allows.
        """
        headers = {"Content-Type": content_type or "application/octet-stream", "Accept": accept or "*/*"}
        for attempt in range(int(self._client["InvocationsMaxRetries"]) + 1):
            self._run.check()
            status, answer = self._ask("POST", "/invocations", body, headers)
            if status == 200:
                return answer
            self.log(f"Bad HTTP status received from algorithm: {status}: {answer.decode(errors='replace')}")
            if status < 500 or attempt == int(self._client["InvocationsMaxRetries"]):
                raise JobFailure("ClientError" if status < 500 else "AlgorithmError", SEE_LOGS)
        raise AssertionError("unreachable")

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        timeout = float(self._client["InvocationsTimeoutInSeconds"])
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            if self._run.stopping():
                raise Stopped from error
            return 500, f"{type(error).__name__}: {error}".encode()
        finally:
            connection.close()

    def log(self, line: str) -> None:
        """Add a line to the job's log, beside what the container prints."""
        with self._run.log.open("a") as log:
            log.write(f"[sagemaker logs] {line}\n")

    def end(self) -> None:
        """The work is done."""
        self._process.kill()

    def _gone(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody waits for the port any more
            os.write(self._writing, b"ended\n")
        os.close(self._writing)

    def _fail(self, line: str) -> None:
        self._run.check()
        self.log(line)
        raise JobFailure("AlgorithmError", SEE_LOGS)
