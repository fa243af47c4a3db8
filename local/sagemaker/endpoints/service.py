"""Everything about endpoints, put together: which action goes where."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.sagemaker.containers import Containers
from local.sagemaker.endpoints.backlog import Backlog, Gauge
from local.sagemaker.endpoints.capture import Capture
from local.sagemaker.endpoints.configs import EndpointConfigs
from local.sagemaker.endpoints.control import Endpoints
from local.sagemaker.endpoints.instances import Hosting
from local.sagemaker.endpoints.lives import Lives
from local.sagemaker.endpoints.measures import EndpointMeasures, Measure
from local.sagemaker.endpoints.runtime import Response, Runtime
from local.sagemaker.events import SageMakerEvents
from local.sagemaker.jobs import Jobs
from local.sagemaker.models import Models
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.service import Cloud

THREADS = 64  # requests that wait for containers at once


class Hosted:
    """Endpoints, their configurations and their runtime. They share clock, quotas and logs with the jobs."""

    def __init__(
        self,
        cloud: Cloud,
        store: Store,
        tags: Tags,
        events: SageMakerEvents,
        models: Models,
        containers: Containers,
        jobs: Jobs,
        measure: Measure,
    ) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="endpoint")
        hosting = Hosting(cloud, containers, jobs.roles, jobs.timers, jobs.logs, jobs.quotas, self._pool)
        self._configs = EndpointConfigs(cloud, store, tags, events, models)
        self._lives = Lives(hosting, store, tags, events)
        self._endpoints = Endpoints(hosting, store, tags, self._configs, self._lives)
        measures = EndpointMeasures(measure)
        self._backlog = Backlog(hosting, store, self._lives, measures)
        self._capture = Capture(hosting)
        self._runtime = Runtime(hosting, self._lives, self._backlog, measures, self._capture)

    @property
    def actions(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """The actions of SageMaker's own API."""
        return {
            "CreateEndpointConfig": self._configs.create,
            "DescribeEndpointConfig": self._configs.describe,
            "ListEndpointConfigs": self._configs.list,
            "DeleteEndpointConfig": self._configs.delete,
            "CreateEndpoint": self._endpoints.create,
            "UpdateEndpoint": self._endpoints.update,
            "UpdateEndpointWeightsAndCapacities": self._endpoints.scale,
            "DescribeEndpoint": self._endpoints.describe,
            "ListEndpoints": self._endpoints.listed,
            "DeleteEndpoint": self._endpoints.delete,
        }

    def http(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Answer one request of the runtime API."""
        return self._runtime.http(method, path, headers, body)

    def gauges(self) -> Iterator[Gauge]:
        """How the queues of asynchronous endpoints are."""
        return self._backlog.gauges()

    def recover(self) -> None:
        """Bring back what was up when the process ended. To be called when the cloud serves."""
        self._backlog.recover()
        self._lives.recover()

    def close(self) -> None:
        """Write what was captured, end every instance."""
        self._capture.close()
        self._lives.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
