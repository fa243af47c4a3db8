"""Jobs, from SubmitJob to their last event. Life: SUBMITTED, RUNNABLE, STARTING, RUNNING, SUCCEEDED or FAILED.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

import logging
import re
import shutil
import threading
import uuid

from local.batch import containers
from local.batch.arrays import child_id, index_of, parent_of, parent_status, summary
from local.batch.capacity import Capacity
from local.batch.containers import Failure, PullError
from local.batch.places import Places, not_here, refuse
from local.batch.records import Records
from local.programs.program import Program, Programs, Stopped
from local.programs.workers import Workers
from local.sagemaker.logs import Logs
from local.sagemaker.store import Record, Store
from local.service import Cloud

logger = logging.getLogger(__name__)
GRACE = 30.0  # "If the container is still running after 30 seconds, a SIGKILL signal is sent" (Job timeouts)
ENDED = ("SUCCEEDED", "FAILED")
EXITED = "Essential container in task exited"
TIMEOUT = "Job attempt duration exceeded timeout"
HOST_GONE = "Host EC2 (instance i-00000000000000000) terminated."
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
REFUSED = (
    "shareIdentifier", "dependsOn", "nodeOverrides", "eksPropertiesOverride", "ecsPropertiesOverride",
    "consumableResourcePropertiesOverride",
)  # fmt: skip


class Jobs:
    """Every job, waiting, alive or ended."""

    def __init__(self, cloud: Cloud, store: Store, places: Places) -> None:
        self._cloud = cloud
        self._records = Records(cloud, store)
        self._places = places
        self._capacity = Capacity(places)
        self._programs = Programs(cloud, cloud.state / "batch" / "work")
        self._logs = Logs(cloud)
        self._alive: dict[str, Program] = {}
        self._workers = Workers(cloud.clock)
        self._lock = threading.RLock()
        self._closing = False

    # -- the API --

    def submit(self, request: Record) -> Record:
        """SubmitJob. Names need not be unique: a second job of a name is a second job."""
        for field in REFUSED:
            if request.get(field):
                raise not_here(field, "leave it out")
        name = request["jobName"]
        if not NAME.fullmatch(name):
            raise refuse(f"Error executing request, Exception : Job name {name!r} should match valid pattern")
        queue, definition = self._places.queue(request["jobQueue"]), self._places.definition(request["jobDefinition"])
        if queue["state"] != "ENABLED":
            raise refuse(f"Error executing request, Exception : JobQueue {request['jobQueue']} is not ENABLED")
        container, limit = containers.merged(definition, request), containers.timeout(definition, request)
        job_id, size = str(uuid.uuid4()), request.get("arrayProperties", {}).get("size")
        if size is not None and not 2 <= size <= 10_000:
            raise refuse("Error executing request, Exception : Array size should be between 2 and 10000")
        record: Record = {
            "jobName": name,
            "jobQueue": queue["jobQueueArn"],
            "attempts": [],
            "createdAt": self._records.now(),
            "retryStrategy": containers.retry(definition, request),
            "dependsOn": [],
            "jobDefinition": definition["jobDefinitionArn"],
            "parameters": {**definition.get("parameters", {}), **request.get("parameters", {})},
            "container": container,
            "tags": request.get("tags", {}),
            "propagateTags": request.get("propagateTags", False),
            "platformCapabilities": definition["platformCapabilities"],
            "_vcpus": containers.vcpus(container),
            **({"timeout": limit} if limit else {}),
        }
        if size is None:
            self._records.add(record, job_id, "SUBMITTED", {})
            self._wait(job_id)
        else:
            self._records.add(record, job_id, "PENDING", {"arrayProperties": {"size": size}})
            for index in range(size):
                self._records.add(record, child_id(job_id, index), "SUBMITTED", {"arrayProperties": {"index": index}})
                self._wait(child_id(job_id, index))
        self._start_what_fits()
        return {"jobArn": self._records.arn(job_id), "jobName": name, "jobId": job_id}

    def describe(self, request: Record) -> Record:
        """DescribeJobs; what is not known is left out."""
        found = [self._records.get(job_id) for job_id in request["jobs"][:100]]
        return {"jobs": [self._records.detail(record) for record in found if record is not None]}

    def list(self, request: Record) -> Record:
        """ListJobs: of a queue or of an array, by status or by the name of the job."""
        filters = request.get("filters", [])
        if filters and filters[0].get("name") != "JOB_NAME":
            raise not_here(f"filters {filters[0].get('name')}", "write JOB_NAME")
        if request.get("arrayJobId"):
            chosen = self._records.children(request["arrayJobId"])
        else:
            queue = self._places.queue(request.get("jobQueue") or "")["jobQueueArn"]
            of_queue = [job for job in self._records.all() if job["jobQueue"] == queue]
            chosen = [job for job in of_queue if parent_of(job["jobId"]) is None]
        if filters:
            chosen = [job for job in chosen if any(_named(job["jobName"], value) for value in filters[0]["values"])]
        else:
            chosen = [job for job in chosen if job["status"] == request.get("jobStatus", "RUNNING")]
        chosen.sort(key=lambda job: -job["createdAt"])
        start, size = int(request.get("nextToken") or 0), min(int(request.get("maxResults") or 100), 1000)
        page = [summary(self._records.detail(job)) for job in chosen[start : start + size]]
        return {
            "jobSummaryList": page,
            **({"nextToken": str(start + size)} if start + size < len(chosen) else {}),
        }

    def terminate(self, request: Record) -> Record:
        """TerminateJob: what runs is stopped, what waits is cancelled. One that has ended stays as it is."""
        for record in self._records.with_children(request["jobId"]):
            self._records.mark(record["jobId"], isTerminated=True)
            self._end_early(record["jobId"], request["reason"], running_too=True)
        return {}

    def cancel(self, request: Record) -> Record:
        """CancelJob: what has not started. No error, and no effect, on what has."""
        for record in self._records.with_children(request["jobId"]):
            if record["status"] in ("SUBMITTED", "PENDING", "RUNNABLE"):
                self._records.mark(record["jobId"], isCancelled=True)
                self._end_early(record["jobId"], request["reason"], running_too=False)
        return {}

    # -- life --

    def recover(self) -> None:
        """After a start: what waited goes on waiting, what ran is gone with the machine it ran on."""
        for record in list(self._records.all()):
            if record["status"] in ("SUBMITTED", "RUNNABLE"):
                self._capacity.wait(record["jobQueue"], record["jobId"], record["_vcpus"])
            elif record["status"] in ("STARTING", "RUNNING"):
                self._attempt_ended(record["jobId"], HOST_GONE, None, "", again=True)
        self._start_what_fits()

    def _start_what_fits(self) -> None:
        for job_id, environment in self._capacity.next():
            self._workers.start(f"batch-{job_id}", self._live, job_id, environment)

    def _live(self, job_id: str, environment: str) -> None:
        code, reason, container_reason, again = None, EXITED, "", True
        record = self._records.known(job_id)
        task = uuid.uuid4().hex
        group, stream = containers.log_place(record["container"], record["jobDefinition"], task)
        try:
            container = {
                **record["container"],
                "logStreamName": stream,
                "taskArn": self._records.task_arn(environment, task),
            }
            self._records.change(job_id, status="STARTING", container=container)
            program = self._prepare(job_id, container)
            self._logs.follow(group, stream, program.log)
            self._records.change(job_id, status="RUNNING", startedAt=self._records.now())
            if limit := record.get("timeout", {}).get("attemptDurationSeconds"):
                program.limit(float(limit), TIMEOUT, GRACE)
            code = program.run(container["command"], self._variables(job_id, record, container, environment))
            if program.stopped_by:
                reason, again = program.stopped_by, False
        except Stopped:
            reason, again = self._alive[job_id].stopped_by, False
        except Failure as failure:
            reason, container_reason = failure.status_reason, failure.container_reason
        except Exception as error:
            logger.exception("batch job %s", job_id)
            reason, container_reason = "Task failed to start", f"{type(error).__name__}: {error}"
        if self._closing:
            return  # the next start finds it as it was
        self._capacity.give(environment, record["_vcpus"])  # before the event: who hears of it finds room
        ended = self._alive.pop(job_id, None)
        if ended is not None:
            self._logs.keep(group, stream, ended.log, self._cloud.clock.time())
            ended.close()
        self._attempt_ended(job_id, reason, code, container_reason, again=again and code != 0)
        self._start_what_fits()

    def _prepare(self, job_id: str, container: Record) -> Program:
        try:
            found = containers.surroundings(container["image"])
            program = self._programs.prepare(job_id, found)
        except (PullError, KeyError, RuntimeError) as error:
            raise Failure("Task failed to start", str(error)) from error
        with self._lock:
            self._alive[job_id] = program
            if reason := self._records.known(job_id).get("_reason"):
                program.stop(reason, GRACE)
        if not container["command"]:
            raise Failure("Task failed to start", "CannotStartContainerError: no command specified")
        return program

    def _variables(self, job_id: str, record: Record, container: Record, environment: str) -> dict[str, str]:
        """https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html"""
        role, told = container.get("jobRoleArn"), {item["name"]: item["value"] for item in container["environment"]}
        try:
            keys = self._cloud.credentials(role, job_id.replace(":", "-")) if role else {}
        except Exception as error:
            words = f"ECS was unable to assume the role '{role}' that was provided for this task."
            raise Failure(f"{words} ({error})") from error
        command = container["command"][0]
        if "/" not in command and not containers.is_python(command) and shutil.which(command) is None:
            words = f'CannotStartContainerError: exec: "{command}": executable file not found in $PATH'
            raise Failure("Task failed to start", words)
        index = index_of(job_id)
        return {
            "AWS_BATCH_JOB_ID": job_id,
            "AWS_BATCH_JOB_ATTEMPT": str(len(record["attempts"]) + 1),
            "AWS_BATCH_JQ_NAME": record["jobQueue"].rpartition("/")[2],
            "AWS_BATCH_CE_NAME": environment,
            **({"AWS_BATCH_JOB_ARRAY_INDEX": str(index)} if index is not None else {}),
            **keys,
            **told,
        }

    def _attempt_ended(self, job_id: str, reason: str, code: int | None, container_reason: str, again: bool) -> None:
        record = self._records.known(job_id)
        last = {"exitCode": code, "reason": container_reason or None}
        container = {**record["container"], **{name: value for name, value in last.items() if value is not None}}
        seen = ("exitCode", "reason", "logStreamName", "taskArn")
        attempt = {
            "container": {name: container[name] for name in seen if name in container},
            "startedAt": record.get("startedAt"),
            "stoppedAt": self._records.now(),
            "statusReason": reason,
        }
        attempts = [*record["attempts"], {name: value for name, value in attempt.items() if value is not None}]
        if again and len(attempts) < record["retryStrategy"]["attempts"]:
            self._records.change(job_id, status="RUNNABLE", attempts=attempts)
            self._capacity.wait(record["jobQueue"], job_id, record["_vcpus"], first=True)
            return
        status = "SUCCEEDED" if code == 0 and reason == EXITED else "FAILED"
        fields = {
            "attempts": attempts,
            "container": container,
            "statusReason": reason,
            "stoppedAt": self._records.now(),
        }
        self._records.change(job_id, status=status, **fields)
        self._end_parent(job_id)

    def _end_early(self, job_id: str, reason: str, running_too: bool) -> None:
        with self._lock:
            record = self._records.known(job_id)
            if record["status"] in ENDED:
                return
            if self._capacity.leave(record["jobQueue"], job_id):
                self._records.change(job_id, status="FAILED", statusReason=reason, stoppedAt=self._records.now())
                self._end_parent(job_id)
            elif running_too:
                self._records.mark(job_id, _reason=reason)
                if job_id in self._alive:
                    self._alive[job_id].stop(reason, GRACE)

    def _end_parent(self, job_id: str) -> None:
        """An array has ended when all of it has."""
        parent = parent_of(job_id)
        if parent is None:
            return
        with self._lock:
            status, reason = parent_status([job["status"] for job in self._records.children(parent)])
            if status and self._records.known(parent)["status"] not in ENDED:
                why = {"statusReason": reason} if reason else {}
                self._records.change(parent, status=status, stoppedAt=self._records.now(), **why)

    def _wait(self, job_id: str) -> None:
        record = self._records.change(job_id, status="RUNNABLE")
        self._capacity.wait(record["jobQueue"], job_id, record["_vcpus"])

    def close(self) -> None:
        """Kill what runs. Records stay: the next start ends what ran and starts what waits."""
        self._closing = True
        self._programs.close()
        self._workers.join()
        self._records.close()
        self._logs.close()


def _named(name: str, wanted: str) -> bool:
    """A case-insensitive match; a final asterisk matches any end (ListJobs, JOB_NAME)."""
    if wanted.endswith("*"):
        return name.lower().startswith(wanted[:-1].lower())
    return name.lower() == wanted.lower()
