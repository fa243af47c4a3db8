"""Job definitions: CreateJob and what follows."""

from typing import Any

from local.sagemaker.store import Record, Store
from local.service import ApiError, Cloud

JOB = "job"
MOST_MINUTES = 10_080  # "Jobs must have timeout values less than 7 days or 10080 minutes" (StartJobRun)


class Definitions:
    """Jobs as CreateJob makes them. A run is something else: see runs.py."""

    def __init__(self, cloud: Cloud, store: Store) -> None:
        self._cloud = cloud
        self._store = store

    def create(self, request: Record) -> Record:
        """CreateJob."""
        name = request["Name"]
        _check(request)
        now = self._cloud.clock.time()
        record = {
            "MaxRetries": 0,
            "Timeout": 2880,
            "GlueVersion": "0.9",
            "ExecutionProperty": {"MaxConcurrentRuns": 1},
            **{field: value for field, value in request.items() if field != "Tags"},
            "CreatedOn": now,
            "LastModifiedOn": now,
        }
        if not self._store.add(JOB, name, record):
            raise ApiError("AlreadyExistsException", f"Job {name} already exists")
        return {"Name": name}

    def update(self, request: Record) -> Record:
        """UpdateJob: what is not given any more is as if never given."""
        record = self.found(request["JobName"])
        _check(request["JobUpdate"])
        kept = {"Name": record["Name"], "CreatedOn": record["CreatedOn"]}
        base = {"MaxRetries": 0, "Timeout": 2880, "ExecutionProperty": {"MaxConcurrentRuns": 1}}
        now = {"LastModifiedOn": self._cloud.clock.time()}
        self._store.put(JOB, record["Name"], {**base, **request["JobUpdate"], **kept, **now})
        return {"JobName": record["Name"]}

    def delete(self, request: Record) -> Record:
        """DeleteJob; one that is not there is no error."""
        self._store.remove(JOB, request["JobName"])
        return {"JobName": request["JobName"]}

    def get(self, request: Record) -> Record:
        """GetJob."""
        return {"Job": self.found(request["JobName"])}

    def get_all(self, request: Record) -> Record:
        """GetJobs, on one page."""
        return {"Jobs": list(self._store.all(JOB))}

    def list(self, request: Record) -> Record:
        """ListJobs, on one page."""
        return {"JobNames": [record["Name"] for record in self._store.all(JOB)]}

    def found(self, name: str) -> Record:
        """A job by its name.

        Raises:
            ApiError: there is none.
        """
        record = self._store.get(JOB, name)
        if record is None:
            raise ApiError("EntityNotFoundException", f"Failed to find job {name}")
        return record


def _check(fields: dict[str, Any]) -> None:
    if not fields.get("Role") or not fields.get("Command", {}).get("ScriptLocation"):
        raise ApiError("InvalidInputException", "Role and Command.ScriptLocation must not be empty")
    if int(fields.get("Timeout") or 1) > MOST_MINUTES:
        raise ApiError("InvalidInputException", f"Timeout must be at most {MOST_MINUTES} minutes")
