"""AWS Glue: a run of a Glue job of this stack.

Exactly one run an attempt. StartJobRun has no client token (its JobRunId asks for another run of one that failed), so
the same call again is a second run. As with AWS Batch (see batch.py) the first call of an attempt looks for nothing,
the client repeats none, and whoever tries an attempt again first looks for a run that bears its name: each run gets it
as the argument `--boxcar_attempt`. GetJobRuns lists the newest first, so reading ends at the first run that is older
than the attempt: one call, unless the job had two hundred runs since.

Glue's events name the run alone, not its arguments. One GetJobRun an event finds the attempt.
"""

import json
import math
import re
from typing import TYPE_CHECKING, Any

from boxcar.errors import StepError
from boxcar.jobs.kind import Clients, Kind, Launch, Observation, seconds

if TYPE_CHECKING:
    from boxcar.settings import Settings
    from boxcar.steps import Step

OPTIONS = {"job", "arguments", "worker_type", "workers"}
ATTEMPT = "--boxcar_attempt"
LONGEST_S = 7 * 86400  # of a run (StartJobRun, Timeout)
PAGE = 200
CLOCKS_DIFFER_S = 60.0
STATUSES = {
    "RUNNING": "InProgress",
    "STOPPING": "InProgress",
    "SUCCEEDED": "Completed",
    "STOPPED": "Stopped",
    "FAILED": "Failed",
    "TIMEOUT": "Failed",
    "ERROR": "Failed",
    "EXPIRED": "Failed",
}
# Words of AWS: Glue Developer Guide, "Troubleshooting AWS Glue errors" and "AWS Glue job run statuses".
_CAPACITY = re.compile(r"Exceeded maximum concurrent compute|Resource unavailable|resource limit", re.I)
_SERVICE = re.compile(r"^Internal service|InternalServiceException|Container lost|exit status: -100|lost node", re.I)
_ACCESS = re.compile(r"should be given assume role|^AccessDenied|^\w*AccessDeniedException", re.I)
_CLIENT = re.compile(r"^(NoSuchKey|NoSuchBucket|EntityNotFoundException|InvalidInputException)\b")


class Glue(Kind):
    """The attempt's ARN is `<job>/<run id>`. Inputs, outputs and config are arguments: `--boxcar_input_<name>` …"""

    service = "glue"
    detail_types = ("Glue Job State Change",)  # on the end of a run alone
    tells_all = False  # a definition is kept elsewhere

    def check(self, step: "Step", settings: "Settings") -> None:
        """A job of this stack, and arguments that are texts."""
        options, where = step.options, f"step {step.name}: options"
        if unknown := sorted(set(options) - OPTIONS):
            raise StepError(f"{where}.{unknown[0]}: write one of {', '.join(sorted(OPTIONS))}")
        stack, job = settings.stack or "<stack>", options.get("job")  # who checks ahead may not know the stack
        if not re.fullmatch(rf"{re.escape(settings.stack) or '.+'}-[\w-]+", str(job)):
            words = f"{job!r} is not a name that begins with the stack's; write for example {stack}-python"
            raise StepError(f"{where}.job: {words}")
        arguments = options.get("arguments", {})
        if not isinstance(arguments, dict) or not all(isinstance(value, str) for value in arguments.values()):
            raise StepError(f'{where}.arguments: write names and texts, as in {{"--colour": red}}')
        for name in arguments:
            if not name.startswith("--") or name.startswith("--boxcar_"):
                raise StepError(f"{where}.arguments.{name}: write a name that begins with --, but not with --boxcar_")
        if ("worker_type" in options) != ("workers" in options):
            raise StepError(f"{where}.worker_type: write worker_type and workers, or neither")
        if (step.script is None) != (step.code is None):
            raise StepError(f"step {step.name}: script: write a script and the code it is in, or neither")
        if step.image is not None:
            raise StepError(f"step {step.name}: image: Glue jobs have none; leave it out")
        resources = step.resources
        if resources.spot != "never" or resources.checkpoints or resources.keep_alive_s:
            words = "spot, checkpoints and keep_alive_s are for training; leave them out"
            raise StepError(f"step {step.name}: resources: {words}")
        if step.max_runtime_s > LONGEST_S:
            raise StepError(f"step {step.name}: max_runtime_s: {step.max_runtime_s} is more than Glue's {LONGEST_S}")

    def pools(self, step: "Step") -> list[str]:
        """A Glue job has a number of concurrent runs."""
        return [f"glue/{step.options['job']}"]

    def units(self, step: "Step") -> int:
        """One a run."""
        return 1

    def outputs(self, step: "Step", place: str, name: str) -> dict[str, str]:
        """A folder each."""
        return {output: f"{place}{output}/" for output in step.outputs}

    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """Start it, unless an earlier try of this attempt did. Answers `<job>/<run id>`."""
        client, job = clients(self.service), launch.step.options["job"]
        run = _started(launch, launch.tried_since, client) if launch.tried_since is not None else ""
        return f"{job}/{run or client.start_job_run(**self._request(launch))['JobRunId']}"

    def _request(self, launch: Launch) -> dict[str, Any]:
        step, options = launch.step, launch.step.options
        arguments = {**options.get("arguments", {}), ATTEMPT: launch.name, "--boxcar_config": json.dumps(step.config)}
        arguments |= {f"--boxcar_input_{name}": uri for name, uri in step.inputs.items()}
        arguments |= {f"--boxcar_output_{name}": uri for name, uri in launch.outputs.items()}
        if step.code is not None:  # goes before the script that the job was made with
            arguments["--scriptLocation"] = f"{step.code.prefix}{step.script}"
        request = {"JobName": options["job"], "Arguments": arguments, "Timeout": math.ceil(step.max_runtime_s / 60)}
        if "worker_type" in options:
            request |= {"WorkerType": options["worker_type"], "NumberOfWorkers": options["workers"]}
        return request

    def observe(self, detail: dict[str, Any]) -> Observation:
        """Read an event. It does not say whose attempt it is."""
        return _observation("", f"{detail['jobName']}/{detail['jobRunId']}", detail["state"], detail.get("message"))

    def attempt_name(self, seen: Observation, clients: Clients) -> str:
        """One GetJobRun call. A run that nobody knows any more, or that somebody else started, is not ours: ""."""
        if seen.name:
            return seen.name
        run = _run(seen.arn, clients(self.service))
        return str(run.get("Arguments", {}).get(ATTEMPT, "")) if run else ""

    def describe(self, name: str, arn: str, clients: Clients) -> Observation:
        """One GetJobRun call."""
        run = _run(arn, clients(self.service))
        if run is None:
            return Observation(name, "Failed", reason=f"InternalServerError: Glue does not know {arn or name} any more")
        times = {field: seconds(run.get(key)) for field, key in (("created", "StartedOn"), ("ended", "CompletedOn"))}
        return _observation(name, arn, run["JobRunState"], run.get("ErrorMessage"), **times)

    def stop(self, name: str, arn: str, clients: Clients) -> None:
        """One BatchStopJobRun call; that the run has ended is told in its answer, and is no error."""
        job, _, run = arn.rpartition("/")
        clients(self.service).batch_stop_job_run(JobName=job, JobRunIds=[run])

    def logs(self, name: str, arn: str) -> tuple[str, str]:
        """Of Python shell jobs, what they print. Spark jobs print to /aws-glue/jobs/output."""
        return "/aws-glue/python-jobs/output", arn.rpartition("/")[2]


def _observation(
    name: str, arn: str, state: str, message: str | None, created: float | None = None, ended: float | None = None
) -> Observation:
    status = STATUSES.get(state, "Starting")  # STARTING, WAITING
    over = status in ("Completed", "Failed", "Stopped")
    return Observation(
        name=name,
        arn=arn,
        status=status,
        created=created,
        started=None if status == "Starting" else created,
        ended=ended if over else None,
        reason=_classed(state, message or "") if over and status != "Completed" else "",
    )


def _classed(state: str, message: str) -> str:
    """Put one of the failure classes before Glue's own words."""
    if state == "TIMEOUT":
        return f"MaxRuntimeExceeded: {message or 'the run timed out'}"
    if state == "STOPPED":
        return message
    if _CAPACITY.search(message):
        return f"CapacityError: {message}"
    if state in ("ERROR", "EXPIRED") or not message or _SERVICE.search(message):
        return f"InternalServerError: {message or f'the run is {state}'}"
    if _ACCESS.search(message):
        return f"AccessDenied: {message}"
    return f"ClientError: {message}" if _CLIENT.search(message) else f"AlgorithmError: {message}"


def _started(launch: Launch, since: float, client: Any) -> str:
    """The id of the run that an earlier try of this attempt made, or ""."""
    request: dict[str, Any] = {"JobName": launch.step.options["job"], "MaxResults": PAGE}
    while True:
        page = client.get_job_runs(**request)
        for run in page["JobRuns"]:
            if run.get("Arguments", {}).get(ATTEMPT) == launch.name:
                return str(run["Id"])
            if (seconds(run["StartedOn"]) or 0.0) < since - CLOCKS_DIFFER_S:
                return ""
        if not page.get("NextToken"):
            return ""
        request["NextToken"] = page["NextToken"]


def _run(arn: str, client: Any) -> dict[str, Any] | None:
    job, _, run = arn.rpartition("/")
    try:
        found: dict[str, Any] = client.get_job_run(JobName=job, RunId=run)["JobRun"]
    except client.exceptions.EntityNotFoundException:
        return None
    return found


KIND = Glue()
