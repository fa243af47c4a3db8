"""Who runs next: queues by priority, jobs first in first out, as many as the compute environments have vCPUs for."""

import threading
from collections import deque

from local.batch.places import Places
from local.sagemaker.store import Record


class Capacity:
    """vCPUs in use, and the jobs that wait for some."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[tuple[str, float]]] = {}  # queue ARN -> (job id, vCPUs)
        self._used: dict[str, float] = {}  # compute environment -> vCPUs

    def wait(self, queue_arn: str, job_id: str, vcpus: float, first: bool = False) -> None:
        """Put a job at the end of the line; a further attempt is the first in it."""
        with self._lock:
            line = self._waiting.setdefault(queue_arn, deque())
            (line.appendleft if first else line.append)((job_id, vcpus))

    def leave(self, queue_arn: str, job_id: str) -> bool:
        """Take a job out of the line; False when it is not in it any more."""
        with self._lock:
            line = self._waiting.get(queue_arn, deque())
            found = [entry for entry in line if entry[0] == job_id]
            for entry in found:
                line.remove(entry)
            return bool(found)

    def next(self) -> list[tuple[str, str]]:
        """Jobs to start now, each with the compute environment whose vCPUs it has from now on."""
        started = []
        with self._lock:
            for queue in self._places.queues():
                line = self._waiting.get(queue["jobQueueArn"], deque())
                while line:
                    environment = self._room(queue, line[0][1])
                    if environment is None:
                        break  # the first in line waits, and all behind it
                    job_id, vcpus = line.popleft()
                    self._used[environment] = self._used.get(environment, 0.0) + vcpus
                    started.append((job_id, environment))
        return started

    def give(self, environment: str, vcpus: float) -> None:
        """Give vCPUs back."""
        with self._lock:
            self._used[environment] = max(0.0, self._used.get(environment, 0.0) - vcpus)

    def _room(self, queue: Record, vcpus: float) -> str | None:
        for entry in queue["computeEnvironmentOrder"]:
            record = self._places.environment(entry["computeEnvironment"])
            name: str = record["computeEnvironmentName"]
            free = float(record["computeResources"]["maxvCpus"]) - self._used.get(name, 0.0)
            if record["state"] == "ENABLED" and free >= vcpus:
                return name
        return None
