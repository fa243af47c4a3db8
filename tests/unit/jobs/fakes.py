"""A small AWS in memory and virtual time: SageMaker, Redshift Data and Step Functions, which fail when told to.

Every call of every client passes through `Calls`, which counts it and can kill the
caller before or after it, as a Lambda function can be killed.
"""

import hashlib
import io
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from boxcar.jobs.record import iso


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing may catch it and go on."""


class Deadly:
    """A client whose every call is the caller's last."""

    def __getattr__(self, name: str) -> Any:
        raise Killed


def client_error(code: str, message: str = "as told", status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Operation")


class Clock:
    def __init__(self, start: float = 1_767_225_600.0) -> None:  # 2026-01-01
        self.time = start

    def __call__(self) -> float:
        return self.time


class _Exceptions:
    """`client.exceptions.<Name>`: all ClientErrors here, told apart by code where the code under test needs it."""

    ClientError = ClientError

    def __getattr__(self, name: str) -> type:
        return self.__dict__.setdefault(name, type(name, (ClientError,), {}))


class Calls:
    """What the code under test may call."""

    def __init__(self, services: dict[str, Any]) -> None:
        self.services = services
        self.log: list[str] = []
        self.kill_at: int | None = None
        self.kill_after = False  # the call goes through, and then the caller is gone

    def client(self, service: str) -> Any:
        return _Recorded(self, service, self.services[service])

    def count(self) -> Counter[str]:
        return Counter(self.log)


class _Recorded:
    def __init__(self, calls: Calls, service: str, inner: Any) -> None:
        self._calls, self._service, self._inner = calls, service, inner

    def __getattr__(self, name: str) -> Any:
        if name == "get_paginator":  # one page
            return lambda verb: SimpleNamespace(paginate=lambda **request: [getattr(self, verb)(**request)])
        attribute = getattr(self._inner, name)
        if name.startswith("_") or name == "exceptions" or not callable(attribute):
            return attribute

        def call(**request: Any) -> Any:
            calls = self._calls
            calls.log.append(f"{self._service}.{name}")
            last = calls.kill_at is not None and len(calls.log) == calls.kill_at
            if last and not calls.kill_after:
                raise Killed
            answer = attribute(**request)
            if last:
                raise Killed
            return answer

        return call


@dataclass
class Ending:
    """How the next attempt of a step ends, and when."""

    status: str = "Completed"
    reason: str = ""
    message: str = ""
    secondary: str = ""
    seconds: float = 60.0
    rows: int = 100


@dataclass
class FakeJob:
    noun: str
    name: str
    created: float
    request: dict[str, Any]
    ending: Ending
    stopped_at: float | None = None

    @property
    def ends(self) -> float:
        end = self.created + 5 + self.ending.seconds
        return end if self.stopped_at is None else min(end, self.stopped_at)


class FaultyService:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.faults: dict[str, list[Exception | None]] = {}  # call -> one each time, None for none
        self.exceptions = _Exceptions()

    def fault(self, call: str) -> None:
        planned = self.faults.get(call, [])
        if planned and (error := planned.pop(0)) is not None:
            raise error


class FakeSageMaker(FaultyService):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.jobs: dict[str, FakeJob] = {}
        self.models: set[str] = set()
        self.limits: dict[str, int] = {}  # instance type -> running at once, of one kind
        self.endings: dict[str, list[Ending]] = {}  # word in the name -> one each attempt
        self.stops: list[str] = []
        self.busiest = 0

    def running(self, instance_type: str = "") -> list[FakeJob]:
        return [
            job for job in self.jobs.values()
            if job.ends > self.clock() and instance_type in (self._instance_type(job), "")
        ]  # fmt: skip

    def _create(self, noun: str, request: dict[str, Any]) -> dict[str, str]:
        self.fault(f"create_{noun.lower()}_job")
        name = request[f"{noun}JobName"]
        assert len(name) <= 63
        if name in self.jobs:
            raise client_error("ResourceInUse", f"{name} exists already")
        job = FakeJob(noun, name, self.clock(), request, self._ending(name))
        instance_type = self._instance_type(job)
        if len(self.running(instance_type)) >= self.limits.get(instance_type, 10**9):
            raise client_error("ResourceLimitExceeded", f"the account-level limit for {instance_type} is reached")
        self.jobs[name] = job
        self.busiest = max(self.busiest, len(self.running()))
        return {f"{noun}JobArn": self._arn(job)}

    def _ending(self, name: str) -> Ending:
        planned = next((endings for word, endings in self.endings.items() if word in name), [])
        return planned.pop(0) if len(planned) > 1 else (planned[0] if planned else Ending())

    @staticmethod
    def _arn(job: FakeJob) -> str:
        return f"arn:aws:sagemaker:eu-west-1:123456789012:{job.noun.lower()}-job/{job.name}"

    @staticmethod
    def _instance_type(job: FakeJob) -> str:
        request = job.request
        if job.noun == "Training":
            return str(request["ResourceConfig"]["InstanceType"])
        if job.noun == "Transform":
            return str(request["TransformResources"]["InstanceType"])
        return str(request["ProcessingResources"]["ClusterConfig"]["InstanceType"])

    def create_training_job(self, **request: Any) -> dict[str, str]:
        return self._create("Training", request)

    def create_processing_job(self, **request: Any) -> dict[str, str]:
        return self._create("Processing", request)

    def create_transform_job(self, **request: Any) -> dict[str, str]:
        assert request["ModelName"] in self.models
        return self._create("Transform", request)

    def create_model(self, **request: Any) -> dict[str, str]:
        self.fault("create_model")
        if request["ModelName"] in self.models:
            raise client_error("ValidationException", "Cannot create already existing model")
        self.models.add(request["ModelName"])
        return {"ModelArn": "arn"}

    def detail(self, job: FakeJob, at: float) -> dict[str, Any]:
        """What an event at that time, or Describe, says."""
        over, noun = at >= job.ends, job.noun
        status = "InProgress" if not over else ("Stopped" if job.stopped_at is not None else job.ending.status)
        detail = {
            f"{noun}JobName": job.name,
            f"{noun}JobArn": self._arn(job),
            f"{noun}JobStatus": status,
            "CreationTime": int(job.created * 1000),
        }
        if at >= job.created + 5:
            detail[f"{noun}StartTime"] = int((job.created + 5) * 1000)
        if over:
            detail[f"{noun}EndTime"] = int(job.ends * 1000)
            for key, value in {
                "FailureReason": job.ending.reason,
                "ExitMessage": job.ending.message,
                "SecondaryStatus": job.ending.secondary,
            }.items():
                if value and status != "Completed":
                    detail[key] = value
        return detail

    def _describe(self, noun: str, request: dict[str, Any]) -> dict[str, Any]:
        self.fault(f"describe_{noun.lower()}_job")
        name = request[f"{noun}JobName"]
        if name not in self.jobs:
            raise client_error("ValidationException", "Requested resource not found.")
        return self.detail(self.jobs[name], self.clock())

    def describe_training_job(self, **request: Any) -> dict[str, Any]:
        return self._describe("Training", request)

    def describe_processing_job(self, **request: Any) -> dict[str, Any]:
        return self._describe("Processing", request)

    def describe_transform_job(self, **request: Any) -> dict[str, Any]:
        return self._describe("Transform", request)

    def stop_processing_job(self, **request: Any) -> None:
        self.jobs[request["ProcessingJobName"]].stopped_at = self.clock()
        self.stops.append(request["ProcessingJobName"])

    def stop_transform_job(self, **request: Any) -> None:
        self.jobs[request["TransformJobName"]].stopped_at = self.clock()
        self.stops.append(request["TransformJobName"])

    def stop_training_job(self, **request: Any) -> None:
        self.jobs[request["TrainingJobName"]].stopped_at = self.clock()
        self.stops.append(request["TrainingJobName"])

    def moments(self, job: FakeJob) -> list[float]:
        return [job.created, job.created + 5, job.ends]

    def event(self, job: FakeJob, at: float) -> dict[str, Any]:
        return {"source": "aws.sagemaker", "time": iso(at), "detail-type": f"SageMaker {job.noun} Job State Change",
                "detail": self.detail(job, at)}  # fmt: skip


class FakeRedshift(FaultyService):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.jobs: dict[str, FakeJob] = {}  # by id
        self.by_token: dict[str, str] = {}
        self.endings: dict[str, list[Ending]] = {}
        self.stops: list[str] = []

    def execute_statement(self, **request: Any) -> dict[str, str]:
        self.fault("execute_statement")
        token = request["ClientToken"]
        assert len(token) <= 64
        if token not in self.by_token:
            name = request["StatementName"]
            planned = next((endings for word, endings in self.endings.items() if word in name), [Ending()])
            ending = planned.pop(0) if len(planned) > 1 else planned[0]
            self.by_token[token] = f"id-{len(self.jobs)}"
            self.jobs[self.by_token[token]] = FakeJob("Statement", name, self.clock(), request, ending)
        return {"Id": self.by_token[token]}

    batch_execute_statement = execute_statement

    def state(self, job: FakeJob, at: float) -> str:
        if at < job.ends:
            return "STARTED"
        states = {"Completed": "FINISHED", "Failed": "FAILED", "Stopped": "ABORTED"}
        return "ABORTED" if job.stopped_at is not None else states[job.ending.status]

    def describe_statement(self, **request: Any) -> dict[str, Any]:
        self.fault("describe_statement")
        job = self.jobs[request["Id"]]
        state = self.state(job, self.clock())
        error = {"Error": job.ending.reason} if state == "FAILED" else {}
        return {"Id": request["Id"], "Status": state, "ResultRows": job.ending.rows,
                "CreatedAt": datetime.fromtimestamp(job.created, UTC),
                "UpdatedAt": datetime.fromtimestamp(min(job.ends, self.clock()), UTC), **error}  # fmt: skip

    def cancel_statement(self, **request: Any) -> None:
        self.jobs[request["Id"]].stopped_at = self.clock()
        self.stops.append(request["Id"])

    def moments(self, job: FakeJob) -> list[float]:
        return [job.created, job.ends]

    def event(self, job: FakeJob, at: float) -> dict[str, Any]:
        detail = {"statementName": job.name, "statementId": self.by_token[job.name], "state": self.state(job, at),
                  "rows": job.ending.rows, "principal": "role"}  # fmt: skip
        return {"source": "aws.redshift-data", "time": iso(at), "detail": detail,
                "detail-type": "Redshift Data Statement Status Change"}  # fmt: skip


class FakeStates(FaultyService):
    """Takes one answer a token, as Step Functions does."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.answers: dict[str, dict[str, Any]] = {}
        self.sent = 0
        self.execution: dict[str, Any] = {"status": "ABORTED", "redriveCount": 0}  # what is known of any

    def describe_execution(self, **request: Any) -> dict[str, Any]:
        self.fault("describe_execution")
        return {**self.execution, "executionArn": request["executionArn"]}

    def _answer(self, token: str, answer: dict[str, Any]) -> None:
        self.sent += 1
        if token in self.answers:
            raise client_error("TaskTimedOut", "Task Timed Out: provided task does not exist anymore")
        self.answers[token] = answer

    def send_task_success(self, **request: Any) -> None:
        self.fault("send_task_success")
        self._answer(request["taskToken"], {"output": request["output"]})

    def send_task_failure(self, **request: Any) -> None:
        self.fault("send_task_failure")
        self._answer(request["taskToken"], {"error": request["error"], "cause": request["cause"]})


class FakeQueue:
    """Every queue of SQS in one: what was sent, oldest first."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.faults: list[Exception] = []

    def send_message(self, **request: Any) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.messages.append(json.loads(request["MessageBody"]))


class FakeS3:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.exceptions = _Exceptions()

    def put_object(self, **request: Any) -> None:
        self.objects[(request["Bucket"], request["Key"])] = request["Body"]

    def get_object(self, **request: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[(request["Bucket"], request["Key"])])}

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        found = sorted(
            (key, body) for (bucket, key), body in self.objects.items()
            if bucket == request["Bucket"] and key.startswith(request["Prefix"])
        )  # fmt: skip
        page = [
            {"Key": key, "Size": len(body), "ETag": f'"{hashlib.md5(body).hexdigest()}"'}
            for key, body in found[: request.get("MaxKeys", 1000)]
        ]
        return {"KeyCount": len(page)} | ({"Contents": page} if page else {})


@dataclass
class Post:
    """Events on their way. `fate` answers how often one is delivered, and how many seconds late."""

    seen: set[tuple[str, float]] = field(default_factory=set)
    waiting: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    number: Any = field(default_factory=itertools.count)
    fate: Any = None

    def collect(self, service: FakeSageMaker | FakeRedshift, now: float) -> None:
        for job in list(service.jobs.values()):
            for moment in service.moments(job):
                if moment <= now and (job.name, moment) not in self.seen:
                    self.seen.add((job.name, moment))
                    event = service.event(job, moment)
                    for late in self.fate(event) if self.fate else [0.0]:
                        self.waiting.append((moment + late, next(self.number), event))

    def due(self, now: float) -> list[dict[str, Any]]:
        ready = sorted(item for item in self.waiting if item[0] <= now)
        self.waiting = [item for item in self.waiting if item[0] > now]
        return [event for _, _, event in ready]
