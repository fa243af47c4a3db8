"""The AWS Batch service: which action goes where. Its protocol is restJson: the path names the action."""

import json
import logging
from collections.abc import Callable
from typing import Any

from local.batch.jobs import Jobs
from local.batch.places import Places, not_here, refuse
from local.programs.checks import faults, service_model
from local.sagemaker.store import Store
from local.service import ApiError, Cloud

logger = logging.getLogger(__name__)
Answer = tuple[int, dict[str, str], bytes]


class Batch:
    """Compute environments, queues, definitions and jobs. State lies in `batch/` of the cloud's state folder."""

    def __init__(self, cloud: Cloud, may: Callable[[dict[str, str], str, str], str | None] | None = None) -> None:
        """`may(headers, action, resource)` answers AWS's words if the caller may not, None if it may."""
        self._clock = cloud.clock
        self._store = Store(cloud.state / "batch" / "batch.sqlite")
        self._places = places = Places(cloud, self._store)
        self._jobs = jobs = Jobs(cloud, self._store, places)
        self._may = may or (lambda headers, action, resource: None)
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateComputeEnvironment": places.create_environment,
            "UpdateComputeEnvironment": places.update_environment,
            "DescribeComputeEnvironments": places.describe_environments,
            "DeleteComputeEnvironment": places.delete_environment,
            "CreateJobQueue": places.create_queue,
            "UpdateJobQueue": places.update_queue,
            "DescribeJobQueues": places.describe_queues,
            "DeleteJobQueue": places.delete_queue,
            "RegisterJobDefinition": places.register,
            "DeregisterJobDefinition": places.deregister,
            "DescribeJobDefinitions": places.describe_definitions,
            "SubmitJob": jobs.submit,
            "DescribeJobs": jobs.describe,
            "ListJobs": jobs.list,
            "TerminateJob": jobs.terminate,
            "CancelJob": jobs.cancel,
        }
        self._paths = {
            service_model("batch").operation_model(action).http["requestUri"]: action for action in self._actions
        }
        jobs.recover()

    def handle(self, action: str, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse, and what this cloud does not implement.
        """
        if action not in self._actions:
            raise not_here(action, f"it has {', '.join(sorted(self._actions))}")
        if found := faults("batch", action, request):
            raise refuse(f"Error executing request, Exception : {'; '.join(found)}")
        with self._clock.hold():  # what it starts holds on by itself
            return self._actions[action](request)

    def http(self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Answer:
        """Answer one request."""
        try:
            action = self._paths.get(path.rstrip("/"))
            if action is None:
                raise not_here(f"{method} {path}", f"it has {', '.join(sorted(self._actions))}")
            request = json.loads(body or b"{}")
            self._allow(action, request, headers)
            answer = self.handle(action, request, "")
        except ValueError as error:
            raise ApiError("ClientException", f"the body is not JSON: {error}") from error
        except ApiError:
            raise
        except Exception as error:
            logger.exception("batch %s %s", method, path)
            raise ApiError("ServerException", f"{type(error).__name__}: {error}", 500) from error
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def _allow(self, action: str, request: dict[str, Any], headers: dict[str, str]) -> None:
        """SubmitJob needs its permission on the queue and on the definition (Service Authorization Reference)."""
        if action != "SubmitJob":
            return
        for resource in self.resources(request):
            if refused := self._may(headers, "batch:SubmitJob", resource):
                raise ApiError("AccessDeniedException", refused, 403)

    def resources(self, request: dict[str, Any]) -> list[str]:
        """The queue and the definition of a SubmitJob request, as ARNs."""
        queue, definition = str(request.get("jobQueue", "")), str(request.get("jobDefinition", ""))
        return [self._places.queue_arn(queue), self._places.definition_arn(definition)]

    def close(self) -> None:
        """End every process, save, stop."""
        self._jobs.close()
        self._store.close()
