"""What `.sync` waits for: which call describes the job, and which of its states are ends.

Source: developer guide, "Run a Job (.sync)", and the pages of the single services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.stepfunctions import errors, sdk
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.history import dumps
from local.stepfunctions.integrations import Resource
from local.stepfunctions.strand import Run

if TYPE_CHECKING:
    from local.stepfunctions.runner import Runner


@dataclass(frozen=True, slots=True)
class Job:
    """How to follow one kind of job."""

    describe: str
    ask: dict[str, str]  # parameter of the describing call → where it is: in the arguments (>) or the answer (<)
    status: tuple[str, ...]  # path to the state in the description
    good: frozenset[str]
    bad: frozenset[str]
    wrapped: str = ""  # the member of the description that holds the job


def sagemaker(kind: str) -> Job:
    """A SageMaker job."""
    return Job(
        f"describe{kind}Job", {f"{kind}JobName": f">{kind}JobName"}, (f"{kind}JobStatus",), frozenset({"Completed"}),
        frozenset({"Failed", "Stopped"}),
    )  # fmt: skip


EXECUTION = Job(
    "describeExecution", {"executionArn": "<ExecutionArn"}, ("status",), frozenset({"SUCCEEDED"}),
    frozenset({"FAILED", "TIMED_OUT", "ABORTED"}),
)  # fmt: skip
JOBS = {
    ("states", "startExecution"): EXECUTION,
    ("sagemaker", "createTrainingJob"): sagemaker("Training"),
    ("sagemaker", "createProcessingJob"): sagemaker("Processing"),
    ("sagemaker", "createTransformJob"): sagemaker("Transform"),
    ("batch", "submitJob"): Job(
        "describeJobs", {"jobs": "<JobId"}, ("status",), frozenset({"SUCCEEDED"}), frozenset({"FAILED"}), "jobs"
    ),
    ("glue", "startJobRun"): Job(
        "getJobRun", {"JobName": ">JobName", "RunId": "<JobRunId"}, ("JobRunState",), frozenset({"SUCCEEDED"}),
        frozenset({"FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}), "JobRun",
    ),
}  # fmt: skip
FIRST_POLL, LAST_POLL = 0.1, 15.0  # seconds between two looks


async def wait(runner: Runner, run: Run, resource: Resource, arguments: Any, answer: Any, role: str) -> Any:
    """The description of the finished job.

    Raises:
        StateFailure: States.TaskFailed with the description as its cause.
    """
    job = JOBS[resource.service, resource.action]
    name = resource.client
    model = sdk.operation(name, job.describe)
    from local.stepfunctions.runner import snake

    parameters = {key: (answer if place[0] == "<" else arguments)[place[1:]] for key, place in job.ask.items()}
    if job.wrapped == "jobs":
        parameters = {"jobs": [parameters["jobs"]]}
    pause = FIRST_POLL
    while True:
        try:
            described = await runner.threaded(
                lambda: getattr(runner.client(name, role), snake(model.name))(**parameters)
            )
        except Exception as error:
            raise sdk.failure(sdk.ERROR_PREFIX[resource.service], name, error) from error
        found = described
        if job.wrapped:
            found = described[job.wrapped][0] if job.wrapped == "jobs" else described[job.wrapped]
        status = found[job.status[0]]
        if status in job.good | job.bad:
            result = shown(model.output_shape, described, job, resource)
            if status in job.good:
                return result
            raise StateFailure(errors.TASK_FAILED, dumps(result))
        await run.clock.sleep(pause)
        pause = min(pause * 1.5, LAST_POLL)


def shown(shape: Any, described: dict[str, Any], job: Job, resource: Resource) -> Any:
    """The description as the Task's result: with .sync an execution's input and output are text, with .sync:2 JSON."""
    result = sdk.response(shape, described, java=False)
    if job.wrapped:
        result = result[job.wrapped[:1].upper() + job.wrapped[1:]]
        return result[0] if job.wrapped == "jobs" else result
    if job is EXECUTION:
        for field in ("StartDate", "StopDate"):
            if field in described or field[:1].lower() + field[1:] in described:
                result[field] = round(described[field[:1].lower() + field[1:]].timestamp() * 1000)
        if resource.mode == "sync:2":
            for field in ("Input", "Output"):
                if isinstance(result.get(field), str):
                    result[field] = sdk.json_or_text(result[field])
        return dict(sorted(result.items()))
    return result
