"""An account with the stack in it: the embedded cloud's tables, moto's S3 and registry, the real engine and functions.

A job is run by nobody: it is stored by the real `submit_job`, and then its outputs are there and its token is answered as
the monitor answers it. Where a job itself is to fail, the real launcher and monitor see to it.
"""

import importlib.util
import json
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from moto import mock_aws

import boxcar.aws
import boxcar.serving.trial_judge
from boxcar.attributes import encode_all
from boxcar.benchmarks.planning import CODE_KEY, COMPILED, RESULTS
from boxcar.families import AppliedArchitecture, Family, FamilyVersion
from boxcar.family_store import FamilyStore
from boxcar.jobs.answers import send_answer
from boxcar.jobs.items import to_item
from boxcar.jobs.record import COMPLETED, Job
from boxcar.jobs.table import JobsTable
from boxcar.serving.records import Endpoint, Endpoints, Live
from boxcar.serving.targets import VARIANT, endpoint_name
from boxcar.settings import settings
from boxcar.steps import Code
from cli.architectures import read_architectures, read_yaml
from tests.conformance.machinery import Engine, FunctionError, client_error
from tests.integration.fault_matrix import dynamodb
from tests.integration.fault_matrix.machines import QUEUE, ROOT, is_bad_end
from tests.unit.jobs.fakes import Ending
from tests.unit.judging.conftest import evaluation
from tests.unit.kinds.worlds import KindWorld
from tests.unit.serving.fakes import ROLE, FakeCloudWatch, FakeRuntime, FakeSageMaker, FakeScaling, event
from tests.unit.tables import make_tables

STACK, BUCKET, JOBS, MODELS = "boxcar", "data", "jobs", "models"
ALARMS = f"{QUEUE}AlarmQueue"
FIGURES: dict[str, dict[str, Any]] = {"approve": {}, "reject": {"score": 0.3}, "review": {"rows": 100}}
GATE = {"metric": "roc_auc", "min_score": 0.5, "min_rows": 100, "on_breach": {"rows": "review"}}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
    "BOXCAR_STACK": STACK,
    "BOXCAR_BUCKET": BUCKET,
    "BOXCAR_JOBS_TABLE": JOBS,
    "BOXCAR_MODELS_TABLE": MODELS,
    "BOXCAR_ALARM_QUEUE_URL": ALARMS,
    "BOXCAR_LAUNCH_QUEUE_URL": f"{QUEUE}LaunchQueue",
    "BOXCAR_EVENTS_QUEUE_URL": f"{QUEUE}MonitorQueue",
    "BOXCAR_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:boxcar-notifications",
    "BOXCAR_IMAGES": json.dumps({"xgboost": "123456789012.dkr.ecr.us-east-1.amazonaws.com/xgboost:3.0-5"}),
    "BOXCAR_REDSHIFT_WORKGROUP": "warehouse",
    "BOXCAR_BENCHMARK_VCPUS": json.dumps({"c7i": 4}),
    "BOXCAR_ENDPOINT_ROLE_ARN": ROLE,
}


QUESTIONS = ("model_review", "release_review")  # kinds of messages with a link to a page
# A job of Batch whose process was killed.
KILLED_CONTAINER = {"status": "FAILED", "words": {"container": {"exitCode": 137, "reason": "OutOfMemoryError"}}}
ROWS = 5  # that an inference run unloads
SCORE = 0.25  # of the one row in the sample of a version
AFFECTED, SIBLING = "mailer", "bag"  # the model with the fault, and the one beside it
WELL: dict[str, dict[str, Any]] = {
    "compare_versions": {"model": SIBLING, "outcome": "approve", "version": "1.0.0", "reasons": []},
    "check_counts": {"model": SIBLING, "version": "1.0.0", "rows": 5},
    "register_version": {"model": SIBLING, "version": "1.0.0", "status": "Approved", "package_arn": "arn"},
}


class Context:
    """The second argument of a handler."""

    function_name = function_version = invoked_function_arn = memory_limit_in_mb = aws_request_id = "x"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass(frozen=True)
class Mail:
    """One mail that left."""

    kind: str
    audience: str
    subject: str

    @property
    def error(self) -> str:
        """What an alarm is about: the name of the error, or what happened to a version."""
        known = [words for words in ("was rejected", "needs a decision", "nobody decided") if words in self.subject]
        return known[0] if known else self.subject.rpartition(": ")[2]


class Refusing:
    """A client whose role may do nothing."""

    def __init__(self, real: Any) -> None:
        self.exceptions = getattr(real, "exceptions", None)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**_: Any) -> Any:
            raise client_error("AccessDeniedException", f"User: arn:aws:sts::1:x is not authorized to perform: {name}")

        return call


class Account:
    """The account. One run at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine: Engine
        self.turn = threading.RLock()  # one function at a time: moto is not made for more
        self.refusing = False  # whether AWS refuses every call of functions
        self.outcome = "approve"  # what the figures of the model under test lead to
        self.lazy = False  # whether the job that is submitted next stays as it is
        self.change: Callable[[Any], Any] | None = None  # of what its token is answered with
        self.endings: list[Ending] | None = None  # how the attempts of the job that is submitted next end
        self.messages: list[dict[str, Any]] = []  # on the alarm queue, in the order in which they were sent
        self.mails: list[Mail] = []
        self.score = SCORE  # what endpoints answer
        self.sagemaker = FakeSageMaker()
        self._serving = {
            "sagemaker-runtime": FakeRuntime(lambda: self.score),
            "cloudwatch": FakeCloudWatch(),
            "application-autoscaling": FakeScaling(),
        }
        self._states = _States(self)
        self._real: dict[str, Any] = {"dynamodb": dynamodb.client()}
        monkeypatch.setattr(boxcar.aws, "client", self.client)
        monkeypatch.setattr(boxcar.aws, "prompt_client", self.client)
        self.functions = {
            path.name: _load(path) for path in (ROOT / "functions").iterdir() if (path / "app.py").exists()
        }
        for name in ("report_run", "report_inference", "report_benchmark"):  # a page takes a tenth of a second
            monkeypatch.setattr(self.functions[name], "render", lambda report: "")
        monkeypatch.setattr(boxcar.serving.trial_judge, "render", lambda report: "")
        self.client("s3").create_bucket(Bucket=BUCKET)
        code = Code(digest="d", archive=f"s3://{BUCKET}/c.tar.gz", prefix=f"s3://{BUCKET}/c/")
        self._put(f"s3://{BUCKET}/{CODE_KEY}", code.model_dump_json())
        self.empty()
        spec = read_architectures(ROOT / "models")["boosted_trees"]
        steps = {step.name: step.model_copy(update={"inputs": {}}) for step in spec.steps}
        two = [steps["train"], steps["evaluate"]]  # enough for a candidate
        self._predict = steps["predict"]
        self._architecture = AppliedArchitecture(spec=spec.model_copy(update={"steps": two}), code=code)
        self._family = read_yaml(ROOT / "families/packaging.yaml") | {"gate": GATE}

    def empty(self) -> None:
        """Tables as after a deployment."""
        make_tables(self.client("dynamodb"))

    def apply_family(
        self, name: str, *models: str, approved: bool = False, serving: dict[str, Any] | None = None
    ) -> None:
        """Store a family of its own for a run, if asked with a version of each model to predict with."""
        chosen = {model: {**self._family["models"][model], "serving": serving or {}} for model in models}
        inference = {**self._family["inference"], "prices": {}}
        family = Family.model_validate({**self._family, "family": name, "models": chosen, "inference": inference})
        architectures = {self._architecture.spec.architecture: self._architecture}
        version = FamilyVersion(number=1, file="f.yaml", family=family, architectures=architectures)
        FamilyStore(self.client("dynamodb"), MODELS).append(version)
        for model in models if approved else ():
            self._store_version(name, model)

    def serve(self, family: str, model: str) -> None:
        """Have a version before the one that is stored serve on the model's endpoint."""
        name, config = endpoint_name(STACK, family, model), f"before-{family}"
        variant = {"VariantName": VARIANT, "ModelName": config, "InstanceType": "ml.m5.large"}
        self.sagemaker.create_model(ModelName=config)
        self.sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.sagemaker.settle(name)
        live = Live(version="0.9.0", config=config, run="before", since="2026-11-26T10:00:00+00:00", number=1)
        made = Endpoint(endpoint=name, family=family, model=model, live=live, made={config: [config]})
        Endpoints(self.client("dynamodb"), MODELS).change(made, lambda before: before)

    def _store_version(self, family: str, model: str) -> None:
        """Store a version as Register leaves it, in the fields that predicting reads."""
        place = f"s3://{BUCKET}/models/{family}/{model}/1.0.0/"
        sample = [{"key": "1", "values": {"price": 1.5}, "score": SCORE}]
        self._put(f"{place}evaluation.json", json.dumps(evaluation(inputs={"price": "numeric"}, sample=sample)))
        self.sagemaker.add_package(place, family=family, model=model, version="1.0.0")
        serving = self._predict.model_copy(update={"code": self._architecture.code})
        document = {
            "version": "1.0.0", "threshold": 0.5, "evaluation": f"{place}evaluation.json", "run": "before",
            "outputs": {"model": f"{place}model.tar.gz"}, "serving": serving.model_dump(mode="json"),
            "family": family, "model": model, "status": "Approved", "package_arn": place,
        }  # fmt: skip
        for sort_key in ("approved", "version#000001.000000.000000"):
            item = encode_all({"pk": f"model#{family}/{model}", "sk": sort_key, **document})
            self.client("dynamodb").put_item(TableName=MODELS, Item=item)

    def _put(self, uri: str, body: str) -> None:
        self.client("s3").put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=body.encode())

    @contextmanager
    def running(self) -> Iterator[Engine]:
        """A Step Functions for one run, with the functions and the queues of the account; at its end, mails are sent."""
        self.messages.clear()
        self.mails.clear()
        with Engine() as self.engine:
            self.engine.aws.functions |= {name: self.function(name) for name in self.functions}
            self.engine.aws.methods["sqs.send_message"] = self.send
            self.engine.aws.methods["s3.get_object"] = self.read
            yield self.engine
        self._deliver()
        self._forget()

    def function(self, name: str) -> Callable[[dict[str, Any]], Any]:
        """A function as Lambda runs it: an exception is an error by the name of its class."""

        def invoke(payload: dict[str, Any]) -> Any:
            if payload.get("model") == SIBLING:
                return self._unharmed(name, payload)
            with self.turn:
                try:
                    answer = self.functions[name].handler(payload, Context())
                except Exception as error:
                    raise FunctionError(type(error).__name__, str(error)) from error
                if name == "submit_job":
                    self._work(answer["job"], payload["task_token"])
                if name == "ask_review":
                    self._approve(payload)
                if name == "deploy_endpoint":
                    self._settle(payload["plan"]["endpoint"])
                return answer

        return invoke

    def _unharmed(self, name: str, payload: dict[str, Any]) -> Any:
        """What functions answer for the model that all goes well with: it is there to be left alone."""
        if name == "submit_job":
            told = {"job": f"job-{payload['step']}", "step": payload["step"], "outputs": {}}
            self.engine("SendTaskSuccess", taskToken=payload["task_token"], output=json.dumps(told))
        return WELL.get(name)

    def read(self, **request: Any) -> dict[str, Any]:
        """S3, as a machine reads it."""
        with self.turn:
            return dict(self.client("s3").get_object(Bucket=BUCKET, Key=request["Key"]))

    def send(self, **request: Any) -> dict[str, Any]:
        """SQS: what lands on the alarm queue is kept."""
        if request["QueueUrl"] == ALARMS:
            self.messages.append(json.loads(request["MessageBody"]))
        return {"MessageId": "m", "MD5OfMessageBody": "d"}

    def _deliver(self) -> None:
        """Everything on the alarm queue, and what EventBridge says of the run, reaches `send_alarms`: twice, as SQS may."""
        events = [event for event in self.engine.events if is_bad_end(event)]
        waiting = [*self.messages, *events]
        for bodies in (waiting, waiting[::-1]):
            stamp = {"SentTimestamp": str(int(time.time() * 1000))}
            records = [{"messageId": str(n), "body": json.dumps(b), "attributes": stamp} for n, b in enumerate(bodies)]
            told = self.functions["send_alarms"].handler({"Records": records}, Context())
            assert told == {"batchItemFailures": []}, (told, bodies)

    def _forget(self) -> None:
        """Neither the jobs of a run nor its alarms matter to the next."""
        tables = self.client("dynamodb")
        keys = tables.scan(TableName=JOBS, ProjectionExpression="pk")["Items"]
        for start in range(0, len(keys), 25):
            batch = [{"DeleteRequest": {"Key": key}} for key in keys[start : start + 25]]
            tables.batch_write_item(RequestItems={JOBS: batch})

    def _work(self, job_id: str, token: str) -> None:
        """Run a job to its end and answer its token."""
        if self.lazy:
            return
        if self.endings is not None:
            self._fail(job_id)
            return
        table = JobsTable(self.client("dynamodb"), JOBS)
        job = table.get(job_id)
        assert job is not None
        outputs = {
            name: self._output(job, name, f"s3://{BUCKET}/runs/{job.run}/{job.model}/{job.step}/{name}/")
            for name in json.loads(job.document)["outputs"]
        }
        done = replace(job, status=COMPLETED, outputs=outputs)
        self.client("dynamodb").put_item(TableName=JOBS, Item=to_item(done))
        send_answer(self.client("stepfunctions"), done, token)

    def _approve(self, question: dict[str, Any]) -> None:
        """Decide as somebody does who opens the link in the mail, unless nobody does."""
        if self.lazy:
            return
        link = next(told["link"] for told in self.messages[::-1] if told["kind"] in QUESTIONS)
        form = {"token": link.partition("token=")[2], "decision": "approve", "name": "Ann", "why": "it is well"}
        event = {"resource": "/review", "httpMethod": "POST", "body": urlencode(form)}
        assert self.functions["decide_version"].handler(event, Context())["statusCode"] == 200

    def _settle(self, endpoint: str) -> None:
        """End the deployment of an endpoint, and say so, unless nobody does."""
        if not self.lazy and endpoint in self.sagemaker.endpoints:
            self.sagemaker.settle(endpoint)
            assert self.functions["watch_endpoints"].handler(event(endpoint), Context()) == {"batchItemFailures": []}

    def _output(self, job: Job, name: str, uri: str) -> str:
        """Write an output of a job where it belongs."""
        figures = evaluation(**FIGURES[self.outcome]) | {"model": job.model}
        of_a_model = {"rows": ROWS, "features": {}, "files": [{"name": "part-00000.csv", "bytes": 1, "rows": ROWS}]}
        counts = {"rows": ROWS, "rejected": 0, "rejects": {}, "first_seen": "2017-03-01 00:00:00.000000"}
        written: dict[tuple[str, str], tuple[str, Any]] = {
            ("evaluate", "evaluation"): ("evaluation.json", figures),
            ("unload", "data"): ("manifest", {"meta": {"record_count": ROWS}}),
            ("split", "counts"): ("counts.json", {**counts, "models": dict.fromkeys((AFFECTED, SIBLING), of_a_model)}),
            ("load", "data"): ("000", {"bin": 0, "row_count": ROWS, "yes": 1}),
            ("compile", COMPILED): ("compile.json", {"status": "ok"}),
            ("batch_xlarge_c4", RESULTS): ("loadtest.json", {"status": "ok", "throughput": 100.0, "how": "measured"}),
        }
        file, body = written.get((job.step, name), ("", "content"))
        self._put(f"{uri}{file}", json.dumps(body))
        return uri

    def _fail(self, job_id: str) -> None:
        world = KindWorld(self.client("dynamodb"), self.client("s3"))
        world.calls.services["stepfunctions"] = self.client("stepfunctions")
        world.clock.time = time.time()
        assert self.endings is not None
        world.sagemaker.endings = world.redshift.endings = {job_id: self.endings}
        containers = [{} if one.status == "Completed" else KILLED_CONTAINER for one in self.endings]
        world.batch.plan = [*containers, *[containers[-1]] * 10]  # the last ending is that of all further attempts
        world.launch()
        job = world.table.get(job_id)
        while job is not None and not job.finished:
            for name, uri in job.destination.items():
                self._output(job, name, uri)
            world.step(600)
            world.deliver()
            job = world.table.get(job_id)

    def client(self, service: str, attempts: int = 8) -> Any:
        if service == "stepfunctions":
            return self._states
        if service not in self._real:
            self._real[service] = boto3.client(service) if service not in ("sqs", "sns") else None
        made = {"sqs": _Queues(self), "sns": _Post(self), "sagemaker": _Both(self.sagemaker, self._real[service])}
        real = {**made, **self._serving}.get(service) or self._real[service]
        return Refusing(real) if self.refusing else real


class _States:
    """Step Functions, as functions call it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.exceptions = boto3.client("stepfunctions").exceptions

    def send_task_success(self, **request: Any) -> None:
        if self._account.lazy:
            return
        if self._account.change is not None:
            request["output"] = json.dumps(self._account.change(json.loads(request["output"])))
        self._account.engine("SendTaskSuccess", **request)

    def describe_execution(self, **request: Any) -> Any:
        return self._account.engine("DescribeExecution", **request)

    def send_task_failure(self, **request: Any) -> None:
        self._account.engine("SendTaskFailure", **request)


class _Both:
    """SageMaker: endpoints in memory, the registry of moto. What moto has of endpoints is not enough."""

    def __init__(self, fake: FakeSageMaker, real: Any) -> None:
        self._fake, self._real = fake, real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fake if hasattr(self._fake, name) else self._real, name)


class _Queues:
    """SQS, as functions call it."""

    def __init__(self, account: Account) -> None:
        self.send_message = account.send


class _Post:
    """SNS: what is published is a mail."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def publish(self, **request: Any) -> dict[str, str]:
        told = {name: value["StringValue"] for name, value in request["MessageAttributes"].items()}
        audience = ", ".join(json.loads(told["audience"]))
        self._account.mails.append(Mail(told["kind"], audience, request["Subject"]))
        return {"MessageId": "m"}


def _load(folder: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(f"functions_{folder.name}", folder / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def opened() -> Iterator[Account]:
    """An account, for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield Account(monkeypatch)
    settings.cache_clear()
