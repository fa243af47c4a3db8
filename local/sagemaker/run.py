"""One live job: its folders, its process, and how it is stopped."""

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.sagemaker.capacity import Place
from local.sagemaker.containers import Image, PullError
from local.sagemaker.data import Bucket
from local.sagemaker.failures import Interrupted, JobFailure
from local.sagemaker.launcher import Process
from local.sagemaker.life import TIME_LIMIT, WAIT_LIMIT, Life
from local.sagemaker.timers import Timer

if TYPE_CHECKING:
    from local.sagemaker.jobs import Jobs
    from local.sagemaker.kind import Kind

# "SageMaker sends the job the SIGTERM signal, which delays job termination for 120 seconds" (API_StopTrainingJob)
GRACE = 120.0


class Run(Life):
    """What a kind of job works with while one of its jobs is alive."""

    def __init__(self, jobs: "Jobs", kind: "Kind", record: dict[str, Any]) -> None:
        super().__init__(jobs, kind, record)
        self.root = jobs.containers.path(kind.resource, self.name)
        self.base = self.root / "opt/ml"
        self.log = self.root / "log"
        self.stream = f"{self.name}/algo-1-{int(record['CreationTime'])}"  # of its log group
        self.role_arn = kind.role(record)
        self.place: Place | None = None
        self.interruptions: list[float] = []  # seconds of training after which it is to lose its instances
        self._processes: list[Process] = []  # one an instance, where each has its own
        self._interrupted = False
        self._timers: list[Timer] = []
        self._limit = Timer()

    def begin(self) -> None:
        """Run, in a thread of its own, when it is this job's turn."""
        if self.request.get("EnableManagedSpotTraining"):
            seconds = self.request["StoppingCondition"]["MaxWaitTimeInSeconds"]
            self._timers.append(self.jobs.timers.after(seconds, partial(self.stop, WAIT_LIMIT)))
        self.jobs.live(self)

    def last_words(self) -> str:
        """What the container left in /opt/ml/output/message."""
        message = self.base / "output/message"
        return message.read_text(errors="replace") if message.is_file() else ""

    def prepare(self) -> None:
        """Make the container's folders."""
        self.jobs.containers.make(self.root)

    def bucket(self) -> Bucket:
        """S3 as the job's role may use it."""
        client, _ = self._assume()
        return Bucket(client, self.jobs.cloud.region, self.role_arn, self.stopping)

    def credentials(self) -> dict[str, str]:
        """Environment variables that make the container act as the job's role."""
        return self._assume()[1]

    def _assume(self) -> tuple[Any, dict[str, str]]:
        try:
            return self.jobs.roles.assume(self.role_arn)
        except Exception as error:
            raise JobFailure(
                "ClientError",
                f"Could not assume role {self.role_arn}. Please ensure that the role exists and allows principal "
                f"'sagemaker.amazonaws.com' to assume the role. ({error})",
            ) from error

    def image(self, uri: str) -> Image:
        """The environment behind an image; as SageMaker fails a job whose image it cannot pull."""
        try:
            image = self.jobs.containers.image(uri, self.role_arn)
            self.jobs.containers.interpreter(image).wait()
        except PullError as error:
            raise JobFailure("ClientError", str(error)) from error
        return image

    def limit(self, seconds: float) -> None:
        """Stop when it has had its instances for so many seconds of the cloud's clock."""
        left = seconds - self.ran(self.jobs.cloud.clock.time())
        self._limit.cancel()
        self._limit = self.jobs.timers.after(left, partial(self.stop, TIME_LIMIT))

    def expect_interruption(self) -> None:
        """From now on, if it is to lose its instances, it does so at its time."""
        if self.interruptions:
            self._timers.append(self.jobs.timers.after(self.interruptions.pop(0), self._interrupt))

    def check_interruption(self) -> None:
        """Raise Interrupted when it has lost its instances."""
        if self._interrupted and not self.stopping():
            raise Interrupted

    def restart(self) -> None:
        """Begin again on other instances, with nothing but the log, when it is this job's turn."""
        self.lost_instances(self.jobs.cloud.clock.time())
        self._limit.cancel()
        self.jobs.enter(self, "Interrupted")
        with self._lock:
            self._interrupted, self._processes = False, []
        self.jobs.enter(self, "Starting")
        if self.place is not None:
            self.place.enter()
        self.check()
        self.prepare()

    def _interrupt(self) -> None:
        with self._lock:
            if self.stopped_by is not None:
                return
            self._interrupted = True
            processes = list(self._processes)
        for process in processes:
            process.kill()

    def start(self, image: Image, argv: list[str], env: dict[str, str], cwd: Path) -> Process:
        """Start the container's process, as the job's role.

        Raises:
            Stopped, Interrupted: the job was stopped before, or has lost its instances.
            JobFailure: the process cannot be started.
        """
        env = {**self.credentials(), **env}
        with self._lock:
            self.check()
            self.check_interruption()
            try:
                process = self.jobs.containers.start(image, self.root, argv, env, cwd, self.log)
            except OSError as error:
                raise JobFailure("InternalServerError", f"the container could not be started: {error}") from error
            self._processes.append(process)
            return process

    def execute(self, image: Image, argv: list[str], env: dict[str, str], cwd: Path) -> int:
        """Run the container's process to its end and return its exit code; the next job gets this one's place."""
        code = self.start(image, argv, env, cwd).wait()
        if self.place is not None:
            self.place.leave()
        return 128 - code if code < 0 else code  # as a container reports a signal

    def stop(self, why: str) -> bool:
        """Begin to stop: SIGTERM, and SIGKILL when the grace is over. False when it was stopping already."""
        with self._lock:
            if self.stopped_by is not None:
                return False
            self.stopped_by = why
            processes = list(self._processes)
        self.jobs.stopping(self)
        for process in processes:
            process.signal(signal.SIGTERM)
            self._timers.append(self.jobs.timers.after(GRACE, process.kill))
        self.jobs.slots.wake()
        return True

    def close(self) -> None:
        """Forget the timers, end what was left running, delete the folders."""
        for timer in (*self._timers, self._limit):
            timer.cancel()
        for process in self._processes:
            process.kill()
        self.jobs.containers.remove(self.root)
