"""Jobs without a container: what happens to them is told when they are created, and takes the cloud's time only.

A job of the image `boxcar-simulated:1` is one. Its hyperparameters (training) or environment variables (processing;
transform: of the model and of the job) say what happens, each as a text, in JSON or plain; all may be left out:

    provision_seconds  how long it is Starting                                                    (0)
    download_seconds   … Downloading                                                              (0)
    work_seconds       … Training                                                                 (0)
    upload_seconds     … Uploading                                                                (0)
    stop_seconds       … Stopping, when it is stopped                                             (0)
    outcome            how it ends, one of OUTCOMES                                               (completed)
    message            what AlgorithmError, ClientError or a processing job's ExitMessage says
    interruptions      [600, 60]: a spot job loses its instances after 600 s of work, and 60 s after it has them again

A job costs one timer at a time: no thread, no process, no place among the jobs that run on this machine.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from local.sagemaker.failures import INTERNAL, REASON_LIMIT, Stopped
from local.sagemaker.life import TIME_LIMIT, WAIT_LIMIT, Life
from local.sagemaker.timers import Timer
from local.service import ApiError

if TYPE_CHECKING:
    from local.sagemaker.jobs import Jobs
    from local.sagemaker.kind import Kind

IMAGE = "boxcar-simulated:1"
COMPLETED, ALGORITHM, CLIENT = "completed", "AlgorithmError", "ClientError"
CAPACITY, SERVICE = "CapacityError", "InternalServerError"
HANG = "hang"  # it never ends by itself: its time limit or a Stop ends it
INTERRUPT = "interrupt"  # a spot job that loses its instances, after its work seconds, and never gets others
OUTCOMES = (COMPLETED, ALGORITHM, CLIENT, CAPACITY, SERVICE, HANG, INTERRUPT)

# as FailureReason of real jobs says it
NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
SCRIPT_FAILED = 'ExecuteUserScriptError:\nCommand "/miniconda3/bin/python3 -m train", exit code: 1'
NO_DATA = "Data download failed:No S3 objects found under the given S3 URL"
TIMES = ("provision_seconds", "download_seconds", "work_seconds", "upload_seconds", "stop_seconds")
DEFAULT_RUNTIME = 86_400


@dataclass(frozen=True)
class Course:
    """What is to happen to a job; times in seconds of the cloud's clock."""

    provision_seconds: float = 0.0
    download_seconds: float = 0.0
    work_seconds: float = 0.0
    upload_seconds: float = 0.0
    stop_seconds: float = 0.0
    outcome: str = COMPLETED
    message: str = ""
    interruptions: tuple[float, ...] = ()

    def struck(self, outcome: str, delay: float | None) -> "Course":
        """The same with a misfortune: `delay` is the time in Starting for CapacityError, else the seconds of work."""
        if outcome == CAPACITY:
            return replace(self, outcome=outcome, provision_seconds=_or(delay, self.provision_seconds))
        if outcome == INTERRUPT:
            return replace(self, interruptions=(*self.interruptions, _or(delay, self.work_seconds)))
        return replace(self, outcome=outcome, work_seconds=_or(delay, self.work_seconds))


def is_simulated(uri: str) -> bool:
    """Whether jobs of this image run no container."""
    return uri.rsplit("/", 1)[-1] == IMAGE


def course(texts: dict[str, str], field: str) -> Course:
    """Read what is to happen from a job's hyperparameters or environment; `field` is the request's name of them.

    Raises:
        ApiError: ValidationException for a value that means nothing.
    """
    told = {key.lower(): _value(text) for key, text in texts.items()}
    for name in TIMES:
        value = told.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise _refused(field, name, value, "seconds, 0 or more")
    if told.get("outcome", COMPLETED) not in OUTCOMES:
        raise _refused(field, "outcome", told["outcome"], f"one of {', '.join(OUTCOMES)}")
    interruptions = told.get("interruptions", [])
    if not isinstance(interruptions, list) or not all(isinstance(each, (int, float)) for each in interruptions):
        raise _refused(field, "interruptions", interruptions, "a list of seconds such as [600, 60]")
    return Course(
        **{name: float(told.get(name, 0)) for name in TIMES},
        outcome=told.get("outcome", COMPLETED),
        message=str(told.get("message", "")),
        interruptions=tuple(float(each) for each in interruptions),
    )


class Simulation(Life):
    """The life of a simulated job, one timer at a time."""

    def __init__(self, jobs: "Jobs", kind: "Kind", record: dict[str, Any], course: Course, warm: bool = False) -> None:
        super().__init__(jobs, kind, record, warm)
        self._course = course
        self._trains = kind.quota == "training"  # only training jobs have secondary statuses
        spot = bool(record.get("EnableManagedSpotTraining"))
        self._interruptions = list(course.interruptions) if spot else []  # others keep their instances
        self._worked = 0.0  # seconds of work that a checkpoint has kept
        self._uploads = False  # whether a stop would find something to upload
        self._timer: Timer | None = None
        condition = record.get("StoppingCondition", {})
        self._most = float(condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME))
        self._until: float | None = None
        if spot:
            self._until = record["CreationTime"] + condition["MaxWaitTimeInSeconds"]

    def begin(self) -> None:
        """Wait for instances."""
        self._after(0.0 if self.warm else self._course.provision_seconds, self._provisioned)

    def stop(self, why: str) -> bool:
        """Begin to stop; it has stopped after its stop seconds."""
        with self._lock:
            if self.stopped_by is not None:
                return False
            self.stopped_by = why
            if self._timer is not None:
                self._timer.cancel()
            self.jobs.stopping(self)
            self._timer = self.jobs.timers.after(self._course.stop_seconds, self._stopped)
        return True

    def close(self) -> None:
        """Nothing is due any more."""
        if self._timer is not None:
            self._timer.cancel()

    def last_words(self) -> str:
        """The message that was told at the beginning."""
        return self._course.message if self._course.outcome in (COMPLETED, ALGORITHM) else ""

    def _after(self, seconds: float | None, call: Callable[[], None]) -> None:
        """Go on in so many seconds (None: never), unless a limit of the job comes first."""
        now = self.jobs.cloud.clock.time()
        due: list[tuple[float, Callable[[], object]]] = [] if seconds is None else [(seconds, call)]
        if self._since is not None:
            due.append((self._most - self.ran(now), lambda: self.stop(TIME_LIMIT)))
        if self._until is not None:
            due.append((self._until - now, lambda: self.stop(WAIT_LIMIT)))
        if due:
            first = min(due, key=lambda entry: entry[0])
            self._timer = self.jobs.timers.after(first[0], lambda: self._go(first[1]))

    def _go(self, call: Callable[[], object]) -> None:
        with self._lock:
            try:
                call()
            except Stopped:
                return  # the service closes

    def _provisioned(self) -> None:
        if self._course.outcome == CAPACITY:
            self._end("Failed", NO_CAPACITY)
            return
        now = self.jobs.cloud.clock.time()
        first = "Downloading" if self._trains else "InProgress"
        fields: dict[str, Any] = {} if self.launched else {f"{self.kind.verb}StartTime": now}
        self.got_instances(now)
        self.jobs.enter(self, first, **fields)
        if self._course.outcome == CLIENT:
            self._end("Failed", f"ClientError: {self._course.message or NO_DATA}")
            return
        self._soon(self._course.download_seconds, self._downloaded)

    def _downloaded(self) -> None:
        if self._trains:
            self.jobs.enter(self, "Training")
        self._uploads = self._trains
        left = None if self._course.outcome == HANG else self._course.work_seconds - self._worked
        if self._interruptions and (left is None or self._interruptions[0] < left):
            worked = self._interruptions.pop(0)
            self._after(worked, lambda: self._interrupted(worked))
        else:
            self._after(left, self._finished)

    def _interrupted(self, worked: float, forever: bool = False) -> None:
        if "CheckpointConfig" in self.request:
            self._worked += worked
        self._uploads = self.warm = False
        self.lost_instances(self.jobs.cloud.clock.time())
        self.jobs.enter(self, "Interrupted")
        self.jobs.enter(self, "Starting")
        self._after(None if forever else self._course.provision_seconds, self._provisioned)

    def _finished(self) -> None:
        outcome = self._course.outcome
        if outcome == INTERRUPT:
            self._interrupted(0.0, forever=True)
        elif outcome == ALGORITHM:
            words = self._course.message or (SCRIPT_FAILED if self._trains else "See job logs for more information")
            self._end("Failed", f"AlgorithmError: {words}")
        elif outcome == SERVICE:
            self._end("Failed", INTERNAL)
        elif self._trains:
            self.jobs.enter(self, "Uploading")
            self._soon(self._course.upload_seconds, lambda: self._end("Completed", None))
        else:
            self._end("Completed", None)

    def _stopped(self) -> None:
        with self._lock:
            if self._uploads:
                self.jobs.enter(self, "Uploading")
            self._end("Stopped", None)

    def _soon(self, seconds: float, call: Callable[[], None]) -> None:
        """Go on at once where nothing is to be waited for."""
        if seconds > 0:
            self._after(seconds, call)
        else:
            call()

    def _end(self, status: str, why: str | None) -> None:
        self.jobs.end(self, status, why[:REASON_LIMIT] if why else None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else float(given)


def _refused(field: str, name: str, value: Any, instead: str) -> ApiError:
    return ApiError("ValidationException", f"{field}.{name} = {value!r} of a simulated job; write {instead}")
