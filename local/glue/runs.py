"""Job runs: STARTING, RUNNING, then SUCCEEDED, FAILED, TIMEOUT or (by STOPPING) STOPPED."""

import logging
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any

from local.announcer import Announcer
from local.glue.definitions import MOST_MINUTES, Definitions
from local.programs.program import Program, Programs, Stopped, Surroundings
from local.programs.workers import Workers
from local.sagemaker.logs import Logs
from local.sagemaker.store import Record, Store
from local.service import ApiError, Cloud

logger = logging.getLogger(__name__)
RUN = "run"
ALIVE = ("STARTING", "RUNNING", "STOPPING")
GRACE = 30.0
STOP, TIMEOUT = "STOPPED", "TIMEOUT"
# "Events for "detail-type":"Glue Job State Change" are generated for SUCCEEDED, FAILED, TIMEOUT, and STOPPED." with
# these words: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html, section of AWS Glue
MESSAGES = {"SUCCEEDED": "Job run succeeded", "STOPPED": "Job run stopped", "TIMEOUT": "Job run timed out"}
SEVERITIES = {"SUCCEEDED": "INFO", "STOPPED": "INFO", "TIMEOUT": "WARN", "FAILED": "ERROR"}
# Read by Glue itself, not handed to a script: https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
OWN = {"--scriptLocation", "--extra-py-files", "--job-language", "--class", "library-set", "--library-set"}
SHELL = Surroundings("lambda", preload=("boto3",))
INSIDE = Path(__file__).parent / "inside"
LOGS = "/aws-glue/python-jobs"


class Runs:
    """Every run of every job."""

    def __init__(self, cloud: Cloud, store: Store, definitions: Definitions) -> None:
        self._cloud = cloud
        self._store = store
        self._definitions = definitions
        self._programs = Programs(cloud, cloud.state / "glue" / "work")
        self._logs = Logs(cloud)
        self._events = Announcer(cloud, "aws.glue")
        self._alive: dict[str, Program] = {}
        self._workers = Workers(cloud.clock)
        self._lock = threading.RLock()
        self._closing = False

    def start(self, request: Record) -> Record:
        """StartJobRun."""
        job = self._definitions.found(request["JobName"])
        kind = job["Command"].get("Name", "glueetl")
        if kind != "pythonshell":
            raise ApiError("InvalidInputException", f"The embedded cloud runs pythonshell jobs alone, not {kind}.")
        for field in ("JobRunQueuingEnabled", "SecurityConfiguration", "ExecutionRoleSessionPolicy"):
            if request.get(field):
                raise ApiError("InvalidInputException", f"The embedded cloud does not implement {field}; leave it out.")
        minutes = request.get("Timeout") or job.get("Timeout") or 2880
        if not 1 <= minutes <= MOST_MINUTES:
            raise ApiError("InvalidInputException", f"Timeout must be 1 to {MOST_MINUTES} minutes")
        most = int(job.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1))
        now, run_id = self._cloud.clock.time(), f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}"
        record: Record = {
            "Id": run_id,
            "Attempt": 0,
            "JobName": job["Name"],
            "StartedOn": now,
            "LastModifiedOn": now,
            "JobRunState": "STARTING",
            "Arguments": {**job.get("DefaultArguments", {}), **request.get("Arguments", {})},
            "PredecessorRuns": [],
            "AllocatedCapacity": 0,
            "ExecutionTime": 0,
            "Timeout": minutes,
            "MaxCapacity": request.get("MaxCapacity") or job.get("MaxCapacity") or 0.0625,
            "LogGroupName": LOGS,
            "GlueVersion": job.get("GlueVersion", "0.9"),
            "_job": job,
            "_number": len(list(self._store.all(RUN))),
        }
        with self._lock:
            alive = [run for run in self._store.all(RUN) if run["JobName"] == job["Name"]]
            if sum(run["JobRunState"] in ALIVE for run in alive) >= most:
                words = f"Concurrent runs exceeded for {job['Name']}"
                raise ApiError("ConcurrentRunsExceededException", words)
            self._store.add(RUN, run_id, record)
        self._workers.start(f"glue-{run_id}", self._live, record)
        return {"JobRunId": run_id}

    def get(self, request: Record) -> Record:
        """GetJobRun."""
        record = self._store.get(RUN, request["RunId"])
        if record is None or record["JobName"] != request["JobName"]:
            raise ApiError(
                "EntityNotFoundException", f"Job Run {request['RunId']} for job {request['JobName']} not found"
            )
        return {"JobRun": self._shown(record)}

    def list(self, request: Record) -> Record:
        """GetJobRuns, the newest first."""
        name = self._definitions.found(request["JobName"])["Name"]
        found = [record for record in self._store.all(RUN) if record["JobName"] == name]
        found.sort(key=lambda record: (-record["StartedOn"], -record["_number"]))
        start, size = int(request.get("NextToken") or 0), int(request.get("MaxResults") or 200)
        page = {"JobRuns": [self._shown(record) for record in found[start : start + size]]}
        return {**page, **({"NextToken": str(start + size)} if start + size < len(found) else {})}

    def stop(self, request: Record) -> Record:
        """BatchStopJobRun."""
        name, submitted, errors = request["JobName"], [], []
        for run_id in request["JobRunIds"]:
            with self._lock:
                record = self._store.get(RUN, run_id)
                if record is None or record["JobRunState"] not in ("STARTING", "RUNNING"):
                    code = "EntityNotFoundException" if record is None else "InvalidJobRunStateTransitionException"
                    words = "is not known" if record is None else f"is in state {record['JobRunState']}"
                    detail = {"ErrorCode": code, "ErrorMessage": f"Job run {run_id} {words}"}
                    errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
                    continue
                self._store.change(RUN, run_id, {"JobRunState": "STOPPING", "LastModifiedOn": self._cloud.clock.time()})
                if run_id in self._alive:
                    self._alive[run_id].stop(STOP, GRACE)
            submitted.append({"JobName": name, "JobRunId": run_id})
        return {"SuccessfulSubmissions": submitted, "Errors": errors}

    # -- life --

    def recover(self) -> None:
        """Fail the runs that were alive when the process ended, and say so."""
        for record in list(self._store.all(RUN)):
            if record["JobRunState"] in ALIVE:
                self._end(record, "FAILED", "Internal service error : the run was lost")

    def _live(self, record: Record) -> None:
        state, message, program = "SUCCEEDED", "", None
        try:
            program = self._programs.prepare(record["Id"], SHELL)
            with self._lock:
                self._alive[record["Id"]] = program
                if (self._store.get(RUN, record["Id"]) or {})["JobRunState"] == "STOPPING":
                    raise Stopped
                self._store.change(RUN, record["Id"], {"JobRunState": "RUNNING"})
            for name, file in _outputs(program):
                self._logs.follow(f"{LOGS}/{name}", record["Id"], file)
            program.limit(record["Timeout"] * 60.0, TIMEOUT, GRACE)
            code = self._run(record, program)
            if program.stopped_by:
                state = program.stopped_by
            elif code:
                told = program.folder / "message"
                message = told.read_text() if told.is_file() else f"Command failed with exit code {code}"
                state = "FAILED"
        except Stopped:
            state = (program.stopped_by if program else "") or STOP
        except Exception as error:
            state, message = "FAILED", _reason(error)
        if self._closing:
            return  # the next start finds it alive and fails it
        self._alive.pop(record["Id"], None)
        if program is not None:
            for name, file in _outputs(program):
                self._logs.keep(f"{LOGS}/{name}", record["Id"], file, self._cloud.clock.time())
            program.close()
        self._end(record, state, message)

    def _run(self, record: Record, program: Program) -> int:
        """Fetch the script and its modules with the job's role, then run it."""
        role = _role(record["_job"]["Role"], self._cloud.account)
        arguments = dict(record["Arguments"])
        try:
            s3, keys = self._cloud.client("s3", role, "GlueJobRunnerSession"), {}
            keys = self._cloud.credentials(role, "GlueJobRunnerSession")
        except Exception as error:
            words = f"Role {role} should be given assume role permissions for Glue Service."
            raise RuntimeError(f"{words} ({error})") from error
        libraries = program.folder / "libraries"
        libraries.mkdir()
        extra = [uri.strip() for uri in arguments.get("--extra-py-files", "").split(",") if uri.strip()]
        files = [_fetch(s3, uri, libraries) for uri in extra]
        script = _fetch(
            s3, arguments.get("--scriptLocation") or record["_job"]["Command"]["ScriptLocation"], program.work
        )
        paths = [str(file if file.suffix != ".py" else libraries) for file in files]
        env = {**keys, "PYTHONPATH": ":".join([*dict.fromkeys(paths), str(INSIDE)])}
        given = [part for name, value in arguments.items() if name not in OWN for part in (name, value)]
        argv = ["python3", str(INSIDE / "shell.py"), str(script)]
        argv += [str(program.folder / "errors"), str(program.folder / "message"), *given]
        return program.run(argv, env)

    def _end(self, record: Record, state: str, message: str) -> None:
        now = self._cloud.clock.time()
        fields: Record = {"JobRunState": state, "CompletedOn": now, "LastModifiedOn": now}
        fields["ExecutionTime"] = round(now - record["StartedOn"])
        fields |= {"ErrorMessage": message} if message else {}
        record = self._store.change(RUN, record["Id"], fields)
        detail = {
            "jobName": record["JobName"],
            "severity": SEVERITIES[state],
            "state": state,
            "jobRunId": record["Id"],
            "message": message or MESSAGES[state],
        }
        self._events.say("Glue Job State Change", detail, [])

    def _shown(self, record: Record) -> dict[str, Any]:
        return {name: value for name, value in record.items() if not name.startswith("_")}

    def close(self) -> None:
        """Kill what runs. The records stay: the next start fails what did not end."""
        self._closing = True
        self._programs.close()
        self._workers.join()
        self._events.close()
        self._logs.close()


def _outputs(program: Program) -> list[tuple[str, Path]]:
    """Standard output and error, by the ends of their log groups."""
    return [("output", program.log), ("error", program.folder / "errors")]


def _fetch(s3: Any, uri: str, folder: Path) -> Path:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    target = folder / Path(key).name
    with target.open("wb") as file:
        shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], file)
    return target


def _role(role: str, account: str) -> str:
    """Glue takes the name of a role, or its ARN."""
    return role if role.startswith("arn:") else f"arn:aws:iam::{account}:role/{role}"


def _reason(error: Exception) -> str:
    answer = getattr(error, "response", {}).get("Error", {})
    return f"{answer['Code']}: {answer.get('Message', '')}" if "Code" in answer else str(error)
