"""The part of AWS Glue that runs jobs. What it does not have (the Data Catalog) is answered by MiniStack."""

from collections.abc import Callable
from typing import Any

from local.glue.definitions import Definitions
from local.glue.runs import Runs
from local.programs.checks import faults
from local.sagemaker.store import Store
from local.service import ApiError, Cloud


class Glue:
    """Jobs and their runs. State lies in `glue/` of the cloud's state folder."""

    def __init__(self, cloud: Cloud) -> None:
        self._clock = cloud.clock
        self._store = Store(cloud.state / "glue" / "glue.sqlite")
        definitions = Definitions(cloud, self._store)
        self._runs = runs = Runs(cloud, self._store, definitions)
        self.actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateJob": definitions.create,
            "UpdateJob": definitions.update,
            "DeleteJob": definitions.delete,
            "GetJob": definitions.get,
            "GetJobs": definitions.get_all,
            "ListJobs": definitions.list,
            "StartJobRun": runs.start,
            "GetJobRun": runs.get,
            "GetJobRuns": runs.list,
            "BatchStopJobRun": runs.stop,
        }
        runs.recover()

    def handle(self, action: str, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse, and what this cloud does not implement.
        """
        if action not in self.actions:
            known = ", ".join(sorted(self.actions))
            raise ApiError("UnknownOperationException", f"{action} is not implemented here; it has: {known}", 404)
        if found := faults("glue", action, request):
            raise ApiError("InvalidInputException", "; ".join(found))
        with self._clock.hold():  # what it starts holds on by itself
            return self.actions[action](request)

    def close(self) -> None:
        """End every process, save, stop."""
        self._runs.close()
        self._store.close()
