"""CloudFormation of this cloud: loaded beside the first requests, patient with those who ask how a stack is doing."""

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from local import ministack_seam as seam
from local.autoscaling.provisioning import provision_autoscaling
from local.batch.provisioning import provision_batch
from local.cloudwatch.provisioning import provision_cloudwatch
from local.glue.provisioning import provision_glue_jobs
from local.provisioners import provision_state_machines
from local.sagemaker.endpoints.provisioning import provision_endpoints
from local.service import ApiError, Service

logger = logging.getLogger("boxcar.stacks")

SETTLE_SECONDS = 10.0
# services of ours whose resources stacks may have, and how they get them
PROVISIONED = {
    "states": provision_state_machines,
    "batch": provision_batch,
    "glue": provision_glue_jobs,
    "monitoring": provision_cloudwatch,
    "sagemaker": provision_endpoints,
    "application-autoscaling": provision_autoscaling,
}


class Stacks:
    """Stands before MiniStack's CloudFormation."""

    def __init__(self, services: Mapping[str, Service], account: str) -> None:
        self._services = services
        self._root = f"arn:aws:iam::{account}:root"
        self._ready: Future[None] = Future()

    def prepare(self) -> None:
        """Load, check and complete it. Takes seconds, since it loads every service there is: to be run in a thread."""
        try:
            seam.check_stacks()
            seam.complete_tables()
            seam.complete_schedules()
            seam.complete_stages()
            for name, provision in PROVISIONED.items():
                if name in self._services:
                    provision(partial(self._handle, self._services[name]))
        except Exception as error:
            logger.critical("no stack can be deployed: %s", error)
            self._ready.set_exception(ApiError("InternalFailure", str(error), 500))
        else:
            self._ready.set_result(None)

    def _handle(self, service: Service, action: str, request: dict[str, Any]) -> dict[str, Any]:
        return service.handle(action, request, self._root)

    async def before(self, action: str, body: bytes) -> None:
        """Let a request wait until it can be answered well.

        The SAM CLI sleeps for 15 s when it is told that a stack is in progress, so it is told once that has passed.

        Raises:
            ApiError: CloudFormation is not what the seam expects.
        """
        await asyncio.shield(asyncio.wrap_future(self._ready))
        if action != "DescribeStacks":
            return
        stack = parse_qs(body.decode()).get("StackName", [""])[0]
        deadline = time.monotonic() + SETTLE_SECONDS
        while stack and seam.stack_is_changing(stack) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
