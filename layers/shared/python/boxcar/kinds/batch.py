"""AWS Batch: a command in a container, from a job queue and a job definition of this stack.

Exactly one job an attempt. SubmitJob has no client token and job names need not be unique: the same call again is a
second job. So three things hold together:

- An attempt's first SubmitJob is one call and looks for nothing: its name was never handed to anybody before.
- The launcher's client does not repeat a call by itself (`boxcar.aws.ASKED_ONCE`); the launcher does, knowingly.
- A launcher that was killed, or got no answer, leaves the attempt written down as Launched without an ARN. Whoever
  tries it again, a minute later at the earliest, first looks for a job of that name with ListJobs. Only one made since
  the attempt was written down counts: names of jobs that ended remain listed for a week, and a table that was deleted
  and made again may give a name twice.

What remains is a SubmitJob that Batch accepts and does not list for more than a minute; its events bear the name of
the attempt, so even then the monitor hears of it and the attempt is not tried again.
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

OPTIONS = {"queue", "definition", "command", "environment", "vcpus", "memory_mb", "array_size"}
SHORTEST_S = 60  # of attemptDurationSeconds
LONGEST_OVERRIDES = 8192  # characters, of the ECS task behind a job (RunTask, `overrides`)
ROOM_FOR_PLACES = 2048  # … of which inputs, outputs and names may need so many
CLOCKS_DIFFER_S = 60.0
BAD_INPUT = 65  # exit code, EX_DATAERR of sysexits.h: the data is at fault, not the code
STATUSES = {"RUNNING": "InProgress", "SUCCEEDED": "Completed", "FAILED": "Failed"}
STOP = "Boxcar: asked to stop"
# Fetches the code of the step and becomes its script, whatever the image holds besides Python and boto3.
FETCH = (
    "import boto3,os,sys,tarfile,tempfile;"
    "folder=tempfile.mkdtemp();bucket,_,key=os.environ['BOXCAR_CODE'][5:].partition('/');"
    "boto3.client('s3').download_file(bucket,key,folder+'.tar.gz');tarfile.open(folder+'.tar.gz').extractall(folder);"
    "os.chdir(folder);os.execv(sys.executable,[sys.executable,*sys.argv[1:]])"
)
# Words of AWS: Batch User Guide, "Job retries" and "Troubleshooting"; ECS Developer Guide, "Stopped tasks error codes".
_TIME = re.compile(r"exceeded timeout", re.I)
_CAPACITY = re.compile(r"^CAPACITY:|Spot (Task|Instance)\w* \w* ?interrupted|SpotInterruption", re.I)
_HOST = re.compile(r"^Host EC2 .*terminated|DockerTimeoutError|toomanyrequests|rate exceeded|i/o timeout", re.I)
_ACCESS = re.compile(r"unable to assume the role|not authorized|access ?denied", re.I)
_START = re.compile(r"failed to start|Cannot(Pull|Start|Create)|ResourceInitialization|^MISCONFIGURATION:", re.I)


class Batch(Kind):
    """Where inputs, outputs and config are is told by environment variables; the job reads and writes S3 itself.

    The attempt's ARN is the job's and, once it has run, `#` and the name of its log stream: Batch makes that up.
    """

    service = "batch"
    detail_types = ("Batch Job State Change",)
    tells_all = False  # a definition is kept elsewhere

    def check(self, step: "Step", settings: "Settings") -> None:
        """A queue and a definition of this stack, something to run, and overrides that ECS takes."""
        options, where = step.options, f"step {step.name}: options"
        if unknown := sorted(set(options) - OPTIONS):
            raise StepError(f"{where}.{unknown[0]}: write one of {', '.join(sorted(OPTIONS))}")
        stack = settings.stack or "<stack>"  # whoever checks before submitting may not know it
        for field in ("queue", "definition"):
            value = options.get(field)
            if not re.fullmatch(rf"{re.escape(settings.stack) or '.+'}-[\w:-]+", str(value)):
                words = f"{value!r} is not a name that begins with the stack's"
                raise StepError(f"{where}.{field}: {words}; write for example {stack}-python")
        _check_program(step)
        environment = options.get("environment", {})
        if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
            raise StepError(f"{where}.environment: write names and texts, as in {{COLOUR: red}}")
        if taken := sorted(name for name in environment if name.startswith(("BOXCAR_", "AWS_BATCH"))):
            raise StepError(f"{where}.environment.{taken[0]}: names with BOXCAR_ or AWS_BATCH are set by themselves")
        _check_number(where, options, "vcpus", 0.25, 192)
        _check_number(where, options, "memory_mb", 4, 10**6)
        _check_number(where, options, "array_size", 2, 10_000)
        size = len(json.dumps([step.config, environment, options.get("command")]))
        if size > LONGEST_OVERRIDES - ROOM_FOR_PLACES:
            words = f"config, environment and command have {size} characters, and a container may be told"
            most = LONGEST_OVERRIDES - ROOM_FOR_PLACES
            raise StepError(f"step {step.name}: config: {words} {most}; put them into a file and give it as an input")

    def pools(self, step: "Step") -> list[str]:
        """A queue's compute environments have a number of vCPUs."""
        return [f"batch/{step.options['queue']}"]

    def units(self, step: "Step") -> int:
        """vCPUs, of all of an array; one where the definition says it. Limit a queue in vCPUs, if at all."""
        return math.ceil(float(step.options.get("vcpus", 1)) * int(step.options.get("array_size", 1)))

    def outputs(self, step: "Step", place: str, name: str) -> dict[str, str]:
        """A folder each."""
        return {output: f"{place}{output}/" for output in step.outputs}

    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """Submit it, unless an earlier try of this attempt did. Answers the job's ARN."""
        client = clients(self.service)
        if launch.tried_since is not None and (arn := _submitted(launch, launch.tried_since, client)):
            return arn
        return str(client.submit_job(**self._request(launch))["jobArn"])

    def _request(self, launch: Launch) -> dict[str, Any]:
        step, options = launch.step, launch.step.options
        overrides: dict[str, Any] = {
            "command": options.get("command") or ["python3", "-c", FETCH, str(step.script)],
            "environment": [{"name": name, "value": value} for name, value in _environment(launch).items()],
        }
        needs = {"VCPU": options.get("vcpus"), "MEMORY": options.get("memory_mb")}
        if given := [{"type": kind, "value": f"{value:g}"} for kind, value in needs.items() if value is not None]:
            overrides["resourceRequirements"] = given
        request: dict[str, Any] = {
            "jobName": launch.name,
            "jobQueue": options["queue"],
            "jobDefinition": options["definition"],
            "containerOverrides": overrides,
            "retryStrategy": {"attempts": 1},  # Boxcar retries, by the class of the failure
            "timeout": {"attemptDurationSeconds": max(SHORTEST_S, step.max_runtime_s)},
        }
        return request | ({"arrayProperties": {"size": options["array_size"]}} if "array_size" in options else {})

    def observe(self, detail: dict[str, Any]) -> Observation:
        """Read an event, or an entry of DescribeJobs: they are alike. The children of an array say nothing of it."""
        status = STATUSES.get(detail["status"], "Starting")  # SUBMITTED, PENDING, RUNNABLE, STARTING
        if "index" in detail.get("arrayProperties", {}):
            return Observation(detail["jobName"], "Starting")
        reason = detail.get("statusReason") or ""
        if status == "Failed":
            status, reason = _ending(detail)
        stream = (detail.get("container") or {}).get("logStreamName")
        return Observation(
            name=detail["jobName"],
            arn="#".join(part for part in (detail.get("jobArn"), stream) if part),
            status=status,
            created=seconds(detail.get("createdAt")),
            started=seconds(detail.get("startedAt")) or None,
            ended=seconds(detail.get("stoppedAt")) or None,
            reason=reason if status in ("Failed", "Stopped") else "",
            partial=status == "Failed" and not reason,
        )

    def describe(self, name: str, arn: str, clients: Clients) -> Observation:
        """One DescribeJobs call. Batch forgets what has ended after a week."""
        found = clients(self.service).describe_jobs(jobs=[_id(arn)])["jobs"] if arn else []
        if not found:
            reason = f"InternalServerError: Batch does not know {arn or name} any more"
            return Observation(name, "Failed", reason=reason)
        seen = self.observe(found[0])
        if not seen.partial:
            return seen
        return Observation(name, "Failed", arn=arn, ended=seen.ended, reason="InternalServerError: no reason was given")

    def stop(self, name: str, arn: str, clients: Clients) -> None:
        """One TerminateJob call, which also takes out of the queue what has not begun."""
        client = clients(self.service)
        try:
            client.terminate_job(jobId=_id(arn), reason=STOP)
        except client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ClientException":  # it is not known any more
                raise

    def logs(self, name: str, arn: str) -> tuple[str, str]:
        """The one stream of a job that has run. Before it runs there is none, and nothing begins with its name."""
        return "/aws/batch/job", arn.partition("#")[2] or f"{name}/"


def _environment(launch: Launch) -> dict[str, str]:
    """What the container is told."""
    step = launch.step
    told = {"BOXCAR_ATTEMPT": launch.name, "BOXCAR_CONFIG": json.dumps(step.config)}
    told |= {f"BOXCAR_INPUT_{_upper(name)}": uri for name, uri in step.inputs.items()}
    told |= {f"BOXCAR_OUTPUT_{_upper(name)}": uri for name, uri in launch.outputs.items()}
    if step.code is not None:
        told["BOXCAR_CODE"] = step.code.archive
    return {**step.options.get("environment", {}), **told}


def _submitted(launch: Launch, since: float, client: Any) -> str:
    """The ARN of the job that an earlier try of this attempt made, or "". The filter does not mind case; we do."""
    request = {"filters": [{"name": "JOB_NAME", "values": [launch.name]}]}
    found = client.list_jobs(jobQueue=launch.step.options["queue"], **request)["jobSummaryList"]
    ours = [
        job
        for job in found
        if job["jobName"] == launch.name and (seconds(job["createdAt"]) or 0.0) >= since - CLOCKS_DIFFER_S
    ]
    return str(min(ours, key=lambda job: job["createdAt"])["jobArn"]) if ours else ""


def _ending(detail: dict[str, Any]) -> tuple[str, str]:
    """Status and reason of a job that Batch calls FAILED: one of the failure classes before Batch's own words."""
    container = detail.get("container") or {}
    why, inside, code = detail.get("statusReason") or "", container.get("reason") or "", container.get("exitCode")
    words = f"{why}: {inside}" if inside else why
    if _TIME.search(why):
        return "Failed", f"MaxRuntimeExceeded: {words}"
    if _CAPACITY.search(words):
        return "Failed", f"CapacityError: {words}"
    if why == STOP or detail.get("isTerminated") or detail.get("isCancelled"):
        return "Stopped", words
    if _HOST.search(words):
        return "Failed", f"InternalServerError: {words}"
    if code == BAD_INPUT:
        return "Failed", f"InputError: exit code {code}, by which a program says that its data cannot be used"
    if code:
        return "Failed", f"AlgorithmError: exit code {code}. {words}"
    if why.startswith("Array Child Job failed"):
        return "Failed", f"AlgorithmError: {words}; ListJobs with the array's id names the jobs that failed"
    if _ACCESS.search(words):
        return "Failed", f"AccessDenied: {words}"
    if _START.search(words):
        return "Failed", f"ClientError: {words}"
    return "Failed", f"InternalServerError: {words}" if words else ""


def _check_program(step: "Step") -> None:
    where, command = f"step {step.name}", step.options.get("command")
    if step.image is not None:
        raise StepError(f"{where}: image: the job definition names the image of a batch step; leave it out")
    resources = step.resources
    if resources.spot != "never" or resources.checkpoints or resources.keep_alive_s:
        raise StepError(f"{where}: resources: spot, checkpoints and keep_alive_s are for training; leave them out")
    if command is not None:
        if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
            words = f'{command!r} is not a list of texts, as ["python3", "-V"] is'
            raise StepError(f"{where}: options.command: {words}")
    elif not step.script or step.code is None:
        raise StepError(f"{where}: script: a batch step needs a script and the code it is in, or options.command")


def _check_number(where: str, options: dict[str, Any], field: str, least: float, most: float) -> None:
    value = options.get(field, least)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise StepError(f"{where}.{field}: {value!r} is not a number from {least:g} to {most:g}")
    if field != "vcpus" and value != int(value):
        raise StepError(f"{where}.{field}: {value!r} is not a whole number")


def _upper(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()


def _id(arn: str) -> str:
    return arn.partition("#")[0].rpartition("/")[2]


KIND = Batch()
