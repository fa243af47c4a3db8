"""The SageMaker service: which action goes where."""

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from local.faults import Faults
from local.sagemaker.containers import IMAGES, Containers, Image
from local.sagemaker.data import Roles
from local.sagemaker.endpoints.backlog import Gauge
from local.sagemaker.endpoints.measures import Measure
from local.sagemaker.endpoints.service import Hosted
from local.sagemaker.events import SageMakerEvents
from local.sagemaker.jobs import Jobs
from local.sagemaker.kind import Kind
from local.sagemaker.models import Models
from local.sagemaker.processing import Processing
from local.sagemaker.registry import Registry
from local.sagemaker.requests import operations, service_model, validate
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.sagemaker.training import Training
from local.sagemaker.transform import Transform
from local.service import ApiError, Cloud


class SageMaker:
    """Jobs, models, the model registry and endpoints. State lies in `sagemaker/` of the cloud's state folder.

    `faults` says which jobs meet a misfortune (`{"job": …}` in local/faults.py), `measure` tells CloudWatch.
    """

    def __init__(
        self,
        cloud: Cloud,
        images: dict[str, Image] | None = None,
        faults: Faults | None = None,
        measure: Measure = lambda namespace, dimensions, values: None,
    ) -> None:
        self._clock = cloud.clock
        folder = cloud.state / "sagemaker"
        places = os.cpu_count() or 1
        self._store = Store(folder / "sagemaker.sqlite")
        self._events = SageMakerEvents(cloud)
        # one thread a job: with a job on every core, more threads only take turns
        self._containers = Containers(cloud, folder / "work", IMAGES if images is None else images, threads=1)
        tags = Tags(self._store)
        roles = Roles(cloud)
        models = Models(cloud, self._store, tags, self._events, roles, self._containers)
        registry = Registry(cloud, self._store, tags, self._events)
        misfortune = (faults or Faults()).on_job
        self._jobs = Jobs(cloud, self._store, tags, self._events, self._containers, roles, places, misfortune)
        self._hosted = Hosted(cloud, self._store, tags, self._events, models, self._containers, self._jobs, measure)
        kinds: list[Kind] = [Training(), Processing(), Transform(models.found)]
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "UpdateTrainingJob": self._jobs.pools.update,
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "ListModels": models.list,
            "DeleteModel": models.delete,
            "DescribeModelPackageGroup": registry.describe_group,
            "ListModelPackageGroups": registry.list_groups,
            "DeleteModelPackageGroup": registry.delete_group,
            "DescribeModelPackage": registry.describe,
            "ListModelPackages": registry.list,
            "DeleteModelPackage": registry.delete,
            "AddTags": tags.add,
            "ListTags": tags.list,
            "DeleteTags": tags.delete,
            **self._hosted.actions,
        }
        self._signed: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "CreateModelPackageGroup": registry.create_group,
            "CreateModelPackage": registry.create,
            "UpdateModelPackage": registry.update,
        }
        for kind in kinds:
            self._actions |= {
                f"Create{kind.noun}": partial(self._jobs.create, kind),
                f"Describe{kind.noun}": partial(self._jobs.describe, kind),
                f"Stop{kind.noun}": partial(self._jobs.stop, kind),
                f"List{kind.noun}s": partial(self._list, kind),
            }
            self._jobs.recover(kind)

    def handle(self, action: str, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse, and what this cloud does not implement.
        """
        if action not in self._actions and action not in self._signed:
            known = ", ".join(sorted([*self._actions, *self._signed]))
            what = (
                "is not implemented by the embedded cloud"
                if action in operations()
                else "is not an action of SageMaker"
            )
            raise ApiError("UnknownOperationException", f"{action} {what}; it has: {known}", 404)
        with self._clock.hold():
            validate(action, request)
            if action in self._signed:
                return self._signed[action](request, caller_arn)
            return self._actions[action](request)

    def http(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request of SageMaker's runtime API, which has the same name to the router."""
        return self._hosted.http(method, path, headers, body)

    def gauges(self) -> Iterator[Gauge]:
        """What CloudWatch asks for at the end of each minute."""
        return self._hosted.gauges()

    def set_limit(self, name: str, count: int | None) -> None:
        """Set how many instances may be in use from now on; None takes the limit away. What runs goes on running.

        `ml.m5.large` (for each use by itself) or AWS's name of a quota, `ml.m5.large for spot training job usage`.

        Raises:
            ApiError: there is no such quota.
        """
        self._jobs.quotas.set_limit(name, count)

    def limits(self) -> dict[str, dict[str, int | None]]:
        """What is limited or in use, by quota: `limit` and `used`, in instances."""
        return self._jobs.quotas.report()

    def warm(self) -> None:
        """The cloud serves: bring endpoints back, and begin to import what jobs import, both in the background."""
        threading.Thread(target=self._hosted.recover, name="endpoints-recover", daemon=True).start()
        for image in self._containers.images.values():
            threading.Thread(target=lambda image=image: self._containers.interpreter(image).warm(), daemon=True).start()

    def close(self) -> None:
        """End every job's and endpoint's process, save, stop."""
        self._hosted.close()
        self._jobs.close()
        self._events.close()
        self._store.close()

    def _list(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        shape = service_model().operation_model(f"List{kind.noun}s").output_shape.members[f"{kind.noun}Summaries"]
        found, token = self._jobs.list(kind, request, list(shape.member.members))
        return {f"{kind.noun}Summaries": found, **({"NextToken": token} if token else {})}
