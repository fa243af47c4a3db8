"""AWS Batch and AWS Glue in memory and virtual time: names are not unique, and nothing is forgotten unless told to."""

from dataclasses import dataclass, field
from typing import Any

from boxcar.jobs.record import iso
from boxcar.steps import Step
from tests.unit.jobs.conftest import SETTINGS, World
from tests.unit.jobs.fake_dynamodb import FakeDynamoDB
from tests.unit.jobs.fakes import FakeS3, FaultyService, Killed, client_error

ARN = "arn:aws:batch:eu-west-1:123456789012"


@dataclass
class Run:
    """One job of Batch, or one run of Glue, and how it goes."""

    id: str
    request: dict[str, Any]
    created: float
    seconds: float = 60.0
    status: str = "SUCCEEDED"
    words: dict[str, Any] = field(default_factory=dict)  # more of its detail, once it has ended
    stopped: float | None = None

    @property
    def ends(self) -> float:
        end = self.created + self.seconds
        return end if self.stopped is None else min(end, self.stopped)

    def moments(self) -> list[float]:
        return [self.created + 5, self.ends]


class Faulty(FaultyService):
    """Runs by id; `plan` says how the next ones go."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.runs: dict[str, Run] = {}
        self.made = 0
        self.plan: list[dict[str, Any]] = []
        self.told: set[tuple[str, float]] = set()

    def add(self, request: dict[str, Any]) -> Run:
        run = Run(f"run-{self.made}", request, self.clock(), **(self.plan.pop(0) if self.plan else {}))
        self.runs[run.id] = run
        self.made += 1
        return run

    def events(self, now: float) -> list[dict[str, Any]]:
        """Those that are due and were not told yet, oldest first."""
        due = []
        for run in self.runs.values():
            for moment in run.moments():
                if moment <= now and (run.id, moment) not in self.told:
                    self.told.add((run.id, moment))
                    if event := self.event(run, moment):
                        due.append((moment, event))
        return [event for _, event in sorted(due, key=lambda item: item[0])]

    def event(self, run: Run, at: float) -> dict[str, Any] | None:
        raise NotImplementedError


class FakeBatch(Faulty):
    """SubmitJob makes a job whenever it is asked."""

    def submit_job(self, **request: Any) -> dict[str, str]:
        self.fault("submit_job")
        run = self.add(request)
        self.fault("submit_job_answer")
        return {"jobArn": f"{ARN}:job/{run.id}", "jobName": request["jobName"], "jobId": run.id}

    def detail(self, run: Run, at: float) -> dict[str, Any]:
        status = "RUNNABLE" if at < run.created + 5 else "RUNNING" if at < run.ends else run.status
        detail: dict[str, Any] = {
            "jobArn": f"{ARN}:job/{run.id}",
            "jobName": run.request["jobName"],
            "jobId": run.id,
            "jobQueue": f"{ARN}:job-queue/{run.request['jobQueue']}",
            "status": status,
            "createdAt": int(run.created * 1000),
            "container": {},
        }
        if at >= run.created + 5:
            detail["startedAt"] = int((run.created + 5) * 1000)
            detail["container"] = {"logStreamName": f"python/default/{run.id}"}
        if at >= run.ends:
            detail["stoppedAt"] = int(run.ends * 1000)
            if run.stopped is not None:
                detail |= {"status": "FAILED", "statusReason": run.words["statusReason"], "isTerminated": True}
            else:
                words = dict(run.words)
                detail["container"] |= words.pop("container", {})
                detail |= {"statusReason": "Essential container in task exited", **words}
        return detail

    def list_jobs(self, **request: Any) -> dict[str, Any]:
        self.fault("list_jobs")
        (wanted,) = request["filters"]
        names = [name.lower() for name in wanted["values"]]
        runs = [run for run in self.runs.values() if run.request["jobQueue"] == request["jobQueue"]]
        found = [self.detail(run, self.clock()) for run in runs]
        found = [job for job in found if job["jobName"].lower() in names]
        return {"jobSummaryList": sorted(found, key=lambda job: -job["createdAt"])}

    def describe_jobs(self, **request: Any) -> dict[str, Any]:
        self.fault("describe_jobs")
        return {"jobs": [self.detail(self.runs[key], self.clock()) for key in request["jobs"] if key in self.runs]}

    def terminate_job(self, **request: Any) -> None:
        run = self.runs[request["jobId"]]
        run.stopped, run.words = self.clock(), {"statusReason": request["reason"]}

    def event(self, run: Run, at: float) -> dict[str, Any]:
        kind = {"source": "aws.batch", "detail-type": "Batch Job State Change", "time": iso(at)}
        return {**kind, "detail": self.detail(run, at)}


class FakeGlue(Faulty):
    """StartJobRun starts a run whenever it is asked, up to `most` at once."""

    most = 100

    def start_job_run(self, **request: Any) -> dict[str, str]:
        self.fault("start_job_run")
        if sum(run.ends > self.clock() for run in self.runs.values()) >= self.most:
            raise client_error("ConcurrentRunsExceededException", "Concurrent runs exceeded")
        run = self.add(request)
        self.fault("start_job_run_answer")
        return {"JobRunId": run.id}

    def detail(self, run: Run, at: float) -> dict[str, Any]:
        over = at >= run.ends
        state = run.status if over and run.stopped is None else "STOPPED" if over else "RUNNING"
        detail = {
            "Id": run.id, "JobName": run.request["JobName"], "StartedOn": run.created, "JobRunState": state,
            "Arguments": run.request.get("Arguments", {}),
        }  # fmt: skip
        return {**detail, **({"CompletedOn": run.ends, **run.words} if over else {})}

    def get_job_run(self, **request: Any) -> dict[str, Any]:
        self.fault("get_job_run")
        if request["RunId"] not in self.runs:
            raise self.exceptions.EntityNotFoundException(
                {"Error": {"Code": "EntityNotFoundException", "Message": "not found"}}, "GetJobRun"
            )
        return {"JobRun": self.detail(self.runs[request["RunId"]], self.clock())}

    def get_job_runs(self, **request: Any) -> dict[str, Any]:
        newest = sorted(self.runs.values(), key=lambda run: -run.created)
        start = int(request.get("NextToken", 0))
        page = {"JobRuns": [self.detail(run, self.clock()) for run in newest[start : start + request["MaxResults"]]]}
        more = start + request["MaxResults"] < len(newest)
        return {**page, **({"NextToken": str(start + request["MaxResults"])} if more else {})}

    def batch_stop_job_run(self, **request: Any) -> dict[str, Any]:
        for key in request["JobRunIds"]:
            self.runs[key].stopped = self.clock()
        return {"SuccessfulSubmissions": [], "Errors": []}

    def event(self, run: Run, at: float) -> dict[str, Any] | None:
        if at < run.ends:
            return None  # Glue tells of ends alone
        detail = {"jobName": run.request["JobName"], "jobRunId": run.id, "severity": "INFO"}
        detail |= {"state": self.detail(run, at)["JobRunState"], "message": run.words.get("ErrorMessage", "as told")}
        return {"source": "aws.glue", "detail-type": "Glue Job State Change", "time": iso(at), "detail": detail}


class KindWorld(World):
    """A stack whose jobs are of Batch and Glue."""

    def __init__(self, dynamodb: Any = None, s3: Any = None) -> None:
        super().__init__(dynamodb or FakeDynamoDB(), s3 or FakeS3(), SETTINGS)
        self.batch, self.glue = FakeBatch(self.clock), FakeGlue(self.clock)
        self.calls.services |= {"batch": self.batch, "glue": self.glue}
        self.lose = lambda event: False

    def service(self, kind: str) -> Faulty:
        services: dict[str, Faulty] = {"batch": self.batch, "glue": self.glue}
        return services[kind]

    def deliver(self) -> None:
        for service in (self.batch, self.glue):
            for event in service.events(self.clock()):
                if not self.lose(event):
                    self.monitor().hear(event)

    def survive(self, act: Any) -> None:
        """Do something that may be killed; its message comes again."""
        for _ in range(2):
            try:
                act()
                return
            except Killed:
                self.clock.time += 130

    def live(self) -> None:
        """Launch what there is, and let time pass until nothing is left to do, whoever is killed."""
        self.survive(self.launch)
        for _ in range(60):
            if not self.open_items():
                return
            self.clock.time += 30
            for service in (self.batch, self.glue):
                for event in service.events(self.clock()):
                    if not self.lose(event):
                        self.survive(lambda event=event: self.monitor().hear(event))
            self.survive(self.sweep)
            self.survive(self.launch)


def batch_step(**fields: Any) -> Step:
    options = {"queue": "boxcar-python", "definition": "boxcar-python", "command": ["python3", "-V"]}
    options |= fields.pop("options", {})
    return Step.model_validate({"name": "work", "kind": "batch", "options": options, "outputs": ["data"], **fields})


def glue_step(**fields: Any) -> Step:
    options = {"job": "boxcar-python", **fields.pop("options", {})}
    return Step.model_validate({"name": "work", "kind": "glue", "options": options, "outputs": ["data"], **fields})


def some_step(kind: str, **fields: Any) -> Step:
    return batch_step(**fields) if kind == "batch" else glue_step(**fields)
