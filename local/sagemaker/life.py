"""What a live job is to the service, whether a container runs for it or not."""

import threading
from typing import TYPE_CHECKING, Any

from local.sagemaker.failures import Stopped

if TYPE_CHECKING:
    from local.sagemaker.jobs import Jobs
    from local.sagemaker.kind import Kind

# why a job was stopped: by StopTrainingJob, or by one of its limits, which then is its secondary status
STOP, TIME_LIMIT, WAIT_LIMIT = "Stop", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"


class Life:
    """One live job: how it is begun and stopped, and for how long it has had its instances."""

    def __init__(self, jobs: "Jobs", kind: "Kind", record: dict[str, Any], warm: bool = False) -> None:
        self.jobs = jobs
        self.kind = kind
        self.name: str = record[f"{kind.noun}Name"]
        self.request = record
        self.warm = warm  # it has the instances of a warm pool
        self.stopped_by: str | None = None
        self._lock = threading.RLock()
        self.launched = False  # it has had instances
        self._ran = 0.0
        self._since: float | None = None

    def begin(self) -> None:
        """Go through the job's life, in the background."""
        raise NotImplementedError

    def stop(self, why: str) -> bool:
        """Begin to stop. False when it was stopping already."""
        raise NotImplementedError

    def close(self) -> None:
        """The job has ended: let go of everything."""

    def last_words(self) -> str:
        """What the container left as its exit message, if it is a processing job."""
        return ""

    def stopping(self) -> bool:
        """Whether somebody asked for its end, or its time is over."""
        return self.stopped_by is not None

    def check(self) -> None:
        """Raise Stopped when it is to stop."""
        if self.stopping():
            raise Stopped

    def got_instances(self, at: float) -> None:
        """From now on its run time counts."""
        self.launched, self._since = True, at

    def lost_instances(self, at: float) -> None:
        """From now on its run time does not count."""
        self._ran, self._since = self.ran(at), None

    def ran(self, at: float) -> float:
        """Seconds that it has had its instances for, up to now."""
        return self._ran + (at - self._since if self._since is not None else 0.0)
